"""The same features for clients that only start commands."""

from __future__ import annotations

import pytest

from mcpmux_tui.engine.hub import Hub
from tests.fixtures.pipe_peer import bridge
from tests.matrix.test_matrix import ANSWERS, FEATURES, OWN, VERSIONS, Feature, Server

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.behaviour("P-14")
@pytest.mark.parametrize("server", ["stdio", "http-2026"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_every_feature_crosses_the_bridge(hub: Hub, version: str, server: str) -> None:
    assert hub.proxy.url is not None
    await show(hub.proxy.url, version, server, FEATURES)
    await show(f"{hub.proxy.url}/{server}", version, server, OWN)


async def show(url: str, version: str, server: str, features: dict[str, Feature]) -> None:
    """Show all features by one client of one bridge."""
    async with bridge("--url", url, version=version, answers=ANSWERS) as client:
        for name, feature in features.items():
            client.heard.clear()
            client.questions.clear()
            try:
                await feature(Server(client, server))
            except BaseException as error:
                error.add_note(name)
                raise
