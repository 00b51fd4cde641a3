"""The `[ui]` and `[keys]` tables: a wrong value is a warning and the default, never a refusal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field, ValidationError

from mcpmux_tui.config.schema import Table, kind, shown_name, unknown_keys, wrong_types
from mcpmux_tui.model.settings import GlyphChoice, UiSettings

_KEYS = 200
_LONGEST = 60


class _UiTable(Table):
    """`[ui]`."""

    theme: str = Field("", description="the name of a theme")
    glyphs: GlyphChoice = Field("auto", description='"auto", "unicode" or "ascii"')
    animations: bool = Field(True, description="true or false")


def ui_settings(ui: object, keys: object) -> tuple[UiSettings, tuple[str, ...]]:
    """Return what the tables `ui` and `keys` say, and what is wrong with them, a sentence each."""
    warnings: list[str] = []
    table = _ui(ui, warnings)
    chosen = dict(_keys(keys, warnings))
    settings = UiSettings(
        theme=table.theme, glyphs=table.glyphs, animations=table.animations, keys=chosen
    )
    return settings, tuple(warnings)


def _ui(value: object, warnings: list[str]) -> _UiTable:
    if not isinstance(value, dict):
        if value is not None:
            warnings.append(f"`[ui]` must be a table, not {kind(value)}; it is not used.")
        return _UiTable.model_validate({})
    right: dict[str, object] = {}
    for key, item in value.items():
        try:
            _UiTable.model_validate({key: item})
        except ValidationError as error:
            warnings.append(f"In `[ui]`: {wrong_types(_UiTable, error)} The default is used.")
        else:
            right[key] = item
    table = _UiTable.model_validate(right)
    warnings += unknown_keys(table, " in `[ui]`")
    return table


def _keys(value: object, warnings: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if not isinstance(value, dict):
        if value is not None:
            warnings.append(f"`[keys]` must be a table, not {kind(value)}; it is not used.")
        return
    for number, (name, keys) in enumerate(_flat(value)):
        if number == _KEYS:
            warnings.append(f"`[keys]` has more than {_KEYS} entries; the others are not used.")
            return
        match keys:
            case str():
                # A comma separates keys, and alone it is one.
                pressed = (keys,) if keys.strip() == "," else tuple(keys.split(","))
            case list() if all(isinstance(each, str) for each in keys):
                pressed = tuple(keys)
            case _:
                warnings.append(
                    f"In `[keys]`: `{shown_name(name)}` must be a key or a list of keys, such as"
                    f' "ctrl+r", not {kind(keys)}. The default is used.'
                )
                continue
        pressed = tuple(key.strip()[:_LONGEST] for key in pressed if key.strip())
        if pressed:
            yield name, pressed
        else:
            warnings.append(f"In `[keys]`: `{shown_name(name)}` names no key. The default is used.")


def _flat(table: Mapping[object, object], before: str = "") -> Iterator[tuple[str, object]]:
    """The entries by whole id: unquoted, TOML reads `server.restart` as a table in a table."""
    for key, item in table.items():
        name = f"{before}{key}"
        if isinstance(item, dict) and name.count(".") < 3:
            yield from _flat(item, f"{name}.")
        else:
            yield name, item
