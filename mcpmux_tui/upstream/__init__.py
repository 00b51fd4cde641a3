"""One MCP server each: supervisor, session (eras, lists), stdio, http, process, backoff."""
