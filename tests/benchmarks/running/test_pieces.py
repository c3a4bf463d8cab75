"""Pieces: done once, after those that they need; one that fails is listed and the page is written all the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.running.options import Options
from benchmarks.running.pieces import left, run_pieces
from eagle_gym.errors import ConfigurationError, PreparationError


@dataclass(frozen=True)
class Piece:
    """A piece that writes its name."""

    name: str
    out: Path
    needs: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        return self.out / "pieces" / self.name


def do(piece: Piece) -> None:
    if piece.name == "broken":
        raise ValueError("no luck")
    piece.file.parent.mkdir(exist_ok=True, parents=True)
    with piece.file.open("a") as file:
        file.write(piece.name)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options("small", tmp_path)


def pieces(out: Path) -> list[Piece]:
    return [Piece("first", out), Piece("second", out, ("first",)), Piece("other", out)]


def written(out: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((out / "pieces").iterdir())}


def test_pieces_are_done_once(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        run_pieces(do, pieces(options.out), options, lambda: "the page")
    assert written(options.out) == {"first": "first", "second": "second", "other": "other"}
    assert left(pieces(options.out)) == {}
    assert capsys.readouterr().out == "the page\nthe page\n"
    run_pieces(do, pieces(options.out), replace(options, fresh=True), str)
    assert written(options.out)["first"] == "first", "what was there is deleted"


def test_only_matching_pieces_are_done_with_what_they_need(options: Options) -> None:
    run_pieces(do, pieces(options.out), replace(options, report_only=True), str)
    assert not (options.out / "pieces").exists()
    run_pieces(do, pieces(options.out), replace(options, only="sec*"), str)
    assert written(options.out).keys() == {"first", "second"}
    with pytest.raises(ConfigurationError, match="--only sec"):
        run_pieces(do, pieces(options.out), replace(options, only="sec*", fresh=True), str)
    assert written(options.out).keys() == {"first", "second"}


def test_a_failed_piece_is_listed_after_the_page(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    work = [Piece("broken", options.out), Piece("after", options.out, ("broken",)), *pieces(options.out)]
    with pytest.raises(PreparationError, match="broken: ValueError: no luck\nafter: broken, which it needs, failed"):
        run_pieces(do, work, options, lambda: "the page")
    assert capsys.readouterr().out == "the page\n"
    assert list(left(work)) == ["broken", "after"]
