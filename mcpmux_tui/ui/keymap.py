"""The keys as the person set them: `[keys]` of the config, checked, for Textual's keymap."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import REPLACED_KEYS, Keys, key_to_character
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from mcpmux_tui.model.server import Action
from mcpmux_tui.text import one_line
from mcpmux_tui.ui.keys import ANSWER, CONNECT, COPY, EDITOR, LEFTOVERS, MOVE, MOVES

_OURS = "mcpmux_tui.ui"
_ALWAYS = {"app.quit": "ctrl+q", "nav.back": "escape", "dialog.back": "escape"}
"""What no keymap takes away: the ways out."""
_MODIFIERS = frozenset({"alt", "ctrl", "hyper", "meta", "shift", "super"})
_NAMES = {
    "esc": "escape", "del": "delete", "ins": "insert", "return": "enter",
    "pgup": "pageup", "pgdn": "pagedown", "plus_sign": "plus",
}  # fmt: skip
_ARRIVES = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+space": "ctrl+at"}
"""What a terminal sends for keys that it cannot tell apart."""
_KNOWN = frozenset(
    key.value.rpartition("+")[2] for key in Keys if not key.value.startswith(("<", "c-"))
)
_SHOWN = {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn"}
_LONGEST = 40
_MENTION = re.compile(r"`([^`]+)` on (?:the screen|((?:its|a) row))")
_NAMED = {action.label: CONNECT for action in Action} | {
    key.label: key for key in (ANSWER, COPY, EDITOR, LEFTOVERS, MOVE)
}
"""What sentences of the engine, which knows no keys, name by its label."""


def parse(text: str) -> str | None:
    """The key that a person means by `text`, as Textual names it; None where it is no key."""
    text = text.strip()
    before, _, name = text.rpartition("+")
    if text == "+" or text.endswith("++"):
        before, name = text[:-2], "+"
    modifiers = {each.strip().lower() for each in before.split("+")} if before else set()
    name = name.strip()
    if not name or not modifiers <= _MODIFIERS:
        return None
    if len(name) == 1:
        if not name.isprintable():
            return None
        if modifiers == {"shift"} and name.isalpha():
            name, modifiers = name.upper(), set()
        elif modifiers:
            name = name.lower()
        # To Textual, a comma separates keys.
        name = (
            "comma" if name == "," else next(iter(Binding.make_bindings([Binding(name, "")]))).key
        )
    else:
        name = _NAMES.get(name.lower(), name.lower())
        if name not in _KNOWN and _character(name) is None:
            return None
    key = "+".join((*sorted(modifiers), name))
    return _ARRIVES.get(key, key)


def display(key: str) -> str:
    """A key of Textual's as a person reads it: `?` for `question_mark`."""
    before, plus, name = key.rpartition("+")
    return before + plus + (_SHOWN.get(name) or _character(name) or name)


def shown(node: DOMNode) -> dict[str, str]:
    """What to press for each binding that is set anew, by its id."""
    return {id: display(keys.split(",")[0]) for id, keys in node.app._keymap.items()}


def set_anew(node: DOMNode, keys: str) -> str:
    """`keys`, a line such as "ctrl+s Save  esc Back" of `node`, as the person set them."""
    pressed = shown(node)
    other = {display(b.key): pressed[b.id] for b in _bindings(type(node)) if b.id in pressed}
    parts = (part.partition(" ") for part in keys.split("  "))
    return "  ".join(other.get(key, key) + space + label for key, space, label in parts)


def with_keys(node: DOMNode, sentence: str) -> str:
    """A sentence of the engine's with the key to press for what it names by its label."""
    pressed = shown(node)

    def key(mention: re.Match[str]) -> str:
        if (named := _NAMED.get(mention[1])) is None:
            return mention[0]
        where = f" on {mention[2]}" if mention[2] else ""
        return pressed.get(named.id, named.shown) + where

    return _MENTION.sub(key, sentence)


def _character(name: str) -> str | None:
    character = key_to_character(REPLACED_KEYS.get(name, name))
    # Unicode has aliases for control characters: "delete", "escape".
    visible = character is not None and character.isprintable() and not character.isspace()
    return character if visible else None


def _types(key: str) -> bool:
    return key == "space" or _character(key) is not None


@dataclass(frozen=True, slots=True)
class Bound:
    """One action, and what it is bound to as long as nobody changes that."""

    id: str
    """Empty where it cannot be set anew."""
    label: str
    action: str
    """Without the node that has it: the app's own `quit` is the same as a screen's `app.quit`."""
    keys: tuple[str, ...]
    priority: bool = False

    def __str__(self) -> str:
        return f"{self.label} (`{self.id}`)" if self.id else self.label


Context = Mapping[str, Bound]
"""What may be pressed at the same time, by id or, where there is none, by action."""


def contexts(app: App[int]) -> list[Context]:
    """All screens and dialogs, each with what is bound on it and on its own widgets."""
    everywhere = [binding for _, binding in app._bindings if binding.priority]
    widgets = [each for each in _below(Widget) if not (issubclass(each, Screen) or _is_text(each))]
    found: list[Context] = []
    for screen in _below(Screen):
        if not issubclass(screen, ModalScreen):
            found += [
                _together(
                    [
                        *everywhere,
                        *Binding.make_bindings(key.binding for key in (*layer, *MOVES)),
                    ]
                )
                for layer in getattr(screen, "LAYERS", ())
            ]
            continue
        own = [w for w in widgets if w.__module__ == screen.__module__]
        bindings = [binding for node in (screen, *own) for binding in _bindings(node)]
        found.append(_together([*everywhere, *bindings]))
    return found


def _is_text(widget: type[Widget]) -> bool:
    # What a text field does with keys counts while one types, as in every other program.
    return not {"Input", "TextArea"}.isdisjoint(base.__name__ for base in widget.__mro__)


def _below(cls: type[Widget]) -> list[type[Widget]]:
    found: dict[type[Widget], None] = {}
    for sub in cls.__subclasses__():
        if sub.__module__.startswith(_OURS):
            found[sub] = None
        found |= dict.fromkeys(_below(sub))
    # Not by which was imported first: of an action on several screens the first one's label counts.
    return sorted(found, key=lambda each: (each.__module__, each.__qualname__), reverse=True)


def _bindings(node: type[DOMNode]) -> Iterator[Binding]:
    for base in node.__mro__:
        yield from Binding.make_bindings(vars(base).get("BINDINGS", ()))


def _together(bindings: Iterable[Binding]) -> Context:
    found: dict[str, Bound] = {}
    for binding in bindings:
        name = binding.id or binding.action
        known = found.get(name)
        keys = known.keys if known else ()
        if binding.key not in keys:
            label = binding.description or binding.action
            found[name] = Bound(
                binding.id or "",
                known.label if known else label,
                known.action if known else binding.action.rpartition(".")[2],
                (*keys, binding.key),
                binding.priority or (known is not None and known.priority),
            )
    return found


def settable(together: Iterable[Context]) -> dict[str, Bound]:
    """Everything that can be set anew, by id, with its keys on all screens."""
    found: dict[str, Bound] = {}
    for each in (each for context in together for each in context.values() if each.id):
        known = found.setdefault(each.id, each)
        found[each.id] = replace(known, keys=tuple(dict.fromkeys((*known.keys, *each.keys))))
    return found


def checked(
    wishes: Mapping[str, tuple[str, ...]], app: App[int]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The keymap for what the config wishes, and a sentence for each wish that is not fulfilled."""
    together = contexts(app)
    known = settable(together)
    warnings: list[str] = []
    taken: dict[str, tuple[str, ...]] = {}
    for id, texts in wishes.items():
        if id not in known:
            near = difflib.get_close_matches(id[:_LONGEST], known, 1)
            meant = f"did you mean `{near[0]}`?" if near else "6 shows those there are."
            warnings.append(f"Unknown action `{one_line(id, _LONGEST)}` in `[keys]`; {meant}")
            continue
        keys, why = _keys(known[id], texts)
        if why:
            warnings.append(f"In `[keys]`: {why}; {_stays(known[id])}")
        else:
            taken[id] = keys
    while clash := _clash(taken, together):
        key, loser, other = clash
        warnings.append(
            f"In `[keys]`: {display(key)} would be both {other} and {loser}; {_stays(loser)}"
        )
        del taken[loser.id]
    return {id: ",".join(keys) for id, keys in taken.items()}, tuple(warnings)


def _keys(binding: Bound, texts: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The keys that `texts` name, or why they cannot be used."""
    keys: list[str] = []
    for text in texts:
        key = parse(text)
        if key is None:
            return (), f"`{one_line(text, _LONGEST)}` for {binding} is no key"
        if binding.priority and _types(key):
            return (), f"{display(key)} for {binding} is needed to type text"
        keys.append(key)
    if always := _ALWAYS.get(binding.id):
        keys.append(always)
    return tuple(dict.fromkeys(keys)), ""


def _clash(
    taken: Mapping[str, tuple[str, ...]], together: Iterable[Context]
) -> tuple[str, Bound, Bound] | None:
    """A key of two actions, the wish that came later, and what it clashes with."""
    places = {id: place for place, id in enumerate(taken)}
    worst: tuple[int, str, Bound, Bound] | None = None
    for context in together:
        users: dict[str, Bound] = {}
        for each in context.values():
            for key in taken.get(each.id, each.keys):
                other = users.setdefault(key, each)
                if other is each or other.action == each.action:
                    continue
                late, early = sorted(
                    (each, other), key=lambda one: places.get(one.id, -1), reverse=True
                )
                place = places.get(late.id, -1)
                if place >= 0 and (worst is None or place > worst[0]):
                    worst = (place, key, late, early)
    return worst[1:] if worst else None


def _stays(binding: Bound) -> str:
    return f"it stays on {' and '.join(map(display, binding.keys))}."
