from __future__ import annotations

import sys

import pytest

from eagle_gym.progress import progress_bar


@pytest.mark.parametrize(("terminal", "show", "seen"), [(True, True, True), (True, False, False), (False, True, False)])
def test_a_bar_shows_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, show: bool, seen: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert list(progress_bar(range(3), show=show, desc="films", delay=0.0)) == [0, 1, 2]
    assert ("films" in capsys.readouterr().err) == seen


def test_quick_work_shows_no_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert len(list(progress_bar(range(3), desc="films"))) == 3
    assert "films" not in capsys.readouterr().err
