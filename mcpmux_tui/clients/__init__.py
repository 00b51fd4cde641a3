"""The entry each MCP client wants for mcpmux."""
