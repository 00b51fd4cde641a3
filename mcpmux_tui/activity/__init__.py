"""What happened: each server's log."""
