"""Who is signed in where: the tokens of remote servers, and the sign-ins under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from mcpmux_tui.auth import revoke
from mcpmux_tui.auth.grant import Registration, binding, item
from mcpmux_tui.auth.record import Record
from mcpmux_tui.auth.tokens import SignIn as Signed
from mcpmux_tui.auth.tokens import TokenManager
from mcpmux_tui.auth.turns import Turns
from mcpmux_tui.control.protocol import Login, LoginDone, LoginStep
from mcpmux_tui.model.errors import ControlError, McpmuxError, SignInRequired
from mcpmux_tui.model.hosts import is_loopback
from mcpmux_tui.model.secret import Secret
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.vault.store import Vault

T = TypeVar("T")

if TYPE_CHECKING:
    import httpx2

    from mcpmux_tui.auth.callback import Callback
    from mcpmux_tui.auth.flow import SignIn


@dataclass(slots=True)
class UnderWay:
    """A sign-in that waits for a person, or has just ended."""

    step: LoginStep
    sign_in: SignIn
    done: asyncio.Task[LoginDone]


@dataclass(slots=True)
class Starting:
    """A sign-in of which it is not known yet what a person has to do."""

    wish: Login
    task: asyncio.Task[LoginStep]


class SignIns:
    """All of one engine. `changed` is called with a server whose sign-in is not what it was,
    `ready` with one that may be tried again, `failed` with one and why nobody is signed in, `hide`
    with each secret before its first use."""

    def __init__(
        self,
        secrets: Vault,
        folder: Path,
        *,
        hide: Callable[[Secret], None] = lambda _: None,
        changed: Callable[[str], None] = lambda _: None,
        ready: Callable[[str], None] = lambda _: None,
        failed: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._secrets = secrets
        self._index = secrets.index
        self._folder = folder
        self._hide = hide
        self._changed = changed
        self._ready = ready
        self._failed = failed
        self._turns = Turns()
        self._managers: dict[str, tuple[str, TokenManager]] = {}
        self._starting: dict[str, Starting] = {}
        self._under_way: dict[str, UnderWay] = {}
        self._failures: dict[str, McpmuxError] = {}
        self._callback: Callback | None = None

    def authorize(self, server: str, launch: HttpLaunch) -> httpx2.Auth | None:
        """What puts who asks on the requests to a server; see `attempt.Authorize`."""
        if launch.brings_authorization:
            return None
        from mcpmux_tui.auth.attach import BearerAuth

        return BearerAuth(self._manager(server, launch), launch.url)

    def signed(self, server: str) -> Signed | None:
        """What is known of a server's sign-in."""
        known = self._managers.get(server)
        return None if known is None else known[1].sign_in

    def under_way(self, server: str) -> UnderWay | None:
        """The sign-in that waits for a person, if there is one."""
        known = self._under_way.get(server)
        return None if known is None or known.done.done() else known

    def failure(self, server: str) -> McpmuxError | None:
        """Why the last sign-in came to nothing, until the next one."""
        return self._failures.get(server)

    async def look(self, server: str, launch: HttpLaunch) -> Signed:
        """What is known of a server's sign-in, its kept tokens included.

        Raises SignInRequired where the vault cannot be read.
        """
        manager = self._manager(server, launch)
        await manager.load()
        return manager.sign_in

    def registration(self, server: str, launch: HttpLaunch) -> Registration | None:
        """Who mcpmux was to the authorization server at the last sign-in, after `look`."""
        grant = self._manager(server, launch).grant
        return None if grant is None else grant.registration

    async def begin(self, wish: Login, launch: HttpLaunch) -> LoginStep:
        """Begin a sign-in; a second wish for one gets the same. Raises McpmuxError."""
        server = wish.server
        if launch.brings_authorization:
            raise ControlError(
                f"{server} brings an `Authorization` header: nobody signs in to it.",
                "Remove that from its `headers` to sign in instead.",
            )
        known = self.under_way(server)
        if known is not None and _same(known.step, wish):
            return known.step
        starting = self._starting.get(server)
        if starting is None or starting.wish != wish:
            self.cancel(server)
            self._failures.pop(server, None)
            task = asyncio.create_task(self._begin(wish, launch), name=f"{server}-begin-sign-in")
            self._starting[server] = starting = Starting(wish, task)
            task.add_done_callback(lambda _: self._started(server, task))
        await asyncio.wait({starting.task})
        return _outcome(starting.task)

    async def _begin(self, wish: Login, launch: HttpLaunch) -> LoginStep:
        server = wish.server
        from mcpmux_tui.auth.callback import Callback
        from mcpmux_tui.auth.failed import ClientUnknown
        from mcpmux_tui.auth.fetch import Fetcher, is_within
        from mcpmux_tui.auth.flow import SignIn, Wanted

        manager = self._manager(server, launch)
        try:
            await manager.load()
        except SignInRequired as error:
            raise ControlError(f"{server} {error.message}.", error.hint) from error
        if self._callback is None:
            self._callback = Callback()
        host = urlsplit(launch.url).hostname or ""
        kept = manager.grant
        wanted = Wanted(server, launch.url, _binding(launch), launch.oauth, manager.challenge, kept)
        sign_in = SignIn(wanted, self._callback, Fetcher(inside=await is_within(host)))
        try:
            pending = await sign_in.begin(
                port=_port(kept.registration.redirect_uri if kept and kept.registration else None),
                device=wish.device,
                agreed=wish.agreed or is_loopback(host),
                scopes=wish.scopes,
            )
        except ClientUnknown:
            await manager.forget_registration()
            raise
        step = LoginStep(
            address=pending.address,
            host=pending.host,
            scopes=pending.scopes,
            offered=pending.offered,
            concerns=pending.concerns,
            redirect=pending.redirect,
            code=pending.code,
            by_device=pending.by_device,
            since=time.time(),
        )
        if not pending.address:
            return step
        done = asyncio.create_task(
            self._finish(server, sign_in, manager, step.offered), name=f"{server}-sign-in"
        )
        done.add_done_callback(lambda _: self._over(server, done))
        self._under_way[server] = UnderWay(step, sign_in, done)
        self._changed(server)
        return step

    async def wait(self, server: str) -> LoginDone:
        """The outcome of the sign-in under way, or of the last. Raises McpmuxError."""
        known = self._under_way.get(server)
        if known is None:
            raise _none_under_way(server)
        await asyncio.wait({known.done})
        return _outcome(known.done)

    def paste(self, server: str, text: str) -> None:
        """Take the address at which a browser ended. Raises McpmuxError."""
        known = self.under_way(server)
        if known is None:
            raise _none_under_way(server)
        known.sign_in.paste(text)

    def cancel(self, server: str) -> None:
        """End the sign-in that begins or is under way, if there is one."""
        if (starting := self._starting.pop(server, None)) is not None:
            starting.task.cancel()
        if (under_way := self._under_way.pop(server, None)) is not None:
            under_way.done.cancel()
            under_way.sign_in.close()

    async def logout(self, server: str, launch: HttpLaunch, *, reset: bool) -> bool:
        """Revoke and delete a server's tokens; whether its authorization server was told.

        Raises McpmuxError.
        """
        self.cancel(server)
        self._failures.pop(server, None)
        return await self._manager(server, launch).logout(reset=reset)

    async def forget(self, server: str) -> None:
        """A server was removed: nothing of it stays. Raises McpmuxError."""
        self.cancel(server)
        self._failures.pop(server, None)
        known = self._managers.pop(server, None)
        if known is not None:
            await known[1].forget()
        elif await asyncio.to_thread(self._index.has, item(server)):
            record = Record(server, secrets=self._secrets, folder=self._folder)
            await revoke.forget(record)

    async def rename(self, old: str, new: str) -> None:
        """What is kept of one server belongs to another name now. Raises McpmuxError."""
        self.cancel(old)
        self._failures.pop(old, None)
        if (known := self._managers.pop(old, None)) is not None:
            await known[1].close()
        record = Record(old, secrets=self._secrets, folder=self._folder)
        async with record.locked():
            if (grant := await record.read(fresh=True)) is not None:
                await Record(new, secrets=self._secrets, folder=self._folder).write(grant)
                await record.delete()
            record.remove_lock()

    async def close(self) -> None:
        """End what is under way; renewals may still be kept."""
        ending = [each.done for each in self._under_way.values()]
        starting = [each.task for each in self._starting.values()]
        for server in {*self._under_way, *self._starting}:
            self.cancel(server)
        await asyncio.gather(*ending, *starting, return_exceptions=True)
        await asyncio.gather(*(manager.close() for _, manager in self._managers.values()))

    def _manager(self, server: str, launch: HttpLaunch) -> TokenManager:
        bound = _binding(launch)
        known = self._managers.get(server)
        if known is not None and known[0] == bound:
            return known[1]
        manager = TokenManager(
            Record(server, secrets=self._secrets, folder=self._folder),
            binding=bound,
            hide=self._hide,
            changed=self._changed,
            turns=self._turns,
            wanted=bool(launch.oauth.client_id),
        )
        self._managers[server] = (bound, manager)
        return manager

    async def _finish(
        self, server: str, sign_in: SignIn, manager: TokenManager, offered: tuple[str, ...]
    ) -> LoginDone:
        from mcpmux_tui.auth.failed import ClientUnknown, SignInDeclined

        try:
            grant = await sign_in.finish()
        except ClientUnknown:
            await manager.forget_registration()
            raise
        except SignInDeclined:
            if missing := manager.sign_in.missing_scopes:
                # Who declined more rights goes on with those there are.
                await manager.decline(missing)
                self._ready(server)
            raise
        granted = grant.tokens.scopes if grant.tokens else ()
        if refused := tuple(scope for scope in offered if scope not in granted):
            grant = grant.refused(refused, time.time())
        await manager.adopt(grant)
        self._ready(server)
        known = manager.sign_in
        passing = f"It is not kept: {why}." if (why := self._secrets.passing) else ""
        return LoginDone(account=known.account or "", warning=known.warning or passing)

    def _started(self, server: str, task: asyncio.Task[LoginStep]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), McpmuxError):
            self._fail(server, error)
        known = self._starting.get(server)
        if known is not None and known.task is task:
            del self._starting[server]

    def _over(self, server: str, done: asyncio.Task[LoginDone]) -> None:
        if not done.cancelled() and isinstance(error := done.exception(), McpmuxError):
            self._fail(server, error)
        self._changed(server)

    def _fail(self, server: str, error: McpmuxError) -> None:
        self._failures[server] = error
        self._failed(server, str(error))
        self._changed(server)


def in_words(account: str | None, expires_at: float | None) -> str:
    """Who is signed in and for how long, for people."""
    who = f"signed in as {account}" if account else "signed in"
    if expires_at is None:
        return who
    clock = time.strftime("%Y-%m-%d %H:%M", time.localtime(expires_at))
    return f"{who}, token good until {clock}"


def _none_under_way(server: str) -> ControlError:
    return ControlError(f"No sign-in to {server} is under way.", "Begin again.")


def _outcome(task: asyncio.Task[T]) -> T:
    if task.cancelled():
        raise ControlError("The sign-in was cancelled.", "Begin again.")
    return task.result()


def _same(step: LoginStep, wish: Login) -> bool:
    """Whether the sign-in under way is the one that is wished for."""
    asks = wish.scopes is None or set(wish.scopes) == set(step.scopes)
    return bool(step.code) == wish.device and asks


def _binding(launch: HttpLaunch) -> str:
    oauth = launch.oauth
    return binding(
        launch.url,
        client_id=oauth.client_id or None,
        client_secret=Secret(oauth.client_secret) if oauth.client_secret else None,
        metadata_url=oauth.client_metadata_url or None,
    )


def _port(redirect_uri: str | None) -> int:
    """The port that an earlier sign-in was registered with; 0 for any."""
    try:
        return urlsplit(redirect_uri or "").port or 0
    except ValueError:
        return 0
