"""The signer: works with its two values, and says which it lacks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.demo.conftest import Mode, Open

TEXT = "The quick brown fox"


async def test_signs_and_verifies_with_the_key(open_stdio: Open, mode: Mode) -> None:
    async with open_stdio("signer", mode, SIGNER_NAME="ada", SIGNER_KEY="k1") as client:
        result = await client.call_tool("sign", {"text": TEXT})
        assert result.structured_content is not None
        signature = result.structured_content["result"]
        # printf 'ada\0The quick brown fox' | openssl dgst -sha256 -hmac k1
        assert signature == ("ada:99383de3e6c3871f6a503365574a439e6b00c6ef00b3ff7578a11757ac806d62")
        good = await client.call_tool("verify", {"text": TEXT, "signature": signature})
        assert good.structured_content == {"result": True}
        bad = await client.call_tool("verify", {"text": TEXT + ".", "signature": signature})
        assert bad.structured_content == {"result": False}


@pytest.mark.parametrize(
    ("env", "missing"),
    [({}, "SIGNER_NAME and SIGNER_KEY"), ({"SIGNER_NAME": "ada"}, "set SIGNER_KEY in")],
)
async def test_names_what_it_lacks(
    entries: dict[str, Any], env: dict[str, str], missing: str
) -> None:
    entry = entries["signer"]
    process = await asyncio.create_subprocess_exec(
        entry["command"], *entry["args"], env=env, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert missing in errors.decode()
