"""Secrets taken out of texts."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.model.secret import Secret
from mcpmux_tui.vault.redact import Redactor

HARD = 'p@ss/w"örd+1 x'


def knows(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.hide(Secret(value))
    return redactor


@pytest.mark.behaviour("F7", "GRID-O09")
@pytest.mark.parametrize(
    "form",
    [
        HARD,
        quote(HARD, safe=""),
        quote_plus(HARD),
        json.dumps(HARD)[1:-1],
        json.dumps(HARD, ensure_ascii=False)[1:-1],
        base64.b64encode(HARD.encode()).decode(),
        base64.urlsafe_b64encode(HARD.encode()).decode(),
    ],
)
def test_a_known_secret_is_taken_out_in_every_form(form: str) -> None:
    assert form not in knows(HARD).clean(f"before {form} after")


@given(st.text(alphabet="abcdefgh", max_size=6), st.text(alphabet="abcdefgh", max_size=6))
def test_a_secret_within_longer_base64_is_taken_out_but_for_its_ends(
    before: str, after: str
) -> None:
    whole = base64.b64encode(f"{before}s3cr3t-canary-0123456789{after}".encode()).decode()
    left = knows("s3cr3t-canary-0123456789").clean(whole)
    assert "***" in left
    assert len(left) < len(whole) - 20


def test_the_longer_of_two_secrets_goes_whole() -> None:
    assert knows("hunter", "hunter2-long").clean("hunter2-long hunter") == "*** ***"


def test_short_and_common_values_spoil_no_text() -> None:
    assert knows("abc", "true", "  ", "").clean("abc is true") == "abc is true"


@pytest.mark.behaviour("F7")
@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("x-api-key=abcdef&y=1", "x-api-key=***&y=1"),
        ('{"access_token":"abcdef","n":1}', '{"access_token":"***","n":1}'),
        ("got eyJhbGciOiJIUzI1.eyJzdWIiOiIxMj.sig-1 today", "got *** today"),
        ("a token is needed: press c", "a token is needed: press c"),
        ("password: ***", "password: ***"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_too(text: str, cleaned: str) -> None:
    assert Redactor().clean(text) == cleaned


@given(st.text(alphabet="xyz$%&", min_size=4), st.text(alphabet="abc \n\x1b\ud800"))
def test_no_known_secret_stays_in_any_text(secret: str, text: str) -> None:
    assert secret not in knows(secret).clean(f"{text}{secret}{text}{secret}")


@given(st.text(), st.text())
def test_no_text_makes_it_stumble(secret: str, text: str) -> None:
    knows(secret).clean(text)
