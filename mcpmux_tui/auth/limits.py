"""Every number that bounds tokens and their renewal, in one place."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes and counts; tests scale them."""

    beginning: float = 30.0
    """From the wish to sign in to what a person has to do."""
    device_pause: float = 5.0
    """Between two questions whether a code was entered, at least (RFC 8628, 3.2)."""
    device_pause_most: float = 20.0
    device_lasts: float = 900.0
    """A person has to enter a code."""
    answer: float = 10.0
    """One request to an authorization server and its answer."""
    body: int = 256 * KIB
    """What is read of such an answer."""
    lock: float = 20.0
    """For another process to end what it does with the same sign-in."""
    patience: float = 15.0
    """For a call that waits for a renewal; the renewal itself goes on."""
    revocation: float = 5.0
    """For telling the authorization server of a logout, all in all."""
    closing: float = 5.0
    """For a renewal under way to end when the engine does: its tokens may be the only good ones."""

    renew_at: float = 0.8
    """Share of a token's life after which it is renewed beside the calls that use it."""
    spread: float = 0.05
    """Share of its life by which that may be earlier, so that many servers do not ask at once."""
    wait_at: float = 0.95
    """Share of its life after which calls wait for the renewal."""
    wait_most: float = 30.0
    """But not earlier than this before its end."""
    rest: float = 5.0
    """Between two renewals of the same sign-in, however short a token lives."""

    retry_first: float = 5.0
    """After an authorization server did not answer; doubles up to `retry_most`."""
    retry_most: float = 300.0
    save_again: float = 60.0
    """Between two tries to write a token that the keyring did not take."""
    turns: int = 2
    """Renewals at one authorization server at once."""
