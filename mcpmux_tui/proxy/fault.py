"""A request that is answered with a JSON-RPC error."""

from __future__ import annotations

from mcpmux_tui.model import jsonrpc


class Fault(Exception):
    """`raw` is the whole error object: our own, or a server's as received."""

    def __init__(
        self, code: int, message: str, data: object = None, *, raw: bytes | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.raw = jsonrpc.error_object(code, message, data) if raw is None else raw
