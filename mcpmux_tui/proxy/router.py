"""From a public name or an address to the server behind it, and the bytes of `result` back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.channel import Caller, Channel, Client
from mcpmux_tui.model.errors import RequestTimeout, RpcError, UpstreamError
from mcpmux_tui.model.params import parse_call
from mcpmux_tui.model.protocol import (
    ENVELOPE_KEYS,
    INVALID_PARAMS,
    INVALID_REQUEST,
    QUESTIONS,
    REQUEST_TIMEOUT,
    RESOURCE_NOT_FOUND,
    SERVER_UNAVAILABLE,
    is_modern,
)
from mcpmux_tui.model.rawjson import Malformed, Member
from mcpmux_tui.model.remember import remembered
from mcpmux_tui.proxy.catalog import Listing, Target
from mcpmux_tui.proxy.fault import Fault
from mcpmux_tui.text import NAME_LIMIT, one_line

_ENVELOPE: Final = b"io.modelcontextprotocol/"
"""What every key of the envelope begins with."""
FORWARDED: Final = frozenset({"tools/call", "prompts/get", "resources/read", "completion/complete"})
"""Requests that a server behind the proxy answers."""
_ROUNDS: Final = 16
"""How often a server may answer one call with questions."""
_LINKS: Final = 4096
"""Addresses in results of tools that are remembered."""
_NEVER_KEPT: Final = b',"ttlMs":0,"cacheScope":"private"'
_TYPE: Final = b'"resultType"'
# A result is known to be one object: its last member, and nothing in a string, ends so.
_TYPED_LAST: Final = b',"resultType":"complete"}'
_TYPED_FIRST: Final = b'{"resultType":"complete",'
_NO_COMPLETION: Final = b'{"completion":{"values":[],"total":0,"hasMore":false}}'


def fields(params: bytes | None) -> dict[str, Member]:
    """The members of a request's params. Raises Fault."""
    if params is None:
        return {}
    return parse_call(params) or members_of(params, "params")


def members_of(data: bytes, what: str) -> dict[str, Member]:
    """The members of a JSON object in a request. Raises Fault, naming it as `what`."""
    try:
        return rawjson.parse_object(data)
    except Malformed as error:
        raise Fault(INVALID_PARAMS, f"{what}: {error}.") from None


@dataclass(frozen=True, slots=True)
class _Route:
    target: Target
    changes: dict[str, bytes | None]
    """Members of the params that the server gets otherwise than the client wrote them."""


class Router:
    """Sends requests to the servers they are meant for; both eras share one.

    `clean` takes secrets out of what mcpmux itself says of a failure.
    """

    def __init__(self, patience: float, clean: Callable[[str], str] = str) -> None:
        self._patience = patience
        self._clean = clean
        self._links: dict[str, str] = {}
        """Address -> the server one of whose results linked to it, the newest last."""

    async def forward(
        self,
        listing: Listing,
        method: str,
        params: dict[str, Member],
        caller: Caller,
        client: Client | None,
        *,
        modern: bool,
    ) -> bytes:
        """Have a request answered and return the bytes of the result as received.

        `modern` is the client's era; where the server's differs, `resultType` is added or taken
        out and every other byte stays, and what a server asks goes the way of the client's era.
        Raises Fault for everything that is answered with an error.
        """
        try:
            route = self._route(listing, method, params)
        except Fault as fault:
            raise await self._unknown(listing, fault) from None
        upstream, name = route.target.upstream, route.target.name
        if method == "completion/complete" and "completions" not in upstream.lists.capabilities:
            return _as_modern(_NO_COMPLETION, method) if modern else _NO_COMPLETION
        if "_meta" in params:
            route.changes["_meta"] = _own_meta(params["_meta"].raw)
        own_params = rawjson.joined(params, route.changes)
        header = None if method == "completion/complete" else name
        ok = False
        try:
            channel = upstream.channel or await upstream.ready(self._patience)
            result = await channel.request(
                method, own_params, caller=caller, name=header, client=client
            )
            server_is_modern = is_modern(channel.protocol_version)
            if server_is_modern and not modern:
                result = await answered(channel, method, own_params, result, caller, header, client)
            elif modern and not server_is_modern:
                result = _as_modern(result, method)
            ok = True
        except RpcError as error:
            raise Fault(error.code, error.message, raw=error.raw) from None
        except UpstreamError as error:
            raise self._fault(error) from None
        finally:
            if method == "tools/call":
                upstream.record_call(name, ok=ok)
        if rawjson.holds(result, b'"resource_link"', b"_"):
            self._remember_links(upstream.spec.name, result)
        return result

    async def _unknown(self, listing: Listing, fault: Fault) -> Fault:
        """The error for what nobody offers: where the only server is away, that and what to do."""
        if len(listing.upstreams) == 1:
            try:
                await listing.upstreams[0].ready(0.0)
            except UpstreamError as error:
                return self._fault(error)
        return fault

    def _fault(self, error: UpstreamError) -> Fault:
        return Fault(_code(error), self._clean(str(error)), _facts(error))

    def resource(self, listing: Listing, params: Mapping[str, Member]) -> Target:
        """Whom the `uri` of a request means. Raises Fault."""
        uri = params["uri"].text if "uri" in params else None
        if uri is None:
            raise Fault(INVALID_PARAMS, 'params: "uri" must be a string.')
        if (target := listing.resources.get(uri)) is not None:
            return target
        linked = self._links.get(uri)
        upstream = next((each for each in listing.upstreams if each.spec.name == linked), None)
        if upstream is not None:
            return Target(upstream, uri)
        for template, target in listing.patterns:
            if template.matches(uri):
                return Target(target.upstream, uri)
        if len(listing.upstreams) == 1 and uri.startswith("ui://"):
            return Target(listing.upstreams[0], uri)
        raise Fault(RESOURCE_NOT_FOUND, "Resource not found", {"uri": one_line(uri, 200)})

    def _route(self, listing: Listing, method: str, params: Mapping[str, Member]) -> _Route:
        match method:
            case "tools/call":
                return _named(listing.tools, params, "tool")
            case "prompts/get":
                return _named(listing.prompts, params, "prompt")
            case "resources/read":
                return _Route(self.resource(listing, params), {})
        return self._completion(listing, params)

    def _completion(self, listing: Listing, params: Mapping[str, Member]) -> _Route:
        if "ref" not in params:
            raise Fault(INVALID_PARAMS, 'params: "ref" must be an object.')
        ref = members_of(params["ref"].raw, '"ref"')
        if "name" in ref:
            route = _named(listing.prompts, ref, "prompt")
            return _Route(route.target, {"ref": rawjson.joined(ref, route.changes)})
        uri = ref["uri"].text if "uri" in ref else None
        template = listing.templates.get(uri or "")
        return _Route(template or self.resource(listing, ref), {})

    def _remember_links(self, server: str, result: bytes) -> None:
        content = rawjson.member(result, "content")
        for block in content.value if content and isinstance(content.value, list) else ():
            link = isinstance(block, dict) and block.get("type") == "resource_link"
            if link and type(uri := block.get("uri")) is str:
                self._links.pop(uri, None)
                self._links[uri] = server
        while len(self._links) > _LINKS:
            del self._links[next(iter(self._links))]


def _named(table: Mapping[str, Target], params: Mapping[str, Member], noun: str) -> _Route:
    name = params["name"].text if "name" in params else None
    if name is None:
        raise Fault(INVALID_PARAMS, 'params: "name" must be a string.')
    if (target := table.get(name)) is None:
        raise Fault(INVALID_PARAMS, f"Unknown {noun}: {one_line(name, NAME_LIMIT)}")
    return _Route(target, {"name": rawjson.quoted(target.name)})


async def answered(
    channel: Channel,
    method: str,
    params: bytes,
    result: bytes,
    caller: Caller,
    name: str | None,
    client: Client | None,
) -> bytes:
    """A 2026 server's result for a 2025 client: what the server asks, the client is asked, and the
    request is sent again with the answers (spec 2026-07-28: multi round-trip requests).

    Raises Fault, UpstreamError.
    """
    for _ in range(_ROUNDS):
        if (plain := _untyped(result)) is not None:
            return plain
        match rawjson.member(result, "resultType"):
            case Member(value="complete"):
                return rawjson.without(result, "resultType")
            case Member(value="input_required"):
                changes = await _answers(result, client)
            case _:
                return result
        again = rawjson.splice(params, changes)
        result = await channel.request(method, again, caller=caller, name=name, client=client)
    raise Fault(INVALID_REQUEST, f"The server asked more than {_ROUNDS} times for input.")


async def _answers(result: bytes, client: Client | None) -> dict[str, bytes | None]:
    """What a request that needs input is sent again with. Raises RpcError, Fault."""
    try:
        members = rawjson.parse_object(result)
        requests = members.get("inputRequests")
        asked = {} if requests is None else rawjson.parse_object(requests.raw)
        questions = {key: rawjson.parse_object(each.raw) for key, each in asked.items()}
    except Malformed as error:
        raise Fault(INVALID_REQUEST, f"What the server asks could not be read: {error}.") from None
    methods = {key: each["method"].text for key, each in questions.items() if "method" in each}
    if client is None or any(methods.get(key) not in QUESTIONS for key in questions):
        raise Fault(INVALID_REQUEST, "The server asks for input that this client cannot give.")
    answers = await asyncio.gather(
        *(
            client.asked(methods[key] or "", each["params"].raw if "params" in each else b"{}")
            for key, each in questions.items()
        )
    )
    state = members.get("requestState")
    return {
        "inputResponses": rawjson.joined({}, dict(zip(questions, answers, strict=True))),
        "requestState": None if state is None else state.raw,
    }


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


def _own_meta(meta: bytes) -> bytes | None:
    """`_meta` without what concerns only the client and this proxy; None where nothing is left."""
    if meta.startswith(b'{"') and not (_ENVELOPE in meta or b"\\" in meta) and rawjson.unique(meta):
        return meta
    return _own_members(meta)


@remembered
def _own_members(meta: bytes) -> bytes | None:
    members = members_of(meta, '"_meta"')
    kept = rawjson.joined(members, dict.fromkeys(ENVELOPE_KEYS))
    return None if kept == b"{}" else kept


def _untyped(result: bytes) -> bytes | None:
    """A complete result without its type, for the two places where SDKs write it; else None."""
    if result.endswith(_TYPED_LAST):
        rest = result[: -len(_TYPED_LAST)] + b"}"
    elif result.startswith(_TYPED_FIRST):
        rest = b"{" + result[len(_TYPED_FIRST) :]
    else:
        return None
    return None if rawjson.holds(rest, _TYPE, b"T") else rest


def _as_modern(result: bytes, method: str) -> bytes:
    """A 2025 server's result for a 2026 client, where every result has its type."""
    if rawjson.holds(result, _TYPE, b"T") and rawjson.member(result, "resultType") is not None:
        return result
    cached = b"" if method != "resources/read" or b'"ttlMs"' in result else _NEVER_KEPT
    rest = result[1:] if result.startswith(b'{"') else result.lstrip()[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    return b'{"resultType":"complete"%b%b%b' % (cached, comma, rest)
