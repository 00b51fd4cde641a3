"""The config's `inputs`: a table by id, or the list that VS Code writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import Field, JsonValue, ValidationError

from mcpmux_tui.config.schema import Table, kind, shown_name, unknown_keys, wrong_types
from mcpmux_tui.model.inputs import InputSpec, InputType

_TYPES: Final[Mapping[str, InputType]] = {
    "text": "text",
    "password": "password",
    "number": "number",
    "boolean": "boolean",
    "url": "url",
    "choice": "choice",
    "select": "choice",
    "file": "file",
    "file_path": "file",
    "directory": "directory",
    "directory_path": "directory",
    # VS Code's own words.
    "promptString": "text",
    "pickString": "choice",
}
_KINDS: Final = '"text", "password", "number", "boolean", "url", "choice", "file" or "directory"'


class _Input(Table):
    """One input."""

    id: str | None = Field(None, description="text")
    type: str = Field("text", description=_KINDS)
    description: str = Field("", description="text")
    required: bool = Field(True, description="true or false")
    default: str | int | float | bool | None = Field(None, description="text")
    placeholder: str = Field("", description="text")
    options: list[JsonValue] = Field([], description="a list of texts")
    choices: list[str] = Field([], description="a list of texts")
    obtain: str | dict[str, JsonValue] = Field("", description="text")
    password: bool = Field(False, description="true or false")


def input_specs(value: object) -> tuple[dict[str, InputSpec], tuple[str, ...]]:
    """What stands under `inputs`, by id, and a sentence for each that cannot be used."""
    specs: dict[str, InputSpec] = {}
    warnings: list[str] = []
    for id_, item in _items(value):
        try:
            entry = _Input.model_validate(item)
        except ValidationError as error:
            warnings.append(f"Input `{shown_name(id_)}`: {wrong_types(_Input, error)}")
            continue
        id_ = entry.id or id_
        if not id_:
            warnings.append("An input has no `id`; nothing can refer to it.")
            continue
        spec = _spec(id_, entry)
        if spec is None:
            warnings.append(
                f"Input `{shown_name(id_)}`: `type` must be {_KINDS}, not"
                f" `{shown_name(entry.type)}`; it is asked for as text."
            )
            spec = InputSpec(id_, description=entry.description)
        elif spec.type == "choice" and not spec.choices:
            warnings.append(f"Input `{shown_name(id_)}` has no `options` to choose from.")
        warnings += unknown_keys(entry, f" in input `{shown_name(id_)}`")
        specs[id_] = spec
    return specs, tuple(warnings)


def _items(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for id_, item in value.items():
            yield str(id_), item if isinstance(item, dict) else {"type": kind(item)}
    elif isinstance(value, list):
        for item in value:
            id_ = item.get("id") if isinstance(item, dict) else None
            yield id_ if isinstance(id_, str) else "", item


def _spec(id_: str, entry: _Input) -> InputSpec | None:
    if (type_ := _TYPES.get(entry.type)) is None:
        return None
    obtain = entry.obtain
    if isinstance(obtain, dict):
        obtain = " ".join(str(part) for part in obtain.values() if isinstance(part, str))
    default = entry.default
    if isinstance(default, bool):
        default = str(default).lower()
    return InputSpec(
        id=id_,
        type="password" if entry.password and type_ == "text" else type_,
        description=entry.description,
        required=entry.required,
        default=None if default is None else str(default),
        placeholder=entry.placeholder,
        choices=tuple(entry.choices or map(_choice, entry.options)),
        obtain=obtain,
    )


def _choice(option: JsonValue) -> str:
    """VS Code also has options as objects with a label and a value."""
    return str(option.get("value", "")) if isinstance(option, dict) else str(option)
