"""`i`: servers of other tools, shown whole, added after yes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mcpmux_tui.control.protocol import Candidate, Found, Imported
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.text import exact
from mcpmux_tui.ui.content import counted, hanging, line, plain
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.choices import Choices

_KEYS = "space Pick  a All or none  enter Add  esc Back"
_ANSWERS = "enter Yes  esc No"
_INDENT = 4
_SHOWN_WHOLE = 8_192


class CandidateList(Choices):
    """Candidates of several lines each; space and a click pick, enter goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.go_on", "Add", show=False),
        Binding("space", "select", "Pick", show=False),
    ]

    @dataclass
    class Resized(Message):
        """There is another width to wrap to."""

    def on_resize(self) -> None:
        """Say so."""
        self.post_message(self.Resized())


class ImportDialog(Dialog[Imported]):
    """Pick from what was found; all that can be added is picked already."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "all", "All or none", id="import.all"),
        Binding("enter", "go_on", "Add", show=False),
    ]

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._candidates: tuple[Candidate, ...] = ()
        self._picked: set[str] = set()
        self._phase: Literal["looking", "picking", "asking", "adding"] = "looking"

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Import servers"
            box.border_subtitle = self.pressed("esc Back")
            yield Static("Looking in the configs of other clients\u2026", id="said", markup=False)
            yield CandidateList(markup=False)
            yield Static("", id="question", markup=False)

    def on_mount(self) -> None:
        """Look for servers."""
        self.query_one("#question").display = False
        self.tasks.start(self._find())

    async def _find(self) -> None:
        try:
            found = await self._engine.find_imports()
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
            return
        self._show(found)

    def _show(self, found: Found) -> None:
        self._candidates = found.candidates
        self._picked = {c.key for c in found.candidates if not skipped(c)}
        said = [
            Content(
                f"{tally(found)} The sources stay as they are."
                if found.candidates
                else "No servers found in the configs of other clients on this computer."
            ),
            *(Content.assemble(("! ", "bold $warning"), plain(p)) for p in found.problems),
        ]
        self._say(Content("\n").join(said))
        options = self.query_one(CandidateList)
        options.add_options(Option(self._prompt(c)) for c in self._candidates)
        self.query_one(".box").set_class(bool(self._candidates), "-full")
        self._phase = "picking"
        if self._picked:
            self.query_one(".box").border_subtitle = self.pressed(_KEYS)
        options.highlighted = 0 if self._candidates else None
        options.focus()

    def _prompt(self, candidate: Candidate) -> Content:
        reason = skipped(candidate)
        mark = "   " if reason else "[x]" if candidate.key in self._picked else "[ ]"
        facts = [
            Content.assemble((f"{mark} ", "bold $primary"), line(candidate.name, "bold")),
            Content(exact(candidate.target)),
        ]
        if candidate.env:
            facts.append(_fact("sets ", Content(exact(", ".join(candidate.env)))))
        if candidate.cwd:
            facts.append(_fact("in ", Content(exact(candidate.cwd))))
        facts += [_fact("asks for ", Content(asked)) for asked in candidate.inputs]
        facts.append(_fact("from ", line(f"{candidate.source}, {candidate.path}", "$muted")))
        facts += [line(note, "$warning") for note in candidate.notes]
        if reason:
            facts.append(line(f"Not added: {reason}", "$warning"))
        width = self.query_one(CandidateList).scrollable_content_region.width - _INDENT
        head, *rest = (hanging(fact, width, _INDENT) for fact in facts)
        return Content("\n" + " " * _INDENT).join([head, *rest])

    def _say(self, content: Content) -> None:
        self.query_one("#said", Static).update(content)

    @on(OptionList.OptionSelected)
    def _toggled(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        candidate = self._candidates[event.option_index]
        if self._phase == "picking" and not skipped(candidate):
            self._picked ^= {candidate.key}
            self._redraw(event.option_index)

    def _redraw(self, *places: int) -> None:
        options = self.query_one(CandidateList)
        for place in places:
            options.replace_option_prompt_at_index(place, self._prompt(self._candidates[place]))

    @on(CandidateList.Resized)
    def _rewrap(self) -> None:
        if self.query_one(CandidateList).option_count:
            self._redraw(*range(len(self._candidates)))

    def action_all(self) -> None:
        """Pick all, or none where all are picked."""
        if self._phase == "picking":
            every = {c.key for c in self._candidates if not skipped(c)}
            self._picked = set() if self._picked == every else every
            self._redraw(*range(len(self._candidates)))

    def action_go_on(self) -> None:
        """Ask for a yes; then add."""
        if self._phase == "picking" and self._picked:
            self._ask(True)
        elif self._phase == "picking" and self._candidates:
            toast(self, self._why_nothing(), "warning")
        elif self._phase == "asking":
            self._phase = "adding"
            self.tasks.start(self._add())

    def _why_nothing(self) -> str:
        if all(map(skipped, self._candidates)):
            return "None of these servers can be added."
        return "No server is picked; space picks one, a picks all."

    def _ask(self, asking: bool) -> None:
        self._phase = "asking" if asking else "picking"
        self.query_one(".box").border_subtitle = self.pressed(_ANSWERS if asking else _KEYS)
        question = self.query_one("#question", Static)
        question.display = asking
        question.update(
            Content.styled(f"Add {counted(len(self._picked), 'server')}?", "bold $warning")
        )

    async def _add(self) -> None:
        keys = tuple(c.key for c in self._candidates if c.key in self._picked)
        try:
            imported = await self._engine.import_servers(keys)
        except McpmuxError as error:
            self._ask(False)
            self._say(plain(str(error), "$error"))
            return
        self.dismiss(imported)

    def action_back(self) -> None:
        """Leave; from the question, back to the choice."""
        if self._phase == "asking":
            self._ask(False)
        else:
            self.dismiss(None)


def skipped(candidate: Candidate) -> str:
    """Why a candidate cannot be picked; empty when it can."""
    if candidate.skip:
        return candidate.skip
    shown = (candidate.target, candidate.cwd, *candidate.env, *candidate.inputs)
    if max(map(len, shown)) > _SHOWN_WHOLE:
        return "it is too long to be shown whole"
    return ""


def tally(found: Found) -> str:
    """How many servers an import would add, and how many not, in one sentence."""
    adds = sum(not skipped(candidate) for candidate in found.candidates)
    return f"Found {counted(adds, 'server')} to add{skips(found)}."


def skips(found: Found) -> str:
    """The rest of a sentence that counts what can be added."""
    count = sum(bool(skipped(candidate)) for candidate in found.candidates)
    return f"; {count} {'is' if count == 1 else 'are'} skipped" if count else ""


def _fact(name: str, content: Content) -> Content:
    return Content.assemble((name, "$muted"), content)
