"""`python -m reactor` is the command `reactor`."""

from __future__ import annotations

from reactor.cli import main

if __name__ == "__main__":
    main()
