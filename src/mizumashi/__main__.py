"""`python -m mizumashi`."""

import sys


def main() -> int:
    """Run the command line; Ctrl-C ends in one line from the first import on."""
    try:
        from mizumashi.cli.main import main as run
    except KeyboardInterrupt:
        print("mizumashi: stopped; nothing was written", file=sys.stderr)
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
