"""What the UI asks of an engine. `control.client.Client` is the one in use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from mcpmux_tui.control.protocol import (
    Checkup,
    ClientChoices,
    ClientEntry,
    Entry,
    Found,
    GiveValues,
    Imported,
    ItemForm,
    ItemName,
    ItemPage,
    Items,
    LoggedOut,
    Login,
    LoginDone,
    LoginStep,
    LogPage,
    LogSearch,
    Moved,
    Offer,
    Outcome,
    SecretList,
    TryItem,
    TryProgress,
    ValueFields,
    ValuesGiven,
)
from mcpmux_tui.model.question import Verdict
from mcpmux_tui.model.server import Action, EngineSnapshot


class Engine(Protocol):
    """The UI's only source of facts. Every request may raise McpmuxError."""

    def watch(self) -> AsyncIterator[EngineSnapshot]:
        """Yield what to show now, and again after each change; ends with the engine."""
        ...

    async def act(self, server: str, action: Action) -> None: ...

    async def login(self, wish: Login) -> LoginStep: ...

    async def login_wait(self, server: str) -> LoginDone: ...

    async def login_paste(self, server: str, address: str) -> None: ...

    async def login_cancel(self, server: str) -> None: ...

    async def logout(self, server: str, *, reset: bool) -> LoggedOut: ...

    async def answer(self, question: int, verdict: Verdict, typed: Mapping[str, str]) -> None: ...

    async def items(self, page: ItemPage) -> Items: ...

    async def item_form(self, name: ItemName) -> ItemForm: ...

    async def try_item(self, wish: TryItem) -> Outcome: ...

    async def try_progress(self, key: str) -> TryProgress: ...

    async def try_cancel(self, key: str) -> None: ...

    async def doctor(self, server: str) -> Checkup: ...

    async def values(self, server: str) -> ValueFields: ...

    async def give_values(self, given: GiveValues) -> ValuesGiven: ...

    async def refer_to_secret(self, server: str, name: str) -> None: ...

    async def secure(self, server: str) -> Moved: ...

    async def undo_secure(self) -> Moved: ...

    async def secrets(self) -> SecretList: ...

    async def secret_remove(self, name: str) -> None: ...

    async def offer(self, offer: Offer) -> None: ...

    async def entry(self, server: str) -> Entry: ...

    async def logs(self, search: LogSearch) -> LogPage: ...

    async def client_choices(self) -> ClientChoices: ...

    async def client_entry(self, client: str) -> ClientEntry: ...

    async def find_imports(self) -> Found: ...

    async def import_servers(self, keys: tuple[str, ...]) -> Imported: ...

    async def end_leftovers(self) -> None: ...

    async def detach(self) -> None: ...
