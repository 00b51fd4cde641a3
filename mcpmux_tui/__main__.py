"""`python -m mcpmux_tui` is `mcpmux`."""

from mcpmux_tui.cli.main import main

if __name__ == "__main__":
    main()
