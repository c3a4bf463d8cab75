"""The layout of pictures."""

from __future__ import annotations

from benchmarks.reporting import plots


def test_lines_of_an_episode_do_not_overlap() -> None:
    tops, total = plots.layout([3, 1, 2], [1, 2])
    assert tops[0] + 3 + 1 < tops[1]
    assert tops[1] + 1 + 2 < tops[2]
    assert total >= tops[2] + 2
