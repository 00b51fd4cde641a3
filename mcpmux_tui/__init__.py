"""mcpmux: a terminal desktop manager for MCP servers, with one local endpoint for every client.

The house. One engine process does the work; every door to it (the terminal UI, the commands)
speaks one small protocol over a private socket. Only `engine` knows more than one room.

    cli/        the commands
    ui/         the terminal UI, alone in using Textual: app (a switchboard), screens/, dialogs/,
                widgets/, keys, keymap and keyboard (one key at a time), looks and theme, door (what
                all screens share)
    engine/     joins the rooms: run (start-up, shut-down), hub (who knows whom, reload), fleet (the
                servers), rows (what is shown of them), person (what people ask), doors (the
                protocol's methods), offline (the work commands do without an engine)
    bridge/     `mcpmux stdio` for clients that only start commands; standard library alone
    control/    the private socket: protocol, server and connection (engine side), client (doors)
    ----------- rooms: none of these imports another -----------
    proxy/      the one server that clients see, both protocol eras on one path
    upstream/   one MCP server each: supervisor, attempt, session, inbox, changes, liveness;
                transports stdio, http, sse; process, children, reaper (the watchdog), containers
    auth/       signing in, and tokens that renew themselves
    vault/      where secrets are kept: store, keyring backends, values by name, redact
    config/     what the user wrote: schema, file, placeholders, resolve, plain secrets, reload
                plan; edits of it: edit (what they mean), roundtrip (the text), atomic (the file)
    activity/   what happened: each server's log
    importers/  other tools' configs, pasted text   clients/   the entry each client wants
    demo/       the built-in demo servers
    ----------- leaves -----------
    model/      server (state, snapshot), spec, channel, jsonrpc, protocol, errors, ports
    text.py  paths.py  importing.py (many modules without the garbage collector)
    http1.py (kept connections, for the bridge and for servers on this machine)

Four things travel: a call (client -> proxy -> upstream channel, bytes of `result` as received),
a state (event -> supervisor -> snapshot -> door), a value (config placeholder -> environment or
keyring -> child or header; the redactor hears of it first), and a log line (child stderr ->
redactor -> activity -> the visible pane). A sign-in runs beside them: a person's key -> discovery
-> browser at the door -> tokens in the vault -> every request.
"""

__version__ = "0.1.0"
