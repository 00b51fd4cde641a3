"""A person tries a tool: the form it makes, the call, and its result for people."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator

from mcpmux_tui.control.protocol import ToolForm, ToolOutcome, TryTool
from mcpmux_tui.model.channel import Caller, Item
from mcpmux_tui.model.errors import ControlError, McpmuxError
from mcpmux_tui.model.tool_form import arguments, fields_of
from mcpmux_tui.text import NAME_LIMIT, clean, one_line
from mcpmux_tui.upstream.supervisor import Supervisor

_PATIENCE = 10.0
_DESCRIPTION = 4_000
_SHOWN = 200_000
"""Characters of a result that are shown."""


class Trying:
    """Runs the calls of people; each can be cancelled by the key its door gave it."""

    def __init__(
        self,
        server: Callable[[str], Supervisor],
        public: Callable[[str, str], str],
    ) -> None:
        self._server = server
        self._public = public
        self._running: dict[str, asyncio.Task[bytes]] = {}

    def form(self, server: str, tool: str) -> ToolForm:
        """What a tool asks for. Raises ControlError."""
        item = self._item(server, tool)
        definition = _object(item.definition)
        hints = definition.get("annotations")
        told = hints if isinstance(hints, dict) else {}
        return ToolForm(
            name=one_line(tool, NAME_LIMIT),
            public=one_line(self._public(server, tool), NAME_LIMIT),
            description=clean(item.description, _DESCRIPTION),
            fields=fields_of(definition.get("inputSchema")),
            destructive=told.get("destructiveHint") is True
            and told.get("readOnlyHint") is not True,
            read_only=told.get("readOnlyHint") is True,
        )

    async def call(self, wish: TryTool) -> ToolOutcome:
        """Call a tool with what a person typed. Raises ControlError."""
        item = self._item(wish.server, wish.tool)
        if wish.arguments is None:
            try:
                given = arguments(self.form(wish.server, wish.tool).fields, wish.typed)
            except ValueError as error:
                raise ControlError(f"These arguments do not fit: {error}.") from None
        else:
            given = wish.arguments
        supervisor = self._server(wish.server)
        params = json.dumps({"name": item.name, "arguments": given}).encode()
        began = time.monotonic()
        ok = False
        try:
            channel = await supervisor.ready(_PATIENCE)
            call = asyncio.create_task(
                channel.request("tools/call", params, caller=Caller(), name=item.name)
            )
            self._running[wish.key] = call
            await asyncio.wait({call})
            if call.cancelled():
                raise ControlError("The call was cancelled.")
            result = call.result()
            ok = True
        except McpmuxError as error:
            if isinstance(error, ControlError):
                raise
            raise ControlError(error.message, error.hint) from error
        finally:
            self._running.pop(wish.key, None)
            supervisor.record_call(item.name, ok=ok)
        return _outcome(result, time.monotonic() - began)

    def cancel(self, key: str) -> None:
        """Cancel a call; the server is told."""
        if (call := self._running.get(key)) is not None:
            call.cancel()

    def _item(self, server: str, tool: str) -> Item:
        for item in self._server(server).lists.tools:
            if item.name == tool:
                return item
        raise ControlError(
            f"{server} has no tool named {one_line(tool, NAME_LIMIT)}.",
            f"`mcpmux tools {server}` shows the names.",
        )


def _outcome(result: bytes, seconds: float) -> ToolOutcome:
    found = _object(result)
    return ToolOutcome(
        text=clean("\n\n".join(_parts(found)), _SHOWN),
        raw=clean(json.dumps(found, indent=2, ensure_ascii=False), _SHOWN),
        is_error=found.get("isError") is True,
        seconds=seconds,
    )


def _parts(result: dict[str, object]) -> Iterator[str]:
    content = result.get("content")
    texts = [
        _block(block)
        for block in (content if isinstance(content, list) else ())
        if isinstance(block, dict)
    ]
    yield from texts
    structured = result.get("structuredContent")
    # Most servers say the same as text, for clients that know no structure.
    if structured is not None and not any(_json(text) == structured for text in texts):
        yield json.dumps(structured, indent=2, ensure_ascii=False)
    if result.get("resultType") == "input_required":
        yield "The server asks for more input, which a try cannot give yet."


def _block(block: dict[str, object]) -> str:
    kind, data, mime = block.get("type"), block.get("data"), block.get("mimeType")
    match kind:
        case "text":
            return str(block.get("text", ""))
        case "image" | "audio" if isinstance(data, str):
            return f"[{kind}: {mime}, {len(data) * 3 // 4:,} bytes]"
        case "resource_link":
            return f"[link: {block.get('uri')}]"
        case "resource" if isinstance(inner := block.get("resource"), dict):
            return str(inner.get("text") or f"[resource: {inner.get('uri')}]")
    return json.dumps(block, ensure_ascii=False)


def _json(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(data: bytes) -> dict[str, object]:
    found = _json(data)
    return found if isinstance(found, dict) else {}
