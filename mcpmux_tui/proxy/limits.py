"""What a client may cost: sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The proxy's limits; tests scale the times down."""

    connections: int = 256
    """At the limit the one longest without a whole request is closed."""
    header_wait: float = 10.0
    """For the whole header of the first request, and of one begun on a kept connection."""
    body_wait: float = 30.0
    keep_alive: float = 120.0
    """Between requests; common clients keep a connection for up to 90 s, and would lose a request
    to one that is closed before."""
    write_wait: float = 60.0
    """For a client to go on reading its answer."""
    linger: float = 2.0
    """For the rest of a body that was refused unread."""
    header_count: int = 100
    header_bytes: int = 32 * 1024
    body_bytes: int = 4 * 1024 * 1024
    sessions: int = 64
    """Beyond it the longest idle 2025 session is let go."""
    session_idle: float = 30 * 60.0
    client_memory: float = 60.0
    """How long a client counts as there after its last request."""
    ping: float = 15.0
    """Between comments on a silent event stream."""
    notice: float = 1.0
    """At least this between two notices of a changed list."""
    patience: float = 10.0
    """How long a call waits for a server that is on its way."""
    question: float = 600.0
    """How long a server's question may wait for the person, or for a 2026 client to come back
    with the answer."""
    resumable: float = 300.0
    """How long a stream that broke off can be taken up again."""
    resumable_bytes: int = 64 * 1024 * 1024
    """What all such streams may hold; beyond it the one longest left is let go."""
    questions: int = 4
    """Questions of one server that may wait for the person."""
    held: int = 64
    """Calls that wait so; beyond it the oldest is given up."""
    grace: float = 0.8
    """For calls in flight when the proxy stops; then they are failed."""


DEFAULTS = Limits()
