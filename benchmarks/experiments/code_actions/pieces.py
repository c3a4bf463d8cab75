"""The pieces of the experiment, one measurement of one seed each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from benchmarks.experiments.code_actions.fitting import predictable, reach
from benchmarks.experiments.code_actions.playing import Size, on_codes, on_edits, untrained
from benchmarks.running.files import write_json
from benchmarks.running.provenance import circumstances

WORK: Mapping[str, Callable[[Size, int], dict[str, Any]]] = MappingProxyType(
    {
        "words": lambda size, seed: on_codes(size, seed, words=True),
        "edits": lambda size, seed: on_edits(size, seed, size["rewrites"]),
        "words_next": lambda size, seed: on_codes(size, seed, words=True, gamma=0.0),
        "edits_next": lambda size, seed: on_edits(size, seed, size["rewrites"], gamma=0.0),
        "untrained": untrained,
        "reach": reach,
        "predictable": predictable,
        "plain": lambda size, seed: on_codes(size, seed, words=False),
        "edits_long": lambda size, seed: on_edits(size, seed, size["long"]),
    }
)


@dataclass(frozen=True)
class Piece:
    """One piece of work: its kind, one of `WORK`, the folder of the run, and its seed."""

    kind: str
    out: Path
    seed: int
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name, and that of its file."""
        return f"{self.kind}-{self.seed}"

    @property
    def file(self) -> Path:
        """What it writes."""
        return self.out / "pieces" / f"{self.name}.json"


def plan(out: Path, size: Size) -> list[Piece]:
    """All pieces, those of a seed before those of the next."""
    return [Piece(kind, out, seed) for seed in range(size["seeds"]) for kind in WORK]


def do(size: Size, piece: Piece) -> None:
    """Do a piece and write its file."""
    torch.set_flush_denormal(True)  # sharp attention underflows to denormal numbers, which are slow
    found = WORK[piece.kind](size, piece.seed)
    piece.file.parent.mkdir(parents=True, exist_ok=True)
    write_json({"kind": piece.kind, "seed": piece.seed, "found": found, **circumstances()}, piece.file)
