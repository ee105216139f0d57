"""The command line: one module per group of commands. docs/cli.md is the reference.

Start-up time is part of the product: `main` loads only the module of the command that was asked
for, and commands import what they need when they are called.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import sys
from typing import TYPE_CHECKING

from reactor.errors import ReactorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
# What writing to standard output fails with; commands raise ReactorError for all other files.
OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 yes, 1 no, 2 usage or settings, 3 in use, 4 faults, 5 store.

    130 after an interrupt (Ctrl-C).
    """
    given = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    if given[0] == "run":
        # A start makes next to no garbage, and looking for it takes a tenth of its time. `settle_collector` ends this.
        gc.disable()
    try:
        code = _run(given)
        sys.stdout.flush()
    except ReactorError as error:
        code = _report(error, as_document="--json" in given)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        if given[0] == "run" or error.errno not in OUTPUT_ERRORS or error.filename is not None:
            raise
        # After EPIPE whoever read (`head`) has enough, and nothing is wrong.
        if error.errno != errno.EPIPE:
            print(f"reactor: the answer cannot be written: {error.strerror}", file=sys.stderr)
        # Python flushes once more at exit, where nobody catches.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    finally:
        gc.enable()
    sys.exit(code)


def _run(given: Sequence[str]) -> int:
    """Return the exit code of a command. Raises ReactorError, also for a wrong command line."""
    if given[0] == "run":
        from reactor.cli.start import plain_flags, start

        flags = plain_flags(given[1:])
        if flags is not None:
            return start(flags)

    import typer

    from reactor.cli.application import COMMANDS, application
    from reactor.cli.usage import UsageError, spell_usage_error, unknown_command

    if not given[0].startswith("-") and given[0] not in COMMANDS:
        raise SettingsError(unknown_command(given[0], COMMANDS))
    try:
        ended = application(given)(args=given, prog_name="reactor", standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except UsageError as error:
        raise SettingsError(spell_usage_error(error)) from None
    return ended if isinstance(ended, int) else 0


def _report(error: ReactorError, *, as_document: bool) -> int:
    from reactor.cli.output import exit_code, message_lines

    sys.stdout.flush()
    for line in message_lines(error):
        print(f"reactor: {line}", file=sys.stderr)
    if as_document:
        print(json.dumps({"error": str(error)}))
        sys.stdout.flush()
    return exit_code(error)
