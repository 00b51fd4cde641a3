"""Secrets that stand in an entry as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.config.plain import plain_secret, plain_secrets
from mcpmux_tui.model.server import target_of
from mcpmux_tui.model.shapes import masked
from mcpmux_tui.model.spec import HttpLaunch, StdioLaunch

GITHUB = "ghp_" + "a1B2" * 9


@pytest.mark.behaviour("F6", "PRX-S02")
@pytest.mark.parametrize(
    ("where", "text", "name", "value", "after"),
    [
        ("env.API_KEY", "abc123", "API_KEY", "abc123", "${secret:API_KEY}"),
        ("env.X", GITHUB, "X", GITHUB, "${secret:X}"),
        ("env.DB_PASSWORD", "a$$b c", "DB_PASSWORD", "a$b c", "${secret:DB_PASSWORD}"),
        ("headers.Authorization", "Bearer abc.def", "GH_AUTHORIZATION", "abc.def",
         "Bearer ${secret:GH_AUTHORIZATION}"),
        ("headers.X-Api-Key", "abc123", "GH_X_API_KEY", "abc123", "${secret:GH_X_API_KEY}"),
        ("args", f"--token={GITHUB}", "GH_ARGS", GITHUB, "--token=${secret:GH_ARGS}"),
        ("url", "https://h/mcp?v=1&api_key=abc#x", "GH_API_KEY", "abc",
         "https://h/mcp?v=1&api_key=${secret:GH_API_KEY}#x"),
        ("oauth.client_secret", "s3cret", "GH_CLIENT_SECRET", "s3cret",
         "${secret:GH_CLIENT_SECRET}"),
    ],
)  # fmt: skip
def test_a_secret_is_found_and_named(
    where: str, text: str, name: str, value: str, after: str
) -> None:
    found = plain_secret("gh", where, text)
    assert found is not None
    assert (found.name, found.value, found.text) == (name, value, after)
    assert value not in repr(found)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("env.API_KEY", "${secret:API_KEY}"),
        ("env.API_KEY", "${API_KEY:-x}"),
        ("env.API_KEY", ""),
        ("env.USE_TOKEN", "true"),
        ("env.REGION", "eu-central-1"),
        ("env.PATH", "/usr/bin"),
        ("args", "--verbose"),
        ("headers.Authorization", "Bearer {{TOKEN}}"),
        ("url", "https://h/mcp?page=2"),
        ("url", "https://h/mcp?api_key=${KEY}"),
        ("oauth.client_id", "some-client"),
        ("command", "npx"),
    ],
)
def test_what_is_no_secret_stays(where: str, text: str) -> None:
    assert plain_secret("gh", where, text) is None


@pytest.mark.behaviour("F15")
def test_an_address_and_a_command_line_are_shown_without_secrets() -> None:
    assert (
        target_of(HttpLaunch("https://h/mcp?api_key=abcdef&v=1")) == "https://h/mcp?api_key=***&v=1"
    )
    assert target_of(HttpLaunch("https://h/?key_id=${X}")) == "https://h/?key_id=${X}"
    assert GITHUB not in target_of(StdioLaunch("npx", ("x", f"--token={GITHUB}")))


@given(st.text(), st.text())
def test_no_text_makes_it_stumble(text: str, key: str) -> None:
    masked(text)
    launch = StdioLaunch(text, (text,), {key: text}, text)
    list(plain_secrets("x", launch))
    list(plain_secrets("x", HttpLaunch(text, {key: text})))
    list(plain_secrets("x", HttpLaunch(f"https://h/?{text}")))
