"""The terminal UI: what a person sees of an engine, and the keys that act on it."""
