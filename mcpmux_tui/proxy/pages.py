"""Lists, whole or in pages. A cursor is opaque, and good only for the list it was made of."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.protocol import INVALID_PARAMS
from mcpmux_tui.model.rawjson import Member
from mcpmux_tui.proxy.catalog import Listing
from mcpmux_tui.proxy.fault import Fault


def page(listing: Listing, kind: Kind, params: Mapping[str, Member], size: int) -> bytes:
    """The members of an answer with one page of a list; `size` 0 puts all into one.

    Raises Fault for a cursor that is not of this list as it is now.
    """
    key = kind.value.encode("ascii")
    cursor = params.get("cursor")
    given = cursor is not None and cursor.value is not None
    whole = listing.lists[kind]
    if not size and not given:
        return b'"%b":%b' % (key, whole)
    digest = hashlib.blake2b(whole, digest_size=12).digest()
    start = 0 if cursor is None or not given else _start(cursor, digest)
    definitions = listing.definitions[kind]
    if start and (not size or start >= len(definitions)):
        raise _invalid()
    end = start + size
    members = b'"%b":[%b]' % (key, b",".join(definitions[start:end]))
    if end < len(definitions):
        members += b',"nextCursor":"%b"' % base64.urlsafe_b64encode(digest + end.to_bytes(3, "big"))
    return members


def _start(cursor: Member, digest: bytes) -> int:
    try:
        raw = base64.urlsafe_b64decode(cursor.text or "")
    except (binascii.Error, ValueError):
        raise _invalid() from None
    if len(raw) != len(digest) + 3 or raw[:-3] != digest:
        raise _invalid()
    return int.from_bytes(raw[-3:], "big")


def _invalid() -> Fault:
    return Fault(INVALID_PARAMS, "Invalid cursor")
