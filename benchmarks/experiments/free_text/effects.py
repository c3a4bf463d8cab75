"""How well a surrogate predicts what the language model's rewrites do, on texts and edits that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.running import opened
from benchmarks.running.files import write_json
from eagle_gym.actions.surrogate.make import Budget, make_surrogate

FILE: Final = "surrogate.json"


def measure(places: Sequence[tuple[str, str, dict[str, Any]]], size: Mapping[str, Any], out: Path) -> None:
    """Fit and measure a surrogate for films in free text, and write `surrogate.json`.

    The model's answers are kept, so another text encoder costs no rewrite. Products are left out, because every
    rewritten text would need new proposals.
    """
    budget = Budget(size["trials"], max(2, size["trials"] // 8))
    films = {name: (env_id, kwargs) for name, env_id, kwargs in places if name.startswith("movielens")}
    found = {name: quality(*place, budget, out / "trials.jsonl") for name, place in films.items()}
    write_json(found, out / FILE)


def quality(env_id: str, kwargs: Mapping[str, Any], budget: Budget, record: Path) -> dict[str, float]:
    """R² of a surrogate with its interval and its ceiling."""
    with opened(env_id, 1, **kwargs) as envs:
        world = envs.unwrapped.world
        made = make_surrogate(
            world.catalog.texts,
            world.space,
            world.model,
            world.resources.action_sets.candidates,
            language="free",
            budget=budget,
            temperature=world.settings.temperature,
            record=record,
        )
    return dict(made.quality)
