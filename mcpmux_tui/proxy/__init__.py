"""The one MCP server that clients see: both protocol eras on one path, raw bytes, one port.

listener    connections on sockets of our own, an orderly end
connection  HTTP/1.1 on one of them, with deadlines: slow and silent clients are let go
guard       who may come in: Host, Origin, token, sizes; before the body is read
http        one exchange: body in, JSON or an event stream out
legacy      2024-11-05 to 2025-11-25: `initialize`, sessions, GET streams
modern      2026-07-28: stateless requests with an envelope, `subscriptions/listen`
calls       taking back a call that is under way
router      `tools/call` -> the server behind a public name, bytes of `result` as received
catalog     which public name is whose, and the merged list as bytes
notices     when the catalog is made anew, and when clients hear of it
names       the public names themselves
limits      what a client may cost
fault       an answer that is a JSON-RPC error
proxy       joins them
"""

from mcpmux_tui.proxy.proxy import Proxy

__all__ = ["Proxy"]
