"""A person tries what a server offers: its form, the request, and the result for people."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from mcpmux_tui.control.protocol import Hint, ItemForm, ItemName, Outcome, TryItem
from mcpmux_tui.model import form
from mcpmux_tui.model.channel import Caller, Item, Kind, Lists
from mcpmux_tui.model.errors import ControlError, McpmuxError, NotConnected
from mcpmux_tui.model.protocol import PROGRESS, is_modern
from mcpmux_tui.model.question import Field
from mcpmux_tui.proxy.fault import Fault
from mcpmux_tui.proxy.router import answered
from mcpmux_tui.text import NAME_LIMIT, clean, one_line
from mcpmux_tui.upstream.supervisor import Supervisor

_PATIENCE: Final = 10.0
_DESCRIPTION: Final = 4_000
_SHOWN: Final = 200_000
"""Characters of a result that are shown."""
_METHODS: Final = {Kind.TOOLS: "tools/call", Kind.PROMPTS: "prompts/get"}
_PERSON: Final = Caller(
    capabilities=b'{"elicitation":{"form":{},"url":{}}}', askable=True, modern=True
)

Ask = Callable[[str, str, bytes], Awaitable[bytes]]
"""Asks the person what a server wants to know, by server, method and params."""


@dataclass
class _Try:
    """Implements Client for the person: what a server says and asks while it works."""

    server: str
    ask: Ask
    caller: Caller
    request: asyncio.Task[bytes] | None = None
    said: str = ""

    @property
    def owner(self) -> None:
        return

    def notified(self, method: str, params: bytes) -> None:
        if method == PROGRESS:
            self.said = _progress(_object(params))

    def takes(self, method: str, params: bytes) -> bool:
        return True

    async def asked(self, method: str, params: bytes) -> bytes:
        return await self.ask(self.server, method, params)


class Trying:
    """Runs what people try; each can be cancelled by the key its door gave it."""

    def __init__(
        self,
        server: Callable[[str], Supervisor],
        public: Callable[[str, Kind, str], str],
        ask: Ask,
    ) -> None:
        self._server = server
        self._public = public
        self._ask = ask
        self._running: dict[str, _Try] = {}

    def form(self, wish: ItemName) -> ItemForm:
        """What an item asks for. Raises ControlError."""
        item = self._item(wish)
        return ItemForm(
            name=shown_name(item.name),
            public=shown_name(self._public(wish.server, wish.kind, item.name)),
            description=clean(item.description, _DESCRIPTION),
            fields=_fields(wish.kind, item),
            hint=hint_of(wish.kind, item),
        )

    async def run(self, wish: TryItem) -> Outcome:
        """Use an item with what a person typed. Raises ControlError."""
        supervisor = self._server(wish.server)
        item = await self._offered(wish, supervisor)
        params = _params(wish, item)
        trying = self._running[wish.key] = _Try(
            wish.server, self._ask, replace(_PERSON, key=f"try-{wish.key}")
        )
        began = time.monotonic()
        ok = False
        try:
            trying.request = asyncio.create_task(_request(supervisor, wish.kind, params, trying))
            await asyncio.wait({trying.request})
            if trying.request.cancelled():
                raise ControlError("It was cancelled.")
            result = trying.request.result()
            ok = True
        except McpmuxError as error:
            if isinstance(error, ControlError):
                raise
            raise ControlError(error.message, error.hint) from error
        except Fault as fault:
            raise ControlError(one_line(str(fault))) from fault
        finally:
            if trying.request is not None:
                trying.request.cancel()
            self._running.pop(wish.key, None)
            supervisor.forget_client(trying.caller.key)
            if wish.kind is Kind.TOOLS:
                supervisor.record_call(item.name, ok=ok)
        return await asyncio.to_thread(_outcome, result, time.monotonic() - began)

    def progress(self, key: str) -> str:
        """What the server last said of a try under way."""
        trying = self._running.get(key)
        return "" if trying is None else trying.said

    def cancel(self, key: str) -> None:
        """Cancel a try; the server is told."""
        trying = self._running.get(key)
        if trying is not None and trying.request is not None:
            trying.request.cancel()

    async def _offered(self, wish: TryItem, supervisor: Supervisor) -> Item:
        try:
            return self._item(wish)
        except ControlError:
            # What a server offers is unknown before it first connects, or while it is disabled.
            if supervisor.channel is not None:
                raise
        try:
            await supervisor.ready(_PATIENCE)
        except NotConnected as error:
            raise ControlError(error.message, error.hint) from error
        return self._item(wish)

    def _item(self, wish: ItemName | TryItem) -> Item:
        return item_named(wish.server, self._server(wish.server).lists, wish.kind, wish.name)


def item_named(server: str, lists: Lists, kind: Kind, name: str) -> Item:
    """The item of a name, or of what a door shows of one. Raises ControlError."""
    items = lists.of(kind)
    found = [item for item in items if item.name == name]
    found = found or [item for item in items if shown_name(item.name) == name]
    if len(found) == 1:
        return found[0]
    shown = shown_name(name)
    if found:
        raise ControlError(
            f"{server} has several {kind.noun}s that look like {shown}.",
            "None of them is used: nobody could tell which.",
        )
    raise ControlError(
        f"{server} has no {kind.noun} named {shown}.",
        f"`mcpmux tools {server}` shows its tools.",
    )


def shown_name(name: str) -> str:
    """What doors show of an item's name: clean, and not without end."""
    return one_line(name, NAME_LIMIT)


def hint_of(kind: Kind, item: Item) -> Hint:
    """What a tool claims of itself (spec: tool annotations); empty for anything else."""
    if kind is not Kind.TOOLS:
        return ""
    hints = _object(item.definition).get("annotations") if b"Hint" in item.definition else None
    told = hints if isinstance(hints, dict) else {}
    if told.get("readOnlyHint") is True:
        return "read"
    match told.get("destructiveHint"):
        case True:
            return "destroy"
        case False:
            return "write"
    return ""


async def _request(
    supervisor: Supervisor, kind: Kind, params: dict[str, JsonValue], person: _Try
) -> bytes:
    channel = await supervisor.ready(_PATIENCE)
    method = _METHODS.get(kind, "resources/read")
    sent = json.dumps({**params, "_meta": {"progressToken": "try"}}).encode()
    name = params.get("name", params.get("uri"))
    header = name if isinstance(name, str) else None
    result = await channel.request(method, sent, caller=person.caller, name=header, client=person)
    if is_modern(channel.protocol_version):
        return await answered(channel, method, sent, result, person.caller, header, person)
    return result


def _fields(kind: Kind, item: Item) -> tuple[Field, ...]:
    match kind:
        case Kind.TOOLS:
            return form.fields_of(_object(item.definition).get("inputSchema"))
        case Kind.PROMPTS:
            return form.prompt_fields(_object(item.definition).get("arguments"))
        case Kind.TEMPLATES:
            return form.template_fields(item.name)
    return ()


def _params(wish: TryItem, item: Item) -> dict[str, JsonValue]:
    """The params of the request. Raises ControlError where what was typed does not fit."""
    fields = _fields(wish.kind, item)
    try:
        given = form.values(fields, wish.typed) if wish.arguments is None else wish.arguments
        match wish.kind:
            case Kind.TOOLS | Kind.PROMPTS:
                return {"name": item.name, "arguments": given}
            case Kind.TEMPLATES:
                return {"uri": form.expanded(item.name, given)}
    except ValueError as error:
        raise ControlError(f"These arguments do not fit: {error}.") from None
    return {"uri": item.name}


def _progress(params: Mapping[str, object]) -> str:
    done, total, message = params.get("progress"), params.get("total"), params.get("message")
    numbers = f"{done} of {total}" if total else f"{done}"
    return one_line(f"{numbers} {message if isinstance(message, str) else ''}", 200).strip()


def _outcome(result: bytes, seconds: float) -> Outcome:
    found = _object(result)
    return Outcome(
        text=clean("\n\n".join(_parts(found)), _SHOWN),
        raw=clean(json.dumps(found, indent=2, ensure_ascii=False), _SHOWN),
        is_error=found.get("isError") is True,
        seconds=seconds,
    )


def _parts(result: dict[str, object]) -> Iterator[str]:
    texts = [_block(block) for block in _dicts(result.get("content"))]
    yield from texts
    structured = result.get("structuredContent")
    # Most servers say the same as text, for clients that know no structure.
    if structured is not None and not any(_says(text, structured) for text in texts):
        yield json.dumps(structured, indent=2, ensure_ascii=False)
    for message in _dicts(result.get("messages")):
        content = message.get("content")
        said = _block(content) if isinstance(content, dict) else ""
        yield f"{message.get('role')}:\n{said}"
    for resource in _dicts(result.get("contents")):
        yield _resource(resource)


def _says(text: str, structured: object) -> bool:
    # A bare value has its place in an object of the SDKs' making.
    wrapped = isinstance(structured, dict) and structured.keys() == {"result"}
    value = structured["result"] if wrapped and isinstance(structured, dict) else structured
    return _json(text) in (structured, value) or text == value


def _block(block: dict[str, object]) -> str:
    kind, data, mime = block.get("type"), block.get("data"), block.get("mimeType")
    match kind:
        case "text":
            return str(block.get("text", ""))
        case "image" | "audio" if isinstance(data, str):
            return f"[{kind}: {mime}, {_size(data)}]"
        case "resource_link":
            return f"[link: {block.get('uri')}]"
        case "resource" if isinstance(inner := block.get("resource"), dict):
            return _resource(inner)
    return json.dumps(block, ensure_ascii=False)


def _resource(resource: dict[str, object]) -> str:
    if isinstance(text := resource.get("text"), str):
        return text
    if isinstance(data := resource.get("blob"), str):
        return f"[{resource.get('uri')}: {resource.get('mimeType')}, {_size(data)}]"
    return f"[resource: {resource.get('uri')}]"


def _size(base64: str) -> str:
    return f"{len(base64) * 3 // 4 - base64[-2:].count('='):,} bytes"


def _dicts(value: object) -> list[dict[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _json(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(data: bytes) -> dict[str, object]:
    found = _json(data)
    return found if isinstance(found, dict) else {}
