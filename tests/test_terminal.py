"""Commands end quietly where whoever reads their output has left."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from eagle_gym.terminal import run_command

COMMANDS = (
    *(["eagle_gym", "--help"], ["eagle_gym", "list"]),
    *(["baselines", "settings", "ppo"], ["benchmarks", "list", "--help"]),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_end_quietly_when_nobody_reads(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([sys.executable, "-m", *command], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert ended.stderr == b""
    assert ended.returncode in (0, 1)  # argparse ignores what becomes of a help text


def test_a_status_is_passed_on_and_other_broken_pipes_are_errors() -> None:
    def broken() -> int:
        raise BrokenPipeError("a worker died")

    assert run_command(lambda: 2) == 2
    with pytest.raises(BrokenPipeError, match="a worker died"):
        run_command(broken)
