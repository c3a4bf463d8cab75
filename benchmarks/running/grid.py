"""Lists of cells: environments, methods that several experiments compare, and their product with seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from baselines.reference import REFERENCES
from benchmarks.running.cells import Cell
from benchmarks.running.options import Options

BRIEF = {
    **dict.fromkeys(("dynamics_steps", "policy_steps", "rl_steps", "prompts"), 1),
    **{"pairs": 16, "batch_size": 8, "group_size": 2, "max_tokens": 40},
}
"""Hyperparameters of CoLA that only test that it works."""

Environment = tuple[str, str, dict[str, Any]]
"""Short name, id and arguments of an environment."""


def environments(options: Options) -> list[Environment]:
    """Plots, and MovieLens if its data are given."""
    found: list[Environment] = [("plots", "EagleGym/Plots-v0", {})]
    if options.data:
        found.append(("movielens", "EagleGym/MovieLens-v0", {"root": str(options.data)}))
    return found


def grid(
    where: Sequence[Environment],
    methods: Sequence[Mapping[str, Any]],
    *,
    seeds: int,
    episodes: int,
    num_envs: int,
    first_seed: int = 0,
) -> list[Cell]:
    """One cell for each method, environment and seed.

    All cells of a seed come before those of the next, so that an interrupted experiment is a smaller experiment.

    Args:
        where: The environments (see `environments`).
        methods: Fields of `Cell` in which the cells of a seed differ. `begins_as` and `agent_of` name methods of the
            same seed and environment. `env_kwargs` are added to those of the environment. `setting` is appended to
            the environment's name if they make it a different environment. `seeds` is the number of seeds of a method
            that has fewer than the others.
        seeds: Number of seeds.
        episodes: Number of test episodes, unless a method says otherwise.
        num_envs: Copies of the environment, unless a method says otherwise; at most the number of episodes.
        first_seed: The first seed.
    """
    usual = {"episodes": episodes, "num_envs": num_envs, "seeds": seeds}
    return [
        _cell(place, usual | dict(method), first_seed + number)
        for number in range(seeds)
        for place in where
        for method in methods
        if number < method.get("seeds", seeds)
    ]


def _cell(place: Environment, method: dict[str, Any], seed: int) -> Cell:
    name, env_id, kwargs = place
    setting, _ = method.pop("setting", ""), method.pop("seeds")
    environment = f"{name}-{setting}" if setting else name
    method["num_envs"] = min(method["num_envs"], method["episodes"])
    method["env_kwargs"] = {**kwargs, **method.get("env_kwargs", {})}
    method |= {key: f"{environment}-{method[key]}-{seed}" for key in ("begins_as", "agent_of") if key in method}
    return Cell(environment, env_id, seed=seed, **method)


Chosen = Mapping[str, Mapping[str, Any]]
"""Hyperparameters that were chosen for learners, by their names."""


def imitators(
    steps: int, recorded: int, *, half: bool = False, chosen: Chosen = MappingProxyType({})
) -> Iterator[dict[str, Any]]:
    """Supervised and EAGLE agents for each reference policy: small networks on latent observations.

    Supervised agents sample their actions, as the policy that they imitate does.

    Args:
        steps: EAGLE's budget of environment steps.
        recorded: Recorded episodes of the reference policy that both learn from.
        half: Whether to add EAGLE with half of the budget.
        chosen: Hyperparameters of `supervised` and `eagle`.
    """
    for ref in REFERENCES:
        eagle: dict[str, Any] = {"agent": "eagle", "recorded": recorded}
        own = {"reference": ref, **chosen.get("supervised", {}), "total_timesteps": 1}
        yield eagle | {"label": f"supervised-{ref}", "training": own, "sample": True}
        own = {"reference": ref, **chosen.get("eagle", {})}
        yield eagle | {"label": f"eagle-{ref}", "training": {**own, "total_timesteps": steps}}
        if half:
            yield eagle | {"label": f"eagle-{ref}-half", "training": {**own, "total_timesteps": steps // 2}}


def rivals(
    steps: int,
    recorded: int,
    *,
    half: bool = True,
    cloned: Sequence[str] = REFERENCES,
    chosen: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[dict[str, Any]]:
    """PPO with half the budget, and PPO that first clones a reference policy: what EAGLE is to be compared with.

    Args:
        steps: Budget of environment steps, recorded ones included.
        recorded: Recorded episodes of the reference policy.
        half: Whether to add PPO with half of the budget.
        cloned: The reference policies that are cloned.
        chosen: Hyperparameters of PPO.
    """
    if half:
        yield {"agent": "ppo", "label": "ppo-half", "training": {**chosen, "total_timesteps": steps // 2}}
    for ref in cloned:
        own: dict[str, Any] = {"reference": ref, **chosen, "total_timesteps": steps}
        yield {"agent": "ppo", "label": f"ppo-bc-{ref}", "training": own, "recorded": recorded}


READERS: Mapping[str, Mapping[str, Any]] = {
    "supervised": {"precision": "bfloat16", "learning_rate": 1e-3},
    "eagle": {"policy": "language", "policy_learning_rate": 1e-3, "n_epochs": 1, "batch_size": 32},
}
"""Hyperparameters of agents that read text: `benchmarks/experiments/reads_text/README.md` has their trials."""


def language_agents(updates: Mapping[str, int], steps: int, recorded: int) -> Iterator[dict[str, Any]]:
    """Supervised and EAGLE agents that are language models and read text.

    Args:
        updates: Number of updates of the supervised agent, by reference policy.
        steps: EAGLE's budget of environment steps.
        recorded: Recorded episodes of the reference policy that the supervised agent learns from.
    """
    for ref, count in updates.items():
        own: dict[str, Any] = {**READERS["supervised"], "reference": ref, "training_steps": count}
        yield {"agent": "supervised", "label": f"reads-{ref}", "training": own, "sample": True, "recorded": recorded}
        own = {**READERS["eagle"], "reference": ref, "total_timesteps": steps}
        yield {"agent": "eagle", "label": f"eagle-reads-{ref}", "training": own, "begins_as": f"reads-{ref}"}


def code_writers(training: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """CoLA and GRPO over tokens, which write their texts themselves.

    Args:
        training: Hyperparameters, by the name of the agent: `cola` or `grpo_tokens`.
    """
    yield from ({"agent": name, "training": dict(own)} for name, own in training.items())
