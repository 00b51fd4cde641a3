"""The built-in demo servers: no network, no Node, no account, no user file."""
