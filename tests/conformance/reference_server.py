"""Runs the SDK's everything-server over a transport: `reference_server.py TREE stdio|http`.

The server's own command line knows HTTP only.
"""

import importlib
import sys

tree, transport = sys.argv[1:]
sys.path.insert(0, tree)
everything = importlib.import_module("mcp_everything_server.server")
if transport == "stdio":
    everything.mcp.run("stdio")
else:
    # As its command line does; uvicorn writes the port that 0 became.
    everything.mcp.run(
        "streamable-http", port=0, event_store=everything.event_store, retry_interval=100
    )
