"""What the UI asks of an engine. `control.client.Client` is the one in use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from mcpmux_tui.control.protocol import (
    Checkup,
    ClientChoices,
    ClientEntry,
    Found,
    GiveValues,
    Imported,
    Keeping,
    LoggedOut,
    Login,
    LoginDone,
    LoginStep,
    LogPage,
    Moved,
    SecretList,
    ToolForm,
    ToolOutcome,
    ToolPage,
    TryTool,
    ValueFields,
    ValuesGiven,
)
from mcpmux_tui.model.question import Verdict
from mcpmux_tui.model.server import Action, EngineSnapshot
from mcpmux_tui.model.settings import UiChange


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

    async def tool_form(self, server: str, tool: str) -> ToolForm: ...

    async def try_tool(self, wish: TryTool) -> ToolOutcome: ...

    async def try_cancel(self, key: str) -> None: ...

    async def doctor(self, server: str) -> Checkup: ...

    async def values(self, server: str) -> ValueFields: ...

    async def give_values(self, given: GiveValues) -> ValuesGiven: ...

    async def refer_to_secret(self, server: str, name: str) -> None: ...

    async def secure(self, server: str) -> Moved: ...

    async def undo_secure(self) -> Moved: ...

    async def keeping(self) -> Keeping: ...

    async def change_ui(self, change: UiChange) -> None: ...

    async def secrets(self) -> SecretList: ...

    async def secret_remove(self, name: str) -> None: ...

    async def tools(self, server: str, *, after: int = 0, limit: int = 200) -> ToolPage: ...

    async def logs(self, server: str, *, after: int = 0, limit: int = 200) -> LogPage: ...

    async def client_choices(self) -> ClientChoices: ...

    async def client_entry(self, client: str) -> ClientEntry: ...

    async def find_imports(self) -> Found: ...

    async def import_servers(self, keys: tuple[str, ...]) -> Imported: ...

    async def end_leftovers(self) -> None: ...
