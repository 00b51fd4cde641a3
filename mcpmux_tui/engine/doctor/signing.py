"""The checks of a server that wants to know who asks. Nobody is signed in or registered by them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcpmux_tui.auth.challenge import Challenge, challenges, parse
from mcpmux_tui.auth.failed import SignInFailed
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.auth.tokens import SignIn
from mcpmux_tui.engine.doctor.failed import Failed
from mcpmux_tui.engine.sign_ins import SignIns, in_words
from mcpmux_tui.model.errors import SignInRequired
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.server import Health, ServerSnapshot
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.text import one_line

if TYPE_CHECKING:
    from mcpmux_tui.auth.discovery import Discovery
    from mcpmux_tui.auth.grant import Registration

_MOST: Final = Limits().beginning
"""Seconds for learning where one signs in."""
_WAITS: Final = frozenset({Health.NEEDS_SIGN_IN, Health.SIGNING_IN})


async def checks(
    name: str,
    launch: HttpLaunch,
    status: int,
    lines: Sequence[str],
    sign_ins: SignIns,
    state: Callable[[], ServerSnapshot | None],
) -> AsyncIterator[tuple[str, str]]:
    """The checks in order, of a server that answered `status` with these challenges, if it is one
    to sign in to. Raises Failed."""
    challenge = parse(lines)
    asks = status == 401 or challenge is not None
    if launch.brings_authorization or not (asks or launch.oauth.client_id):
        return
    try:
        known: SignIn | SignInRequired = await sign_ins.look(name, launch)
    except SignInRequired as error:
        known = error
    signed_in = isinstance(known, SignIn) and known.signed_in
    now = state()
    if launch.headers and not signed_in and not (now is not None and now.state in _WAITS):
        # The headers of the entry, which are not sent here, may be all it wants.
        return
    yield "challenge", _challenged(challenge, lines, asks=asks)
    # The SDK takes a while to import.
    await asyncio.to_thread(import_module, "mcpmux_tui.auth.registration")
    found = await _discovered(launch, challenge)
    yield "metadata", _described(found)
    kept = sign_ins.registration(name, launch)
    yield "registration", _registered(found, launch, kept)
    yield "token", _signed(name, known, guessed=found.guessed)


def _challenged(challenge: Challenge | None, lines: Sequence[str], *, asks: bool) -> str:
    if not asks:
        return "it asks for no sign-in here, but `client_id` in its entry does"
    if challenge is not None and challenge.resource_metadata:
        return "it asks for a sign-in and says where that is described"
    if challenge is not None:
        lacks = "its `WWW-Authenticate` lacks `resource_metadata`"
    elif schemes := dict.fromkeys(scheme for scheme, _ in challenges(lines)):
        lacks = f"its `WWW-Authenticate` names {one_line(', '.join(schemes), 80)} and no Bearer"
    else:
        lacks = "it lacks `WWW-Authenticate`"
    return f"it asks for a sign-in; {lacks}, so the usual places are looked at"


async def _discovered(launch: HttpLaunch, challenge: Challenge | None) -> Discovery:
    from mcpmux_tui.auth.discovery import discover
    from mcpmux_tui.auth.fetch import Fetcher, is_within

    try:
        async with asyncio.timeout(_MOST):
            inside = await is_within(urlsplit(launch.url).hostname or "")
            return await discover(launch.url, challenge, launch.oauth, Fetcher(inside=inside))
    except SignInFailed as error:
        raise Failed.by("metadata", error, Mend.EDIT) from error
    except TimeoutError as error:
        said = f"Where one signs in was not to be learned within {_MOST:g} s."
        raise Failed("metadata", said, "Try again later.") from error


def _described(found: Discovery) -> str:
    if found.guessed:
        return " ".join(found.concerns)
    registers = found.endpoints.registration is not None
    traits = [
        "knows PKCE with S256"
        if found.pkce
        else "does not say that it knows PKCE, which its entry lets pass",
        *(["takes client metadata documents"] if found.takes_metadata_url else []),
        "registers clients by itself" if registers else "registers no clients by itself",
    ]
    host = urlsplit(found.issuer).hostname or ""
    return " ".join([f"{host} signs people in: it {', '.join(traits)}.", *found.concerns])


def _registered(found: Discovery, launch: HttpLaunch, kept: Registration | None) -> str:
    from mcpmux_tui.auth.registration import endpoint, known

    spec = launch.oauth
    back = (kept.redirect_uri if kept else None) or ""
    client = known(found, spec, kept, back, time.time())
    if client is not None:
        if client.made_here:
            return "mcpmux has registered there before"
        what = "client" if spec.client_id else "client metadata document"
        return f"the {what} {one_line(client.client_id, 200)} of its entry"
    try:
        endpoint(found)
    except SignInFailed as error:
        raise Failed.by("registration", error, Mend.EDIT) from error
    return "mcpmux registers there at the sign-in"


def _signed(name: str, known: SignIn | SignInRequired, *, guessed: bool) -> str:
    if isinstance(known, SignInRequired):
        raise Failed("token", f"{name} {known.message}.", known.hint, Mend.RETRY)
    if not known.signed_in:
        over = known.expires_at is not None
        said = "The token has run out and cannot be renewed." if over else "Nobody is signed in."
        fix = "If it wants a key instead, put that into `headers` of its entry." if guessed else ""
        raise Failed("token", said, known.warning or fix, Mend.SIGN_IN)
    trouble = f"; it cannot be renewed now: {known.trouble}" if known.trouble else ""
    return in_words(known.account, known.expires_at) + trouble
