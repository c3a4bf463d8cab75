from __future__ import annotations

import subprocess
import sys

from eagle_gym.language import Completion, Usage


def test_usage_counts_and_snapshots_subtract():
    usage = Usage()
    usage.add([Completion("a", 5, 2, "stop"), Completion("b", 6, 3, "stop")], seconds=0.5, cost=0.1)
    before = usage.snapshot()
    usage.add([Completion("c", 1, 1, "stop")], seconds=0.25)
    difference = usage.snapshot() - before
    assert (before.calls, before.prompt_tokens, before.completion_tokens, before.cost) == (2, 11, 5, 0.1)
    assert (difference.calls, difference.prompt_tokens, difference.seconds) == (1, 1, 0.25)


def test_importing_the_room_is_light():
    program = "import sys, eagle_gym.language; sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    subprocess.run([sys.executable, "-c", program], check=True)
