"""The params of a request: their members, and the progress token in `_meta`.

Spec: basic/index (`_meta`) and basic/utilities/progress.
"""

from __future__ import annotations

import re
from typing import Final

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.rawjson import Malformed, Member
from mcpmux_tui.model.remember import remembered

_CALL = re.compile(rb'"name":("[^"\\\x00-\x1f]{1,200}"),"arguments":(?=\{)', re.ASCII)
_META_FIRST = b'{"_meta":'
_META_LAST = b',"_meta":'
_NAME_NEXT = b'},"name":'
_CLOSED_AND_MORE = re.compile(rb'\}[ \t\n\r]*,[ \t\n\r]*"')
_TRIES = 4
_SHORT = 4096
_KEY: Final = b'"progressToken"'
_TOKEN = re.compile(_KEY + rb'\s*:\s*(-?(?:0|[1-9][0-9]{0,18})|"[^"\\\x00-\x1f]{0,200}")\s*[,}]')


def parse_params(params: bytes) -> dict[str, Member]:
    """The members of the params of a parsed message. Raises Malformed as `parse_object` does."""
    return parse_call(params) or rawjson.parse_object(params)


def parse_call(params: bytes) -> dict[str, Member] | None:
    """What `parse_object` would return, for the orders in which SDKs write a call; else None.

    `params` are those of a parsed message. Values are not decoded here but for names.
    """
    if not params.endswith(b"}}"):
        return None
    first = _meta_in_front(params) if params.startswith(_META_FIRST) else b""
    head = _CALL.match(params, len(_META_FIRST) + len(first) + 1 if first else 1)
    if head is None or not params.startswith(b"{"):
        return None
    # They are known to be one object, so the last brace is its own, and `},"_meta":{` is no part
    # of a string: its quote is not escaped, and no string ends before a letter. If one object
    # reaches from there to the last brace, it is a member of the params themselves.
    start, stop = head.end(), len(params) - 1
    closed = params.find(b"}", start)
    last = b""
    at = params.rfind(b"}" + _META_LAST + b"{", closed, stop) + 1
    if at and not first and _known_object(meta := params[at + len(_META_LAST) : stop]):
        stop, last = at, meta
    arguments = params[start:stop]
    # Where they end before that, a comma and a key come after a closing brace.
    if _CLOSED_AND_MORE.search(params, closed, stop) and not rawjson.is_object(arguments):
        return None
    name = head[1]
    members = {"_meta": Member(first, {})} if first else {}
    members["name"] = Member(name, name[1:-1].decode("utf-8"))
    members["arguments"] = Member(arguments, {})
    if last:
        members["_meta"] = Member(last, {})
    return members


def _meta_in_front(params: bytes) -> bytes:
    """The object before the name, nothing where none is found."""
    start = at = len(_META_FIRST)
    for _ in range(_TRIES):
        at = params.find(_NAME_NEXT, at) + 1
        if at == 0:
            break
        # Whatever stands inside it too: one object that begins there ends only once.
        if _known_object(meta := params[start:at]):
            return meta
    return b""


_known_object = remembered(rawjson.is_object)
"""The same of what comes again, such as the `_meta` of a client."""


def progress_token(params: bytes) -> bytes | None:
    """The raw token under which a request wants to hear of its progress, or None."""
    # What stands around a large argument is found sooner than anything inside it.
    if len(params) <= _SHORT and _KEY not in params:
        return None
    if (found := _last_token(params)) is not None:
        return found[1]
    try:
        meta = parse_params(params).get("_meta")
    except Malformed:
        return None
    return None if meta is None else token_in(meta.raw)


def with_progress_token(params: bytes, token: bytes) -> bytes:
    """The params of a request that has one with another token."""
    if (found := _last_token(params)) is not None:
        return _in_place_of(found, token)
    members = parse_params(params)
    return rawjson.joined(members, {"_meta": with_token(members["_meta"].raw, token)})


def token_in(holder: bytes) -> bytes | None:
    """The raw token of an object: `_meta` of a request, params of a progress notification."""
    if (found := _plain_token(holder)) is not None:
        return found[1]
    token = rawjson.member(holder, "progressToken")
    return None if token is None else token.raw


def with_token(holder: bytes, token: bytes) -> bytes:
    """The same object with another token. Raises Malformed."""
    if (found := _plain_token(holder)) is not None:
        return _in_place_of(found, token)
    return rawjson.splice(holder, {"progressToken": token})


def _last_token(params: bytes) -> re.Match[bytes] | None:
    """The token in a `_meta` near the end, where no other reading is possible."""
    # That key is in no string (see `parse_call`). One brace is left to end its object, and the
    # last one ends the params: it is their own member.
    start = params.rfind(_META_LAST + b"{") + len(_META_LAST)
    meta = params[start:-1]
    if start < len(_META_LAST) or meta.count(b"}") != 1:
        return None
    return _TOKEN.search(params, start) if _plain_token(meta) is not None else None


def _in_place_of(found: re.Match[bytes], token: bytes) -> bytes:
    """The text that was searched, with another token."""
    return found.string[: found.start(1)] + token + found.string[found.end(1) :]


def _plain_token(holder: bytes) -> re.Match[bytes] | None:
    """The token of an object that is known to be one, where no other reading is possible."""
    # One brace, one such key and no escape: the key is the object's own.
    if holder.count(b"{") != 1 or holder.count(_KEY) != 1 or b"\\" in holder:
        return None
    return _TOKEN.search(holder)
