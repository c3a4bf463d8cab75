"""How well a surrogate predicts what the language model's rewrites do, on texts and edits that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.running import opened
from benchmarks.running.files import read_json, write_json
from eagle_gym.actions.surrogate.make import Budget, make_surrogate

FILE: Final = "surrogate.json"


@dataclass(frozen=True)
class KnownEdits:
    """Candidates drawn from the edits of all pools, so that none has to be proposed for a text that is no item's."""

    edits: Sequence[str]

    @property
    def settings(self) -> dict[str, str | float]:
        """See `Candidates`."""
        return {"candidates": "pools", "edits": len(self.edits)}

    def propose(self, texts: Sequence[str], profiles: Sequence[str], n: int, seeds: Sequence[int]) -> list[list[str]]:
        """See `Candidates`; texts and profiles are not read."""
        count = min(n, len(self.edits))
        return [
            [self.edits[row] for row in np.random.default_rng(seed).choice(len(self.edits), count, replace=False)]
            for seed in seeds
        ]


def measure(places: Sequence[tuple[str, str, dict[str, Any]]], size: Mapping[str, Any], out: Path) -> None:
    """Fit and measure a surrogate where texts are free; what is there is kept, answers of the model included."""
    found = read_json(out / FILE) if (out / FILE).exists() else {}
    for name, env_id, kwargs in places:
        if "pools" in kwargs and name not in found:
            record = out / f"trials-{name}.jsonl"
            found[name] = quality(env_id, kwargs, Budget(size["trials"], max(2, size["trials"] // 8)), record)
            write_json(found, out / FILE)


def quality(env_id: str, kwargs: Mapping[str, Any], budget: Budget, record: Path) -> dict[str, float]:
    """R² of a surrogate with its interval and its ceiling."""
    with opened(env_id, 1, **kwargs) as envs:
        world = envs.unwrapped.world
        texts = world.catalog.texts
        pools = world.resources.action_sets.candidates.propose(
            texts, [""] * len(texts), world.settings.pool, [0] * len(texts)
        )
        edits = KnownEdits(sorted({edit for pool in pools for edit in pool}))
        made = make_surrogate(
            texts,
            world.space,
            world.model,
            edits,
            language="free",
            budget=budget,
            temperature=world.settings.temperature,
            record=record,
        )
    return dict(made.quality)
