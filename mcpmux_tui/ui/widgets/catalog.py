"""What servers list, one line each, and the one under the cursor closely."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from mcpmux_tui.control.protocol import ItemForm, ItemLine, ItemName, ItemPage, Offer
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.question import Field
from mcpmux_tui.ui.content import counted, fit, line, plain
from mcpmux_tui.ui.dialogs.try_item import TryDialog
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.keys import COPY_NAME, ITEM_KEYS, OFFER, TRY, Context, Key, refusal
from mcpmux_tui.ui.tasks import Tasks
from mcpmux_tui.ui.toasts import toast, toast_error
from mcpmux_tui.ui.widgets.filter_bar import matches
from mcpmux_tui.ui.widgets.line_list import LineList
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_PAGE = 1_000
_FIRST = 100
_SETTLE = 0.05
_SERVER = 16
_HINT = 8
_HINTS = {"read": "read", "write": "write", "destroy": "destroys", "": ""}
_HINT_STYLES = {"read": "$success", "write": "$warning", "destroy": "$error", "": "$muted"}
_CLAIMS = {
    "read": "says that it only reads",
    "write": "says that it writes",
    "destroy": "says that it may destroy something",
    "": "",
}
_EMPTY = {
    Kind.TOOLS: "No tools. A server that is connected (c) shows what it offers.",
    Kind.PROMPTS: "No prompts.",
    Kind.RESOURCES: "No resources.",
}


class Catalog(Container):
    """Tools, prompts, or resources with their templates; of one server, or of all."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in ITEM_KEYS]

    class Moved(Message):
        """Another item is under the cursor."""

    def __init__(self, door: Door, server: str | None = None) -> None:
        super().__init__()
        self._door = door
        self._server = server
        self._kind = Kind.TOOLS
        self._items: list[ItemLine] = []
        self._skipped: tuple[str, ...] = ()
        self._query = ""
        self._told: object = None
        self._seen: ItemLine | None = None
        self._asking: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._work = Tasks(self)

    def compose(self) -> ComposeResult:
        yield LineList[ItemLine](self._draw, self._door.glyphs, id="items")
        with Scrolled(id="about"):
            yield Static("", id="about-text", markup=False)

    async def on_unmount(self) -> None:
        """Stop asking the engine."""
        await self._work.stop()

    @property
    def lines(self) -> LineList[ItemLine]:
        """The lines."""
        return self.query_one("#items", LineList)

    @property
    def selected(self) -> ItemLine | None:
        """The item under the cursor."""
        return self.lines.selected

    def show(self) -> None:
        """Ask again where what servers offer may have changed."""
        servers = [server for server in self._door.servers if self._server in (None, server.name)]
        told = [each.offers for each in servers]
        if told != self._told and not self._door.ended:
            self._told = told
            self._ask()

    def show_kind(self, kind: Kind) -> None:
        """Show what is listed of another kind."""
        if kind is not self._kind:
            self._kind = kind
            self._items = []
            self._arrange(0)
        self._ask()

    def filter(self, query: str) -> None:
        """Show what matches."""
        self._query = query
        self._arrange(0)

    def _ask(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        self._asking = self._work.start(self._fetch())

    async def _fetch(self) -> None:
        kinds = [self._kind]
        if self._kind is Kind.RESOURCES:
            kinds.append(Kind.TEMPLATES)
        items: list[ItemLine] = []
        try:
            for kind in kinds:
                after = 0
                while True:
                    # A screenful at once, drawn and told of; thousands take their time.
                    limit = _PAGE if items or self._items else _FIRST
                    page = await self._door.engine.items(
                        ItemPage(kind=kind, server=self._server, after=after, limit=limit)
                    )
                    items += page.items
                    after += len(page.items)
                    if not self._items:
                        self._items = list(items)
                        self._arrange(self.lines.cursor)
                    if not page.items or after >= page.total:
                        break
                    if limit == _FIRST:
                        await asyncio.sleep(_SETTLE)
        except McpmuxError as error:
            self._about(plain(str(error), "$error"))
            return
        before, place = self.selected, self.lines.cursor
        self._items, self._skipped = items, page.skipped
        self._arrange(place, before)

    def _arrange(self, place: int, keep: ItemLine | None = None) -> None:
        shown = [each for each in self._items if matches(_text(each), self._query)]
        if keep is not None:
            names = [(each.server, each.kind, each.name) for each in shown]
            if (own := (keep.server, keep.kind, keep.name)) in names:
                place = names.index(own)
        self.lines.show(shown, place)

    def _draw(self, item: ItemLine, width: int) -> Content:
        glyphs = self._door.glyphs
        offered = glyphs.yes if item.public else glyphs.no
        server = fit(item.server, _SERVER) + "  " if self._server is None else ""
        left = width - 2 - len(server) - (_HINT + 2 if item.kind is Kind.TOOLS else 0)
        name = min(max(12, left * 2 // 5), left)
        hint = fit(_HINTS[item.hint], _HINT) + "  " if item.kind is Kind.TOOLS else ""
        return Content.assemble(
            (f"{offered} ", "$success" if item.public else "$muted"),
            (server, "$muted"),
            (fit(item.name, name), "bold" if item.public else "$muted"),
            "  ",
            (hint, _HINT_STYLES[item.hint]),
            (fit(item.description, max(0, left - name - 2)), "$muted"),
        )

    @on(LineList.Moved)
    def _moved(self, event: LineList.Moved) -> None:
        event.stop()
        item = self.selected
        self.post_message(self.Moved())
        if item is not None and item == self._seen:
            return
        self._seen = item
        if self._looking is not None:
            self._looking.cancel()
        if item is None:
            nothing = f'Nothing matches "{self._query.strip()}". esc clears.'
            self._about(line(nothing if self._items else _EMPTY[self._kind], "$muted"))
        else:
            self._tell(item, None)
            # Many moves in a row ask once.
            self._looking = self._work.start(self._look(item, _SETTLE if event.by_person else 0))

    @on(LineList.Chosen)
    def _chosen(self, event: LineList.Chosen) -> None:
        event.stop()
        self.action_choose()

    async def _look(self, item: ItemLine, after: float) -> None:
        await asyncio.sleep(after)
        try:
            form = await self._door.engine.item_form(
                ItemName(server=item.server, kind=item.kind, name=item.name)
            )
        except McpmuxError:
            # It is no longer listed; the next list shows it no more.
            return
        self._tell(item, form)

    def _tell(self, item: ItemLine, form: ItemForm | None) -> None:
        self._about(_told(item, form, self._skipped, named=self._server is None))

    def _about(self, content: Content) -> None:
        self.query_one("#about-text", Static).update(content)
        self.query_one("#about").scroll_home(animate=False)

    def _refused(self, key: Key) -> bool:
        context = Context(item=self.selected, engine=not self._door.ended)
        if why := refusal(key, context):
            toast(self, why, "warning")
        return bool(why)

    def action_choose(self) -> None:
        """Try the item."""
        if not self._refused(TRY) and (item := self.selected) is not None:
            self.app.push_screen(TryDialog(self._door, item))

    def action_offer(self) -> None:
        """Have clients get the tool, or not."""
        if not self._refused(OFFER) and (item := self.selected) is not None:
            self._work.start(self._offer(item))

    async def _offer(self, item: ItemLine) -> None:
        try:
            await self._door.engine.offer(
                Offer(server=item.server, tool=item.name, offered=not item.public)
            )
        except McpmuxError as error:
            toast_error(self, error)
            return
        self._ask()

    def action_copy_name(self) -> None:
        """Copy the name that clients see."""
        if not self._refused(COPY_NAME) and (item := self.selected) is not None:
            self._work.start(self._copy(item.public or item.name))

    async def _copy(self, name: str) -> None:
        toast(self, f"{name} is {await self._door.copy(name)}.")


def _text(item: ItemLine) -> str:
    return f"{item.server}\n{item.name}\n{item.public}\n{item.description}"


def _told(
    item: ItemLine, form: ItemForm | None, skipped: tuple[str, ...], *, named: bool
) -> Content:
    """Everything about one item; `named`: of which server too."""
    tool = item.kind is Kind.TOOLS
    of = Content.assemble("  of ", line(item.server)).stylize("$muted") if named else Content()
    lines = [line(item.name, "bold") + of]
    if item.public:
        lines.append(line(f"clients see {item.public}", "$muted"))
    else:
        lines.append(
            line("clients do not get it" + ("; space offers it" if tool else ""), "$muted")
        )
    if item.hint:
        lines.append(line(_CLAIMS[item.hint], _HINT_STYLES[item.hint]))
    if description := form.description if form is not None else item.description:
        lines += [Content(), plain(description)]
    if form is not None and form.fields:
        lines += [Content(), line(f"takes {counted(len(form.fields), 'argument')}", "$muted")]
        lines += [_field(field) for field in form.fields]
    if skipped:
        lines.append(Content())
        lines += [Content.assemble(("! ", "bold $warning"), plain(each)) for each in skipped]
    return Content("\n").join(lines)


def _field(field: Field) -> Content:
    choices = " | ".join(choice.title for choice in field.choices)
    default = f"default {field.default}" if field.default else ""
    facts = filter(None, (field.kind, choices, default, field.description))
    star = "*" if field.required else ""
    return Content.assemble(
        line(f"{field.label}{star}", "$primary"), "  ", line("; ".join(facts), "$muted")
    )
