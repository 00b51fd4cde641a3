"""Which keyring may be used, values in parts, and the plain file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keyring.backend
import pytest
from keyring.backend import KeyringBackend

from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.vault import backend
from mcpmux_tui.vault.backend import Keyring, Session, choose
from mcpmux_tui.vault.file import PlainFile
from mcpmux_tui.vault.parts import SIZE, InParts
from tests.fixtures.fake_keyring import FakeKeyring, Plain

FAKE = f"{FakeKeyring.__module__}.FakeKeyring"


def rings(monkeypatch: pytest.MonkeyPatch, *there: KeyringBackend) -> None:
    monkeypatch.setattr(keyring.backend, "get_all_keyring", lambda: list(there))


@pytest.mark.behaviour("F1")
def test_only_a_keyring_of_the_list_is_used_and_the_best_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rings(monkeypatch, Plain())
    assert choose("s", {}).name == "this session only: no keyring service runs"
    monkeypatch.setattr(backend, "ALLOWED", {FAKE: "Fake"})
    best, plain = FakeKeyring(), Plain()
    plain.priority = 9
    rings(monkeypatch, plain, best)
    chosen = choose("s", {})
    assert chosen.name == "keyring (Fake)"
    chosen.set("a", "one")
    assert best.values == {("s", "a"): "one"}


@pytest.mark.behaviour("F1")
@pytest.mark.parametrize(
    "named",
    [
        "keyring.backends.null.Keyring",
        "keyring.backends.fail.Keyring",
        "keyring.backends.chainer.ChainerBackend",
        f"{Plain.__module__}.Plain",
    ],
)
def test_one_named_in_the_environment_has_to_be_of_the_list_unless_any_may_be(named: str) -> None:
    chosen = choose("s", {"PYTHON_KEYRING_BACKEND": named})
    assert isinstance(chosen, Session)
    assert named in chosen.name
    freed = choose("s", {"PYTHON_KEYRING_BACKEND": named, "MCPMUX_ALLOW_KEYRING": "any"})
    assert isinstance(freed, Keyring)
    gone = {"PYTHON_KEYRING_BACKEND": "no.such.Keyring", "MCPMUX_ALLOW_KEYRING": "any"}
    assert "cannot be used" in choose("s", gone).name


@pytest.mark.behaviour("F3")
def test_a_value_too_long_for_the_keyring_is_kept_in_parts_and_they_go_with_it() -> None:
    ring = FakeKeyring()
    parts = InParts(Keyring(ring, "s"))
    long = "".join(chr(ord("a") + number % 26) for number in range(8_000))
    parts.set("a", long)
    assert list(ring.values) == [("s", "a")]
    ring.longest = 1_280
    parts.set("a", long)
    assert len(ring.values) == 1 + 8_000 // SIZE
    assert parts.get("a") == long
    parts.set("a", long[:-1])
    assert parts.get("a") == long[:-1]
    assert len(ring.values) == 9
    parts.set("a", "short")
    assert ring.values == {("s", "a"): "short"}
    parts.set("a", "mcpmux-parts:2:ab")
    assert parts.get("a") == "mcpmux-parts:2:ab"
    parts.delete("a")
    assert ring.values == {}


@pytest.mark.behaviour("F3", "F9")
def test_a_write_cut_short_leaves_the_old_value_whole_and_damage_is_noticed() -> None:
    ring = FakeKeyring()
    ring.longest = 1_280
    parts = InParts(Keyring(ring, "s"))
    parts.set("a", "o" * 5_000)
    for left in range(8):
        ring.sets_left = left
        with pytest.raises(VaultError):
            parts.set("a", "n" * 8_000)
        assert parts.get("a") == "o" * 5_000
    lost = next(name for name in ring.values if "#" in name[1])
    del ring.values[lost]
    with pytest.raises(VaultError) as met:
        parts.get("a")
    assert met.value.trouble == "damaged"


KILLED = """
import os, sys
from pathlib import Path
from mcpmux_tui.vault.file import PlainFile

os.fsync = lambda _: os._exit(9)
PlainFile(Path(sys.argv[1])).set("server/a", "s3cret")
"""


def test_a_write_that_was_killed_leaves_no_secret_behind_the_next(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode == 9
    assert any("s3cret" in each.read_text(encoding="utf-8") for each in tmp_path.iterdir())
    PlainFile(path).delete("server/a")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["secrets.toml", "secrets.toml.lock"]


@pytest.mark.behaviour("F4", "F5")
def test_the_plain_file_is_this_user_s_alone_and_no_link_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    before = os.umask(0)
    try:
        one, two = PlainFile(path), PlainFile(path)
        one.set("server/a", 'x"]\n[evil')
        two.set("secret/B", "two")
    finally:
        os.umask(before)
    assert one.get("server/a") == 'x"]\n[evil'
    assert one.get("secret/B") == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["secrets.toml", "secrets.toml.lock"]
    one.delete("server/a")
    assert two.get("server/a") is None
    path.chmod(0o644)
    with pytest.raises(VaultError, match="others than you may read it"):
        one.get("secret/B")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VaultError):
        one.get("secret/B")
    path.unlink()
    path.write_text("s3cret = ")
    path.chmod(0o600)
    with pytest.raises(VaultError, match="it is not TOML") as met:
        one.set("a", "b")
    assert "s3cret" not in str(met.value)
