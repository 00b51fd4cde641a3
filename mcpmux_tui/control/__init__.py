"""The private socket between the engine and its doors."""
