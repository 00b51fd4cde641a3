"""Rules about the source of the UI that no reviewer has to watch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mcpmux_tui.ui

_SOURCE = Path(mcpmux_tui.ui.__file__).parent
_FILES = sorted(_SOURCE.rglob("*.py"))
_PARSE_MARKUP = {
    "Static",
    "Label",
    "Button",
    "Checkbox",
    "OptionList",
    "Choices",
    "CandidateList",
    "notify",
}
_STYLE_FILES = sorted(_SOURCE.rglob("*.tcss"))


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _calls(file: Path) -> list[ast.Call]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.behaviour("A1", "A3", "A4")
@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(_SOURCE)))
def test_no_text_is_taken_for_markup(file: Path) -> None:
    for call in _calls(file):
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        where = f"{file.name}:{call.lineno}"
        if _name(call) in _PARSE_MARKUP:
            markup = keywords.get("markup")
            assert isinstance(markup, ast.Constant) and markup.value is False, where
        assert _name(call) not in {"from_markup", "from_text"}, where
        assert "tooltip" not in keywords or _name(call) == "Binding", where
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in {
                    "border_title", "border_subtitle", "tooltip", "title", "sub_title",
                }:  # fmt: skip
                    assert _is_fixed(node.value), f"{file.name}:{node.lineno}"
        if isinstance(node, ast.FunctionDef) and node.name == "render":
            assert isinstance(node.returns, ast.Name) and node.returns.id == "Content"


def _is_fixed(value: ast.expr) -> bool:
    if isinstance(value, ast.IfExp):
        return _is_fixed(value.body) and _is_fixed(value.orelse)
    if isinstance(value, ast.Call):
        return _name(value) in {"line", "pressed", "key_line", "Content"}
    return isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and value.id.isupper())


@pytest.mark.parametrize("file", _STYLE_FILES, ids=lambda file: file.name)
def test_styles_name_theme_variables_only(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "rgb(" not in text
    assert not any(
        line.strip().startswith(("color:", "background:")) and "$" not in line
        for line in text.splitlines()
    )
