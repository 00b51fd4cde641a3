"""Plain secrets of the config, moved to the keyring and back."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from mcpmux_tui.config import edit
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.person import Person
from mcpmux_tui.engine.securing import Securing
from mcpmux_tui.model.errors import ConfigError, ControlError, UsageError
from mcpmux_tui.model.server import Health
from tests.engine.test_given import SESSION, environment_of, holding
from tests.engine.test_given import ring as ring
from tests.engine.test_hub import RAW, running
from tests.engine.test_sign_ins import comes, row
from tests.fixtures.fake_keyring import FakeKeyring

CONFIG = f"""\
# my servers
[servers.a]  # the first
command = "{{python}}"
args = ["{RAW}"]  # as it is
env = {{ API_KEY = "s3cr3t-canary", REGION = "eu" }}  # keep this

[servers.b]
command = "{{python}}"
args = ["{RAW}"]
[servers.b.env]
# of b
API_KEY = "another-canary"
"""


def config(python: str) -> str:
    return CONFIG.replace("{python}", python)


async def move(hub: Hub, securing: Securing, name: str) -> tuple[str, ...]:
    names = await securing.move(hub.fleet[name].spec)
    await hub.reload()
    return names


@pytest.mark.behaviour("F6", "PRX-S02")
async def test_secrets_move_comments_stay_and_it_can_be_undone(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    text = config(sys.executable)
    async with running(tmp_path, text) as hub:
        securing = Person(hub).securing
        path = hub.instance.config
        await comes(hub, Health.CONNECTED, "a")
        assert "`env.API_KEY` is a secret in plain text" in row(hub, "a").warnings[0]
        assert await move(hub, securing, "a") == ("API_KEY",)
        after = path.read_text()
        assert after == text.replace('"s3cr3t-canary"', '"${secret:API_KEY}"')
        await comes(hub, Health.CONNECTED, "a")
        assert (await environment_of(hub, "a"))["API_KEY"] == "s3cr3t-canary"
        assert row(hub, "a").warnings == ()
        # Another value under the same name gets a name of its own.
        assert await move(hub, securing, "b") == ("API_KEY_B",)
        await comes(hub, Health.CONNECTED, "b")
        assert (await environment_of(hub, "b"))["API_KEY"] == "another-canary"
        assert not holding(tmp_path, "canary")
        with pytest.raises(ControlError, match="no secrets in plain text"):
            await move(hub, securing, "b")
        assert await securing.undo() == ("API_KEY_B",)
        assert path.read_text() == after
        with pytest.raises(ControlError, match="nothing to undo"):
            await securing.undo()
        await hub.reload()
        await move(hub, securing, "b")
        path.write_text(path.read_text() + "# mine\n")
        with pytest.raises(ConfigError, match="was changed since"):
            await securing.undo()


async def test_without_a_keyring_or_with_one_that_refuses_nothing_moves(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    text = config(sys.executable)
    async with running(tmp_path, f"{SESSION}\n{text}") as hub:
        securing = Person(hub).securing
        with pytest.raises(ControlError, match="no keyring to move them to"):
            await move(hub, securing, "a")
    ring.sets_left = 0
    async with running(tmp_path, text) as hub:
        securing = Person(hub).securing
        with pytest.raises(ControlError, match="Nothing was moved"):
            await move(hub, securing, "a")
        assert hub.instance.config.read_text() == text
    ring.sets_left = 9
    async with running(tmp_path, text) as hub:
        securing = Person(hub).securing
        hub.instance.config.write_text(text.replace("[servers.a]", "[servers.other]"))
        with pytest.raises(UsageError, match="no server named a"):
            await securing.move(hub.fleet["a"].spec)
    assert ring.values == {}


def test_a_reference_to_the_environment_becomes_one_to_the_kept_value(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[servers.a] # x\ncommand = "x"\n'
        'args = ["${KEY}", "$${KEY}", "${KEY:-d}", "${KEYS}", "$$${KEY}"]\n'
    )
    edit.refer_to_secret(path, "a", "KEY")
    assert tomllib.loads(path.read_text())["servers"]["a"]["args"] == [
        "${secret:KEY}", "$${KEY}", "${secret:KEY:-d}", "${KEYS}", "$$${secret:KEY}",
    ]  # fmt: skip
    assert path.read_text().startswith("[servers.a] # x\n")
