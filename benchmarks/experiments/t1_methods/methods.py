"""The methods that T1 compares: all of them on the default task of Plots, the paper's and their rivals elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from baselines.reference import FIXED
from benchmarks.reporting.names import PAPER
from benchmarks.running import imitators, language_agents, rivals
from benchmarks.running.grid import Chosen, code_writers

EVERYWHERE = (*FIXED, "first", "beam", *PAPER[1:], "ppo", "ppo-bc-optimistic")  # all but ELM of the paper's
SLOW = ("cola", "grpo_tokens", "elm")  # they write texts with a language model of their own
SEARCH = ("lookahead", "mcts", "best_of_n")


def everything(steps: int, size: Mapping[str, Any], chosen: Chosen) -> Iterator[dict[str, Any]]:
    """All methods, with fewer seeds for those that only Plots' default task has; arguments as for `all_methods`."""
    for method in all_methods(steps, size, chosen):
        name = method.get("label", method["agent"])
        kind = "seeds" if name in EVERYWHERE else f"seeds_of_{name}" if name in SLOW else "seeds_of_extras"
        yield method | {"seeds": size[kind]}


def all_methods(steps: int, size: Mapping[str, Any], chosen: Chosen) -> Iterator[dict[str, Any]]:
    """All methods, in the order in which they run: fields of `Cell` that differ from the defaults.

    Args:
        steps: Budget of environment steps of every learner.
        size: One of the experiment's sizes.
        chosen: Hyperparameters of learners, by their names.
    """
    recorded, ppo = size["recorded"], chosen.get("ppo", {})
    yield from fixed(size)
    yield from imitators(steps, recorded, half=True, chosen=chosen)
    for name in size["learners"]:
        yield learner(name, steps, chosen)
    yield from rivals(steps, recorded, cloned=("optimistic",), chosen=ppo)
    if size["vas"]:
        yield {"agent": "vas", "training": {"reference": "uniform"}, "recorded": steps // 5}
    yield {"agent": "elm", "training": size["elm"], "episodes": size["elm_episodes"]}
    yield {"agent": "profile"}
    yield from code_writers(size["cola"]) if size["cola"] is not None else ()
    few = {"episodes": size["searched"]}
    yield from ({"agent": f"{name}:budget={size['budget']}", "label": name, **few} for name in SEARCH)
    yield from language_agents(size["reads"], steps, recorded)


def main_ones(steps: int, size: Mapping[str, Any], chosen: Chosen) -> Iterator[dict[str, Any]]:
    """Reference policies, the oracle, the paper's agents, PPO, and PPO that clones the optimistic policy first."""
    yield from fixed(size)
    yield from imitators(steps, size["recorded"], chosen=chosen)
    yield learner("ppo", steps, chosen)
    yield from rivals(steps, size["recorded"], half=False, cloned=("optimistic",), chosen=chosen.get("ppo", {}))


def fixed(size: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Policies that need no training, and the oracle."""
    yield from ({"agent": name} for name in (*FIXED, "first"))
    beam = f"beam:budget={size['oracle']},width=8"
    yield {"agent": beam, "label": "beam", "episodes": size["searched"]}


def learner(name: str, steps: int, chosen: Chosen) -> dict[str, Any]:
    """A stock learner; the kinds of PPO that have no trials of their own take what was chosen for PPO."""
    own = chosen.get(name, chosen.get("ppo", {}) if name.endswith("ppo") else {})
    return {"agent": name, "training": {**own, "total_timesteps": steps}}
