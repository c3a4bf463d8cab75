"""Commands of a terminal."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable


def run_command(command: Callable[[], int]) -> int:
    """Run a command; it ends quietly where whoever reads its output has left, as in `... --help | head`.

    Returns:
        The command's exit status, 1 if the reader has left.
    """
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()  # here, where the error can be caught, rather than when Python ends
    except BrokenPipeError:
        if not _is_broken(sys.stdout.fileno()):
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # for what is still to be written
        os.close(nowhere)
    return 1


def _is_broken(pipe: int) -> bool:
    """Whether nobody reads a pipe any more."""
    poll = select.poll()
    poll.register(pipe, 0)  # errors are reported in any case
    return any(event & select.POLLERR for _, event in poll.poll(0))
