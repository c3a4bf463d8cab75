"""Experiments made of pieces: trainings and measurements that write one file each, where cells do not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from tqdm import tqdm

from benchmarks.running.engines import make_engine
from benchmarks.running.options import Options
from benchmarks.running.plan import matching
from eagle_gym.errors import ConfigurationError, PreparationError


class Piece(Protocol):
    """One piece of work."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def file(self) -> Path:
        """The file that it writes; the piece is done once this exists."""

    @property
    def needs(self) -> Sequence[str]:
        """Names of the pieces to do first."""


P = TypeVar("P", bound=Piece)


def run_pieces(do: Callable[[P], None], pieces: Sequence[P], options: Options, page: Callable[[], str]) -> None:
    """Do the pieces that are not done yet, then write and print the page.

    Args:
        do: Does a piece and writes its file.
        pieces: All pieces of the experiment, each after those that it needs.
        options: Where and how. `fresh` deletes everything in `options.out` first.
        page: Writes the page of the pieces that are done, and returns it.

    Raises:
        ConfigurationError: `fresh` and `only` are both given.
        PreparationError: Pieces failed, or none is done; the page is written all the same if one is.
    """
    if options.fresh and options.only != "*":
        raise ConfigurationError(f"--fresh deletes the whole run, got --only {options.only} too: leave out one of them")
    if options.fresh:
        shutil.rmtree(options.out, ignore_errors=True)
    work = {} if options.report_only else left(pieces, options.only)
    needs = {name: piece.needs for name, piece in work.items()}
    done = make_engine(options.engine, options.jobs)(do, work, needs)
    failed = [f"{name}: {error}" for name, error in done if error is not None]
    tqdm.write(page())
    if failed:
        raise PreparationError("pieces failed; start the run again to repeat them\n" + "\n".join(failed))


def left(pieces: Sequence[P], only: str = "*") -> dict[str, P]:
    """The pieces that are not done and whose names match a pattern, with those that they need."""
    missing = {piece.name: piece for piece in pieces if not piece.file.exists()}
    chosen = matching({name: piece.needs for name, piece in missing.items()}, only)
    return {name: piece for name, piece in missing.items() if name in chosen}
