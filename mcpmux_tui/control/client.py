"""A door's end of the control socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from mcpmux_tui.control import protocol
from mcpmux_tui.control.address import LINE_LIMIT, read_address
from mcpmux_tui.model.errors import ControlError, NoEngine
from mcpmux_tui.model.question import Verdict
from mcpmux_tui.model.server import Action, EngineSnapshot
from mcpmux_tui.model.settings import UiChange

M = TypeVar("M", bound=BaseModel)

_ENDED = "The mcpmux engine has ended."


class Client:
    """One connection to an instance's engine; requests may overlap."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[JsonValue]] = {}
        self._next_id = 0
        self._updates: asyncio.Queue[protocol.Update | None] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read(), name="control-client")

    @classmethod
    async def connect(cls, instance: Path) -> Self:
        """Connect to the engine of the instance whose state folder is `instance`.

        Raises NoEngine.
        """
        address = read_address(instance)
        if address is None:
            raise NoEngine
        try:
            reader, writer = await asyncio.open_unix_connection(str(address), limit=LINE_LIMIT)
        except (FileNotFoundError, ConnectionError):
            raise NoEngine from None
        except OSError as error:
            raise ControlError(
                f"The engine's socket cannot be opened: {error.strerror or error}.",
                f"It is {address}; check who owns it.",
            ) from error
        return cls(reader, writer)

    async def close(self) -> None:
        """Close the connection; waiting requests fail."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._fail_waiting()
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def hello(self) -> protocol.Hello:
        """Who answers, and everything a door shows, once."""
        return await self._ask("hello", {}, protocol.Hello)

    async def watch(self) -> AsyncGenerator[EngineSnapshot]:
        """Yield everything a door shows now, and again after each change; ends with the engine.

        One watcher per connection.
        """
        snapshot = (await self._ask("watch", {}, protocol.Hello)).snapshot
        yield snapshot
        while (update := await self._updates.get()) is not None:
            snapshot = update.apply(snapshot)
            while not self._updates.empty():
                newer = self._updates.get_nowait()
                if newer is None:
                    yield snapshot
                    return
                snapshot = newer.apply(snapshot)
            yield snapshot

    async def act(self, server: str, action: Action) -> None:
        """Do `action` to `server`. Raises ControlError where its state does not allow it."""
        await self._request("act", protocol.Act(server=server, action=action))

    async def answer(self, question: int, verdict: Verdict, typed: Mapping[str, str]) -> None:
        """Answer a server's question. Raises ControlError where the answer does not fit."""
        await self._request(
            "answer", protocol.Answer(question=question, verdict=verdict, typed=dict(typed))
        )

    async def login(self, wish: protocol.Login) -> protocol.LoginStep:
        """Begin a sign-in, or get the one under way. Raises ControlError."""
        return await self._ask("login", wish, protocol.LoginStep)

    async def login_wait(self, server: str) -> protocol.LoginDone:
        """Wait until a person has signed in. Raises ControlError with why nobody has."""
        return await self._ask("login_wait", {"server": server}, protocol.LoginDone)

    async def login_paste(self, server: str, address: str) -> None:
        """Hand over the address at which a browser ended. Raises ControlError."""
        await self._request("login_paste", protocol.LoginPaste(server=server, address=address))

    async def login_cancel(self, server: str) -> None:
        """End the sign-in under way. Raises ControlError."""
        await self._request("login_cancel", {"server": server})

    async def logout(self, server: str, *, reset: bool) -> protocol.LoggedOut:
        """Revoke and delete a server's tokens. Raises ControlError."""
        request = protocol.Logout(server=server, reset=reset)
        return await self._ask("logout", request, protocol.LoggedOut)

    async def items(self, page: protocol.ItemPage) -> protocol.Items:
        """Part of what servers list. Raises ControlError."""
        return await self._ask("items", page, protocol.Items)

    async def item_form(self, name: protocol.ItemName) -> protocol.ItemForm:
        """What an item asks for. Raises ControlError."""
        return await self._ask("item_form", name, protocol.ItemForm)

    async def try_item(self, wish: protocol.TryItem) -> protocol.Outcome:
        """Call a tool, get a prompt or read a resource. Raises ControlError."""
        return await self._ask("try_item", wish, protocol.Outcome)

    async def try_progress(self, key: str) -> protocol.TryProgress:
        """What the server last said of a try under way."""
        return await self._ask("try_progress", protocol.TryKey(key=key), protocol.TryProgress)

    async def try_cancel(self, key: str) -> None:
        """Cancel a try of this door."""
        await self._request("try_cancel", protocol.TryKey(key=key))

    async def offer(self, offer: protocol.Offer) -> None:
        """Have clients get a tool, or not. Raises ControlError."""
        await self._request("offer", offer)

    async def entry(self, server: str) -> protocol.Entry:
        """A server's entry as the config has it, secrets masked. Raises ControlError."""
        return await self._ask("entry", {"server": server}, protocol.Entry)

    async def doctor(self, server: str) -> protocol.Checkup:
        """Check one server. Raises ControlError."""
        return await self._ask("doctor", {"server": server}, protocol.Checkup)

    async def values(self, server: str) -> protocol.ValueFields:
        """What a server needs from a person. Raises ControlError."""
        return await self._ask("values", {"server": server}, protocol.ValueFields)

    async def give_values(self, given: protocol.GiveValues) -> protocol.ValuesGiven:
        """Hand over what a person typed. Raises ControlError where it cannot be kept."""
        return await self._ask("give_values", given, protocol.ValuesGiven)

    async def refer_to_secret(self, server: str, name: str) -> None:
        """Have a server's entry say ${secret:NAME} instead of ${NAME}. Raises ControlError."""
        await self._request("refer_to_secret", protocol.ServerValue(server=server, name=name))

    async def secure(self, server: str) -> protocol.Moved:
        """Move a server's plain secrets from the config to the keyring. Raises ControlError."""
        return await self._ask("secure", {"server": server}, protocol.Moved)

    async def undo_secure(self) -> protocol.Moved:
        """Undo the last such move. Raises ControlError."""
        return await self._ask("undo_secure", {}, protocol.Moved)

    async def keeping(self) -> protocol.Keeping:
        """What keeps secrets over restarts."""
        return await self._ask("keeping", {}, protocol.Keeping)

    async def change_ui(self, change: UiChange) -> None:
        """Write into the config's `[ui]`. Raises ControlError where that fails."""
        await self._request("change_ui", change)

    async def secrets(self) -> protocol.SecretList:
        """The values given by name, and those that servers wait for."""
        return await self._ask("secrets", {}, protocol.SecretList)

    async def secret_set(self, name: str, value: str) -> None:
        """Keep a value under a name. Raises ControlError."""
        await self._request("secret_set", protocol.SecretSet(name=name, value=value))

    async def secret_remove(self, name: str) -> None:
        """Forget the value under a name. Raises ControlError."""
        await self._request("secret_remove", protocol.SecretName(name=name))

    async def logs(self, search: protocol.LogSearch) -> protocol.LogPage:
        """The newest lines of one server's log, or of all."""
        return await self._ask("logs", search, protocol.LogPage)

    async def client_choices(self) -> protocol.ClientChoices:
        """The clients an entry can be made for, those found on this machine first."""
        return await self._ask("client_choices", {}, protocol.ClientChoices)

    async def client_entry(self, client: str) -> protocol.ClientEntry:
        """What to put into one client's config to use this proxy; holds the token."""
        request = protocol.ClientEntryRequest(client=client)
        return await self._ask("client_entry", request, protocol.ClientEntry)

    async def find_imports(self) -> protocol.Found:
        """Servers in other tools' configs on this machine."""
        return await self._ask("find_imports", {}, protocol.Found)

    async def import_servers(self, keys: tuple[str, ...]) -> protocol.Imported:
        """Add found servers to the config."""
        request = protocol.ImportRequest(keys=keys)
        return await self._ask("import", request, protocol.Imported)

    async def draft_read(self, draft: protocol.Draft) -> protocol.Reading:
        """What a draft says; nothing is started."""
        return await self._ask("draft_read", draft, protocol.Reading)

    async def draft_test(self, key: str, draft: protocol.Draft) -> protocol.DraftTested:
        """Connect to the servers of a draft, apart from all others. Raises ControlError."""
        test = protocol.DraftTest(key=key, draft=draft)
        return await self._ask("draft_test", test, protocol.DraftTested)

    async def draft_cancel(self, key: str) -> None:
        """End a test of this door."""
        await self._request("draft_cancel", protocol.DraftKey(key=key))

    async def draft_keep(self, draft: protocol.Draft) -> protocol.DraftKept:
        """Put a draft into the config. Raises ControlError where it cannot be written."""
        return await self._ask("draft_keep", draft, protocol.DraftKept)

    async def entry_form(self, server: str, *, copy_of: bool = False) -> protocol.EntryForm:
        """A server's entry as a form. Raises ControlError."""
        wanted = protocol.FormWanted(server=server, copy_of=copy_of)
        return await self._ask("entry_form", wanted, protocol.EntryForm)

    async def place(self, server: str) -> protocol.Place:
        """Where a server's entry stands; of no server: the file."""
        return await self._ask("place", {"server": server}, protocol.Place)

    async def delete_server(self, server: str) -> protocol.Gone:
        """Take a server out of the config, and its sign-in out of the keyring."""
        return await self._ask("delete_server", {"server": server}, protocol.Gone)

    async def reload(self) -> None:
        """Read the config file again and apply what changed. Raises ControlError."""
        await self._request("reload", {})

    async def end_leftovers(self) -> None:
        """End what an earlier run left behind. Raises ControlError."""
        await self._request("end_leftovers", {})

    async def detach(self) -> None:
        """Have the engine go on when the door that owns it leaves. Raises ControlError."""
        await self._request("detach", {})

    async def stop(self) -> None:
        """Ask the engine to end; returns when the connection has closed."""
        await self._request("stop", {})
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _ask(
        self, method: str, params: BaseModel | Mapping[str, JsonValue], answer: type[M]
    ) -> M:
        result = await self._request(method, params)
        try:
            return answer.model_validate(result)
        except ValidationError as error:
            raise ControlError(
                "The engine answered in a form this mcpmux does not know.",
                "It runs another version: end it with `mcpmux stop` and start again.",
            ) from error

    async def _request(self, method: str, params: BaseModel | Mapping[str, JsonValue]) -> JsonValue:
        if self._reading.done():
            raise NoEngine(_ENDED)
        self._next_id += 1
        body = params.model_dump(mode="json") if isinstance(params, BaseModel) else dict(params)
        request = protocol.Request(id=self._next_id, method=method, params=body)
        answer: asyncio.Future[JsonValue] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = answer
        try:
            self._writer.write(request.model_dump_json().encode() + b"\n")
            await self._writer.drain()
            return await answer
        except ConnectionError:
            raise NoEngine(_ENDED) from None
        finally:
            self._waiting.pop(request.id, None)

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                match protocol.engine_line.validate_json(line):
                    case protocol.Reply() as reply:
                        self._settle(reply)
                    case protocol.Update() as update:
                        self._updates.put_nowait(update)
        except (OSError, ValueError):
            # A line that is too long or of another version ends this connection as a closed one.
            return
        finally:
            self._fail_waiting()
            self._updates.put_nowait(None)

    def _settle(self, reply: protocol.Reply) -> None:
        answer = self._waiting.get(reply.id)
        if answer is None or answer.done():
            return
        if reply.error is None:
            answer.set_result(reply.result)
        else:
            answer.set_exception(reply.error.error())

    def _fail_waiting(self) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(NoEngine(_ENDED))
        self._waiting.clear()
