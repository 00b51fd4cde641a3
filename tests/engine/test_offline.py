"""A network that is gone, as the hub sees it: servers at addresses that refuse, then answer."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from mcpmux_tui.engine.person import Person
from mcpmux_tui.model import spec
from mcpmux_tui.model.server import Action, Health
from tests.engine.test_hub import entry, running, state, until
from tests.fixtures.raw_http import RawHttp, parse


def at(name: str, url: str) -> str:
    return f'[servers.{name}]\nurl = "{url}"\n'


@pytest.mark.behaviour("H14")
async def test_a_network_that_is_gone_is_said_once_and_the_first_success_lets_all_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spec, "is_loopback", lambda host: host == "localhost")
    one, two = RawHttp(parse(())), RawHttp(parse(()))
    for each in (one, two):
        await each.close(await each.listen())
    here = at("here", one.url.replace("127.0.0.1", "localhost"))
    entries = (entry("child"), here, at("one", one.url), at("two", two.url))
    async with running(tmp_path, *entries) as hub:
        await until(hub, lambda: state(hub, "child") is Health.CONNECTED)
        await until(hub, lambda: hub.snapshot().offline == 2)
        await until(hub, lambda: hub.fleet["two"].snapshot.attempt == 2)
        listeners = [await each.listen(httpx2.URL(each.url).port or 0) for each in (one, two)]
        tries: list[int] = []

        def all_back() -> bool:
            if state(hub, "one") is not Health.CONNECTED:
                assert hub.snapshot().offline == 2
            elif state(hub, "two") is Health.CONNECTING:
                tries.append(hub.fleet["two"].snapshot.attempt)
            return state(hub, "two") is Health.CONNECTED

        await Person(hub).act("one", Action.RETRY)
        await until(hub, all_back)
        assert hub.snapshot().offline == 0
        # A back-off that was forgotten begins with its first try.
        assert set(tries) == {0}
    for each, listener in zip((one, two), listeners, strict=True):
        await each.close(listener)
