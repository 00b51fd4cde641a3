"""What is known of one server, in a few lines."""

from __future__ import annotations

from textual.content import Content
from textual.dom import DOMNode

from mcpmux_tui.model.server import SERVING, Health, ServerSnapshot
from mcpmux_tui.ui.content import line, plain, short_time
from mcpmux_tui.ui.keymap import with_keys
from mcpmux_tui.ui.status import STYLES, UNKNOWN, Glyphs

_TRANSPORTS = {"stdio": "stdio", "http": "Streamable HTTP", "sse": "HTTP with SSE"}


def facts(
    node: DOMNode, server: ServerSnapshot, glyphs: Glyphs, now: float, *, live: bool = True
) -> list[Content]:
    """State and reason, target, how it speaks, who is signed in, warnings.

    Of what is not `live` only the name and the target are sure.
    """
    dot = f" {glyphs.dot} "
    lines = [title(server, glyphs, now) if live else _untold(server, glyphs)]
    if server.target:
        lines.append(line(server.target))
    if not live:
        return lines
    about = [
        _TRANSPORTS[server.transport] if server.transport else "",
        f"protocol {server.era}" if server.era else "",
        server.server_info,
        f"pid {server.pid}" if server.pid is not None else "",
        _signed_in(server, now),
    ]
    if described := dot.join(part for part in about if part):
        lines.append(line(described, "$muted"))
    if detail := _detail(server):
        lines.append(plain(with_keys(node, detail)))
    for warning in server.warnings:
        said = plain(with_keys(node, warning))
        lines.append(Content.assemble(("! ", "bold $warning"), said))
    return lines


def title(server: ServerSnapshot, glyphs: Glyphs, now: float) -> Content:
    """Name, state and how long it lasts, in one line."""
    dot = f" {glyphs.dot} "
    shown = Content.assemble(
        line(server.name, "bold"),
        "  ",
        (f"{glyphs.state(server.state)} {server.state.word}", STYLES[server.state]),
    )
    if server.summary and not _detail(server):
        shown += Content.styled(dot, "$muted") + line(server.summary)
    if server.since is not None and server.state in SERVING:
        shown += Content.styled(f"{dot}up {short_time(now - server.since)}", "$muted")
    return shown


def _untold(server: ServerSnapshot, glyphs: Glyphs) -> Content:
    return Content.styled("  ", "$muted").join(
        [line(server.name, "$muted"), Content.styled(f"{glyphs.none} {UNKNOWN}", "$muted")]
    )


def _detail(server: ServerSnapshot) -> str:
    return "" if server.state is Health.CONNECTED else server.detail


def _signed_in(server: ServerSnapshot, now: float) -> str:
    if not server.signed_in:
        return ""
    who = f" as {server.account}" if server.account else ""
    if server.renews_at is None:
        return f"signed in{who}"
    left = server.renews_at - now
    renews = f"renews in {short_time(left)}" if left > 0 else "renews with the next call"
    return f"signed in{who}, token {renews}"
