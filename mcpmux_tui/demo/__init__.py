"""The built-in demo: servers that need no network, no account and no file of the user's.

`prepare` writes the config; `HttpServer` runs the servers that are no row's children. The servers
(`clock`, `journal`, `notes`, `signer`, `text`) are programs of their own, so that importing this
package does not import the MCP SDK.
"""

from mcpmux_tui.demo.config import prepare
from mcpmux_tui.demo.http import HttpServer

__all__ = ["HttpServer", "prepare"]
