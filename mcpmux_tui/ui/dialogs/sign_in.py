"""`c` on a row that wants a sign-in: where to, how without a browser here, and the wait."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import urlsplit

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.style import Style
from textual.widgets import Input, Static

from mcpmux_tui import browser
from mcpmux_tui.control.protocol import Login, LoginStep
from mcpmux_tui.model.errors import McpmuxError, UsageError
from mcpmux_tui.model.server import Health
from mcpmux_tui.ui.clipboard import is_remote
from mcpmux_tui.ui.content import line, plain, stopwatch, whole
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.dialogs.qr import QrDialog
from mcpmux_tui.ui.dialogs.scopes import ScopesDialog
from mcpmux_tui.ui.door import Copy
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.scrolled import Scrolled


class SignInDialog(Dialog[None]):
    """Begins a sign-in, or shows the one under way; it goes on when this is closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy link", id="sign_in.copy"),
        Binding("b", "browser", "Browser", id="open.browser"),
        Binding("Q", "qr", "QR", id="sign_in.qr"),
        Binding("s", "scopes", "Scopes", id="sign_in.scopes"),
        Binding("d", "device", "Code", id="sign_in.device"),
        Binding("x", "cancel", "Cancel", id="sign_in.cancel"),
        Binding("enter", "go_on", "Go on", show=False),
    ]

    def __init__(
        self, engine: Engine, server: str, *, copy: Copy, glyphs: Glyphs, clock: Callable[[], float]
    ) -> None:
        super().__init__()
        self._engine = engine
        self._server = server
        self._copy = copy
        self._glyphs = glyphs
        self._clock = clock
        self._wish = Login(server=server)
        self._step: LoginStep | None = None
        self._flow: asyncio.Task[None] | None = None
        self._failed = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(f"Sign in to {self._server}")
            yield Static("", id="said", markup=False)
            with Scrolled(id="facts"):
                yield Static("", id="about", markup=False)
                yield Static("", id="address", markup=False)
                yield Static("", id="elsewhere", markup=False)
                # What is typed while it is opened is not replaced by the next key.
                placeholder = "the address the browser ended at"
                yield Input(placeholder=placeholder, id="pasted", select_on_focus=False)

    def on_mount(self) -> None:
        """Begin, with the keyboard where letters are keys."""
        self.query_one("#facts").focus()
        self.set_interval(1.0, self._say_waiting)
        self._start(self._wish)

    @property
    def _pending(self) -> LoginStep | None:
        """What waits for the person, if the engine has said."""
        return self._step if self._step is not None and self._step.address else None

    def _start(self, wish: Login) -> None:
        if self._flow is not None:
            self._flow.cancel()
        self._wish, self._step, self._failed = wish, None, False
        self._field.clear()
        self._say(Content(f"Looking for where you sign in{self._glyphs.ellipsis}"))
        self._draw()
        self._flow = self.tasks.start(self._sign_in(wish))

    async def _sign_in(self, wish: Login) -> None:
        try:
            self._step = step = await self._engine.login(wish)
            self._draw()
            if not step.address:
                concerns = Content("\n").join(plain(each) for each in step.concerns)
                self._say(Content.assemble(("Before you sign in:\n", "bold $warning"), concerns))
                return
            self._say_waiting()
            if not step.code:
                self._open(step.address)
            done = await self._engine.login_wait(wish.server)
        except McpmuxError as error:
            self._step, self._failed = None, True
            self._draw()
            self._say(plain(str(error), "$error"))
            return
        who = f" as {done.account}" if done.account else ""
        warning = f"\n{done.warning}" if done.warning else ""
        toast(self, f"Signed in to {self._server}{who}.{warning}")
        self.dismiss(None)

    def _open(self, address: str) -> None:
        try:
            browser.open_in_browser(address)
        except UsageError as error:
            toast(self, f"{error.message} y copies the address.", "warning")

    # What is seen

    def _say(self, content: Content) -> None:
        self.query_one("#said", Static).update(content)

    def _say_waiting(self) -> None:
        if (step := self._pending) is None:
            return
        glyph = self._glyphs.state(Health.SIGNING_IN)
        what = "the code to be entered" if step.code else "your browser"
        time = stopwatch(self._clock() - step.since)
        said = f"{glyph} Waiting for {what}{self._glyphs.ellipsis} {time}"
        self._say(Content.styled(said, "bold $warning"))

    def _draw(self) -> None:
        step, pending = self._step, self._pending
        for part, content in (
            ("#about", _about(step) if step else Content()),
            ("#address", _address(pending) if pending else Content()),
            ("#elsewhere", _elsewhere(pending) if pending and not pending.code else Content()),
        ):
            self.query_one(part, Static).update(content)
            self.query_one(part).display = bool(content)
        field = self._field
        field.display = pending is not None and not pending.code
        if field.display and field.value:
            self.set_focus(field)
        self._show_keys()

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _show_keys(self) -> None:
        self.query_one(".box", Vertical).border_subtitle = self.pressed(self._keys())

    def _keys(self) -> str:
        if isinstance(self.focused, Input):
            return "enter Use this address  esc Leave the field"
        if (step := self._pending) is None:
            if self._step is not None:
                return "enter Go on  esc Back"
            return "enter Begin again  esc Back" if self._failed else "esc Close"
        scopes = ["s Scopes"] if len(step.offered) > 1 else []
        code = ["d Code"] if step.by_device and not step.code else []
        ways = ["Q QR", "b Browser", "y Copy link"]
        return "  ".join([*scopes, *code, *ways, "x Cancel", "esc Close"])

    # What keys do

    def action_copy(self) -> None:
        """Copy the address."""
        if (step := self._pending) is not None:
            self.tasks.start(self._copy_link(step.address))

    async def _copy_link(self, address: str) -> None:
        toast(self, f"The address is {await self._copy(address)}.")

    def action_browser(self) -> None:
        """Open the address again."""
        if (step := self._pending) is not None:
            self._open(step.address)

    def action_qr(self) -> None:
        """Show the address to a camera."""
        if (step := self._pending) is not None:
            self.app.push_screen(QrDialog(step.address, self._glyphs))

    def action_scopes(self) -> None:
        """Ask for less."""
        step = self._pending
        if step is not None and len(step.offered) > 1:
            self.app.push_screen(ScopesDialog(step.offered, step.scopes), self._ask_for)

    def _ask_for(self, scopes: tuple[str, ...] | None) -> None:
        step = self._pending
        if scopes is not None and step is not None and scopes != step.scopes:
            self._start(self._wish.model_copy(update={"scopes": scopes}))

    def action_device(self) -> None:
        """Sign in with a code, from any machine."""
        step = self._pending
        if step is not None and step.by_device and not step.code:
            self._start(self._wish.model_copy(update={"device": True}))

    def action_go_on(self) -> None:
        """Say yes to what is unusual, or begin again after a failure."""
        if self._blind:
            # The end of a text agrees to nothing.
            if not self._looking:
                self._field.clear()
            return
        if self._pending is not None:
            return
        if self._step is not None:
            self._start(self._wish.model_copy(update={"agreed": True}))
        elif self._failed:
            self._start(self._wish)

    def action_cancel(self) -> None:
        """End the sign-in."""
        if self._pending is not None:
            self.app.run_worker(self._cancel(), exit_on_error=False)

    async def _cancel(self) -> None:
        if self._flow is not None:
            self._flow.cancel()
        try:
            await self._engine.login_cancel(self._server)
        except McpmuxError as error:
            toast(self, str(error), "warning")
        self.dismiss(None)

    def action_back(self) -> None:
        """Leave the text field, then the dialog."""
        if isinstance(self.focused, Input):
            self.query_one("#facts").focus()
        else:
            super().action_back()

    @on(events.Paste)
    def _take_pasted(self, event: events.Paste) -> None:
        """Whatever has the keyboard, what is pasted is the address the browser ended at."""
        field = self._field
        if (field.display or self._looking) and not isinstance(self.focused, Input):
            event.stop()
            field.clear()
            self._put(event.text.strip())

    def on_key(self, event: events.Key) -> None:
        """Take what is typed as text, though letters are keys: an address begins with none."""
        taken = self._blind or event.key not in self.active_bindings
        if event.character and event.is_printable and not isinstance(self.focused, Input) and taken:
            event.stop()
            if self._blind or self._looking or self._field.display:
                self._put(event.character)

    def _put(self, text: str) -> None:
        self._field.insert_text_at_cursor(text)
        if self._field.display:
            self.set_focus(self._field)

    @property
    def _field(self) -> Input:
        return self.query_one("#pasted", Input)

    @property
    def _looking(self) -> bool:
        """Whether the field may still come."""
        return self._step is None and not self._failed

    @property
    def _blind(self) -> bool:
        """Whether a text was begun whose field is not shown: all of it is text, to its end."""
        return bool(self._field.value) and not self._field.display

    @on(Input.Submitted)
    def _use_pasted(self, event: Input.Submitted) -> None:
        event.stop()
        if text := event.value.strip():
            self.tasks.start(self._hand_over(text))

    async def _hand_over(self, text: str) -> None:
        try:
            await self._engine.login_paste(self._server, text)
        except McpmuxError as error:
            toast(self, str(error), "warning")


def _about(step: LoginStep) -> Content:
    asks = f". It asks for: {', '.join(step.scopes)}." if step.scopes else "."
    facts = [Content.assemble("You sign in at ", line(step.host, "bold $primary"), whole(asks))]
    if step.code:
        facts.append(
            Content.assemble(
                "Open this address on any machine and enter ", line(step.code, "bold $success"), ":"
            )
        )
    return Content("\n").join(facts)


def _address(step: LoginStep) -> Content:
    # One link, however many lines it takes: a click on any of them opens all of it.
    return whole(step.address, "$primary").stylize(Style(link=step.address))


def _elsewhere(step: LoginStep) -> Content:
    said = (
        "Your browser is on another machine? Open the address there, and paste here the address"
        " it ends at, even if that page does not load."
    )
    parts = [Content.styled(said, "$muted")]
    if is_remote():
        port = urlsplit(step.redirect).port
        here = os.environ.get("SSH_CONNECTION", "").split()
        host = here[2] if len(here) == 4 else "this-machine"
        forward = f"ssh -L {port}:127.0.0.1:{port} {getpass.getuser()}@{host}"
        parts.append(Content.assemble(("Or forward the port:  ", "$muted"), line(forward)))
    return Content("\n").join(parts)
