from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcpmux_tui.model import textfile
from mcpmux_tui.model.errors import ConfigError


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert textfile.read(path, 100) == "{}"


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        textfile.read(tmp_path / "none", 100)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "is not a file"),
        (os.mkfifo, "is not a file"),
        (lambda path: path.write_bytes(b"x" * (textfile.MIB + 1)), "larger than 1 MiB"),
        (lambda path: path.write_bytes(b"a\nb\n\xff\xfe"), r"not UTF-8 text \(line 3\)"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "file"
    assert callable(make)
    make(path)
    with pytest.raises(ConfigError, match=says) as caught:
        textfile.read(path, textfile.MIB)
    assert caught.value.path == path
