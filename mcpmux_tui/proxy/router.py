"""`tools/call`: from a public name to the server behind it, and the bytes of `result` back."""

from __future__ import annotations

import json
import math

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import RequestTimeout, RpcError, UpstreamError
from mcpmux_tui.model.jsonrpc import Malformed, Member
from mcpmux_tui.model.protocol import (
    ENVELOPE_KEYS,
    INVALID_PARAMS,
    INVALID_REQUEST,
    REQUEST_TIMEOUT,
    SERVER_UNAVAILABLE,
    is_modern,
)
from mcpmux_tui.proxy.catalog import Listing
from mcpmux_tui.proxy.fault import Fault
from mcpmux_tui.text import NAME_LIMIT, one_line

# A progress token of one client means nothing to another: it ends here until progress is relayed.
_HOP_BY_HOP = ENVELOPE_KEYS | {"progressToken"}


def fields(params: bytes | None) -> dict[str, Member]:
    """The members of a request's params. Raises Fault."""
    return members_of("{}" if params is None else params.decode("utf-8"), "params")


def members_of(text: str, what: str) -> dict[str, Member]:
    """The members of a JSON object in a request. Raises Fault, naming it as `what`."""
    try:
        return jsonrpc.parse_object(text)
    except Malformed as error:
        raise Fault(INVALID_PARAMS, f"{what}: {error}.") from None


def refuse_cursor(params: dict[str, Member]) -> None:
    """Lists have one page, so no cursor is ours. Raises Fault."""
    if "cursor" in params and params["cursor"].value is not None:
        raise Fault(INVALID_PARAMS, "Invalid cursor")


async def call_tool(
    listing: Listing, params: dict[str, Member], caller: Caller, *, modern: bool, patience: float
) -> bytes:
    """Call the tool that `params` name and return the bytes of its result as received.

    `modern` is the client's era; where the server's differs, `resultType` is added or taken out
    and every other byte stays. Raises Fault for everything that is answered with an error.
    """
    name = params["name"].text if "name" in params else None
    if name is None:
        raise Fault(INVALID_PARAMS, 'params: "name" must be a string.')
    target = listing.targets.get(name)
    if target is None:
        raise Fault(INVALID_PARAMS, f"Unknown tool: {one_line(name, NAME_LIMIT)}")
    changes: dict[str, str | None] = {"name": json.dumps(target.tool)}
    if "_meta" in params:
        changes["_meta"] = _own_meta(params["_meta"])
    own_params = jsonrpc.joined(params, changes).encode("utf-8")
    ok = False
    try:
        channel = await target.upstream.ready(patience)
        result = await channel.request("tools/call", own_params, caller=caller, name=target.tool)
        ok = True
    except RpcError as error:
        raise Fault(error.code, error.message, raw=error.raw) from None
    except UpstreamError as error:
        raise Fault(_code(error), str(error), _facts(error)) from None
    finally:
        target.upstream.record_call(target.tool, ok=ok)
    if is_modern(channel.protocol_version) == modern:
        return result
    return _as_modern(result) if modern else _as_legacy(result)


def _code(error: UpstreamError) -> int:
    return REQUEST_TIMEOUT if isinstance(error, RequestTimeout) else SERVER_UNAVAILABLE


def _facts(error: UpstreamError) -> dict[str, object] | None:
    """What a program can use of an error."""
    facts: dict[str, object] = {}
    if error.status is not None:
        facts["status"] = error.status
    if error.retry_after is not None:
        facts["retryAfter"] = math.ceil(error.retry_after)
    return facts or None


def _own_meta(meta: Member) -> str | None:
    """`_meta` without what concerns only the client and this proxy; None where nothing is left."""
    members = members_of(meta.raw, '"_meta"')
    kept = jsonrpc.joined(members, dict.fromkeys(_HOP_BY_HOP))
    return None if kept == "{}" else kept


def _as_modern(result: bytes) -> bytes:
    """A 2025 server's result for a 2026 client, where every result has its type."""
    if b'"resultType"' in result and _result_type(result) is not None:
        return result
    rest = result.lstrip()[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    return b'{"resultType":"complete"' + comma + rest


def _as_legacy(result: bytes) -> bytes:
    """A 2026 server's result for a 2025 client. Raises Fault for one that asks the client."""
    match _result_type(result):
        case Member(value="complete"):
            return jsonrpc.without(result.decode("utf-8"), "resultType").encode("utf-8")
        case Member(value="input_required"):
            raise Fault(
                INVALID_REQUEST,
                "The server asks for input that this client cannot give: it speaks an older"
                " version of the protocol.",
            )
        case _:
            return result


def _result_type(result: bytes) -> Member | None:
    try:
        return jsonrpc.parse_object(result.decode("utf-8")).get("resultType")
    except Malformed:
        return None  # a key that stands twice: the client's own reader decides
