"""Every number that bounds an upstream server, in one place."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcpmux_tui.model.spec import Deadlines

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes and counts; tests scale them."""

    start: float = 60.0
    """stdio, spawn to initialized: a first run may download a package."""
    remote_start: float = 15.0
    """HTTP, first connect to initialized."""
    starts: int = 8
    """Children that may start at once, on a machine with cores enough: one core is left to the
    screen and to calls."""
    start_turn: float = 1.0
    """How long a child that starts keeps the next one waiting."""
    connect: float = 5.0
    """One TCP and TLS connect."""
    probe: float = 3.0
    """How long `server/discover` may stay unanswered over stdio before `initialize` follows."""
    remote_probe: float = 5.0
    """The same over HTTP."""
    page: float = 10.0
    """One page of a list."""
    listing: float = 60.0
    """All pages of a list."""
    ping_after: float = 60.0
    """Nothing heard for this long: a ping is sent."""
    ping: float = 10.0
    ping_misses: int = 2
    """Pings without an answer after which a server counts as gone."""
    wake_ping: float = 3.0
    """For the only ping to another machine after a sleep of this one."""
    pages: int = 1_000
    items: int = 10_000
    """Tools of one server; as many prompts, resources and templates."""
    definition: int = 256 * KIB
    """One definition."""
    definitions: int = 16 * MIB
    """All definitions of a list."""
    values: int = 500_000
    """JSON values in all definitions of a list: renaming the tools takes as long."""
    skipped: int = 20
    """Sentences about definitions that could not be used."""
    refresh_pause: float = 1.0
    """Between two refreshes of a list."""

    count_pause: float = 0.1
    """Calls that end within it are counted together: each count is a new row on the screens."""
    call_cap: float = 86_400.0
    """A whole call, however lively."""

    message: int = 16 * MIB
    """One message from a server, decoded."""
    error_body: int = 64 * KIB
    """What is read of an HTTP answer that is no MCP message."""
    stderr_line: int = 8 * KIB
    stderr_kept: int = 20
    """Last lines of stderr that explain an exit."""
    noise: int = 5
    """Lines of junk on stdout that are shown; the rest is counted."""
    queue: int = 256
    """Calls that may wait while a server works on as many as it may."""
    answers: int = 64
    """A server's own requests that may wait for their answers."""
    personal: int = 64
    """Sessions at one server, each for one client that it may ask something."""
    personal_idle: float = 30 * 60.0
    """Seconds without a request after which such a session is let go."""

    last_words: float = 0.1
    """How long the pipes of an ended process may stay open before its calls are failed."""
    eof: float = 2.0
    """From closing stdin to SIGTERM."""
    term: float = 2.0
    """From SIGTERM to SIGKILL."""
    container_term: float = 10.0
    """The same where the child is the client of a container that has to shut down."""
    kill: float = 1.5
    """From SIGKILL to giving up."""
    goodbye: float = 2.0
    """For the DELETE of an HTTP session, or a notification nobody waits for."""

    resumes: int = 5
    """Tries to resume an answer's stream that bring nothing new."""
    resume_first: float = 0.25
    """Seconds before the first of them, whatever the server says; later ones wait longer."""
    resume_most: float = 5.0
    relist: float = 300.0
    """Between two looks at the lists of a server that cannot announce their changes."""

    retry_first: float = 1.0
    retry_most: float = 60.0
    try_pause: float = 1.0
    """Between two tries that calls ask for, instead of the next wait's end."""
    retry_most_remote: float = 300.0
    """For a server at an address that answers, but not as it should."""
    jitter: float = 0.2
    """Share by which a wait may be longer, so that many servers do not come back at once."""
    crashes: int = 5
    """Ends of a process within `crash_window` after which no timer starts it again."""
    crash_window: float = 180.0
    healthy: float = 60.0
    """Connected for this long, a server's earlier troubles are forgotten."""

    def within(self, own: Deadlines) -> Limits:
        """These limits with a server's own deadlines."""
        start = own.start
        return replace(
            self,
            connect=self.connect if own.connect is None else own.connect,
            start=self.start if start is None else start,
            remote_start=self.remote_start if start is None else start,
            page=self.page if own.list is None else own.list,
            call_cap=self.call_cap if own.call is None else own.call,
        )
