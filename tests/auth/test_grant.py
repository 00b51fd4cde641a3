"""The record of a sign-in."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcpmux_tui.auth.grant import Endpoints, Grant, Tokens, binding
from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.model.secret import Secret
from tests.auth.rig import SERVER, Hands, new_grant
from tests.auth.token_server import TokenServer

HERE = TokenServer(url="https://as.example")


def test_a_grant_survives_the_vault() -> None:
    grant = new_grant(HERE, Hands(), client_secret="s").missing(("a",)).refused(("b",), 5.0)
    assert Grant.parse(grant.to_item(), SERVER) == grant


@pytest.mark.behaviour("F7")
def test_a_secret_shows_itself_only_to_who_asks() -> None:
    secret = Secret("CANARY")
    assert "CANARY" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "CANARY"
    assert secret == Secret("CANARY")
    assert secret != Secret("canary")
    assert secret != "CANARY"
    assert hash(secret) == hash(Secret("CANARY"))
    assert not Secret("")
    grant = new_grant(HERE, Hands(), access="CANARY", refresh="CANARY", client_secret="CANARY")
    assert "CANARY" not in grant.model_dump_json()
    assert grant.to_item().count("CANARY") == 3
    with pytest.raises(ValidationError) as told:
        Tokens.model_validate({"access": ["CANARY"], "obtained_at": "CANARY"})
    assert "CANARY" not in str(told.value)


@pytest.mark.behaviour("C18")
def test_a_client_of_another_issuer_is_no_part_of_a_grant() -> None:
    text = new_grant(HERE, Hands(), client_secret="CANARY").to_item()
    with pytest.raises(VaultError) as told:
        Grant.parse(
            text.replace('"issuer":"https://as.example","client', '"issuer":"x","client'), "s"
        )
    assert "CANARY" not in str(told.value)


@pytest.mark.behaviour("C18", "MUX-O10", "LIB-F07", "GRID-O05")
def test_a_registration_serves_the_same_issuer_and_redirect_until_its_secret_ends() -> None:
    grant = new_grant(HERE, Hands())
    kept = grant.registration
    assert kept is not None
    back = kept.redirect_uri or ""
    assert kept.serves(HERE.url, back, 0.0)
    assert not kept.serves("https://other.example", back, 0.0)
    assert not kept.serves(HERE.url, back + "2", 0.0)
    ending = kept.model_copy(update={"secret_expires_at": 10.0})
    assert ending.serves(HERE.url, back, 9.0)
    assert not ending.serves(HERE.url, back, 10.0)


@pytest.mark.behaviour("C5", "C18")
def test_what_a_discovery_finds_elsewhere_is_named() -> None:
    grant = new_grant(HERE, Hands())
    assert grant.differences(grant.issuer, grant.endpoints) == ()
    moved = Endpoints(
        authorization=grant.endpoints.authorization,
        token="https://evil.example/token",
        device="https://as.example/device",
    )
    assert grant.differences("https://other.example", moved) == (
        "issuer: https://other.example instead of https://as.example",
        "token endpoint: https://evil.example/token instead of https://as.example/token",
        "revocation endpoint: none instead of https://as.example/revoke",
        "device endpoint: https://as.example/device instead of none",
    )


@pytest.mark.behaviour("C13")
def test_a_refusal_is_remembered_for_a_day() -> None:
    grant = new_grant(HERE, Hands()).refused(("a", "b"), 1_000.0)
    assert grant.lately_refused(("a",), 1_000.0 + 86_399)
    assert not grant.lately_refused(("a", "c"), 2_000.0)
    assert not grant.lately_refused((), 2_000.0)
    assert not grant.lately_refused(("a",), 1_000.0 + 86_400)
    assert len(grant.refused(("c",), 1_000.0 + 90_000).refusals) == 1


@pytest.mark.behaviour("LIB-F12")
def test_a_binding_tells_address_and_client_apart_and_shows_neither() -> None:
    url = "https://a.example/mcp"
    all_different = {
        binding(url),
        binding(url + "/"),
        binding(url, client_id="a"),
        binding(url, metadata_url="a"),
        binding(url, client_id="a", client_secret=Secret("b")),
        binding(url, client_id="a", client_secret=Secret("c")),
    }
    assert len(all_different) == 6
    assert not [each for each in all_different if "example" in each]
