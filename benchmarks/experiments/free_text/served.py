"""Pools of edits for a server that rewrites but does not propose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.running import opened


def adopt_pools(env_id: str, kwargs: Mapping[str, Any], language_model: str) -> None:
    """Make all pools of a catalog, and write a second file of them under the name of another language model.

    An editor behind a server is no use as a proposer, and both environments should offer the same edits.

    Args:
        env_id: Id of the environment.
        kwargs: Its arguments; `pools` is the first file, and the second ends in `.served.jsonl`.
        language_model: Spec of the other language model.
    """
    own = Path(kwargs["pools"])
    other = own.with_suffix(".served.jsonl")
    if other.exists():
        return
    with opened(env_id, 1, **kwargs) as envs:
        world = envs.unwrapped.world
        world.resources.action_sets.candidates.make(world.catalog.texts, progress=True)
    with opened(env_id, 1, **{**kwargs, "language_model": language_model, "pools": str(other)}) as envs:
        header = envs.unwrapped.world.resources.action_sets.candidates.identity.header
    _, *lines = own.read_text(encoding="utf-8").splitlines()
    other.write_text("".join(f"{line}\n" for line in (json.dumps(header, separators=(",", ":")), *lines)))
