"""PPO on codes as actions against PPO on K edits, after equally many rewrites, on the default task.

The grammar makes the rewrites, the shipped code model writes the edits that codes steer. Both are Stable-Baselines3's
PPO with its own policy, since no part of an observation describes a code as edits are described.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from baselines import registry
from baselines.agent import sample
from baselines.evaluate import FIRST_SEED, evaluate, make_envs
from baselines.sb3 import PPOConfig, make_model
from benchmarks.judging.true_taste import TrueTaste
from eagle_gym.envs.latent_actions import VectorLatentActions
from eagle_gym.envs.sb3 import WrappedVecEnv
from eagle_gym.language.codes import load_codes

ENV_ID = "EagleGym/Plots-v0"
CODES_A_REWRITE = 2.6  # codes of an edit, on average: the budget of steps for a budget of rewrites
STEPS = 13  # of a rollout: an episode of five rewrites, on average
WHOLE = 20  # tokens of a code that decides a whole edit: nearly all are shorter
Choose = Callable[[Mapping[str, NDArray[Any]]], NDArray[np.int64]]


def latent(num_envs: int, split: str, mode: AutoresetMode, every: int | None = None) -> VectorLatentActions:
    """Environments whose actions are the shipped codes; `every` as in `VectorLatentActions`."""
    kwargs = {"split": split, "language_model": "grammar", "action_features": "none"}
    envs = make_envs(ENV_ID, num_envs, autoreset_mode=mode, **kwargs)
    return VectorLatentActions(envs.unwrapped, load_codes(), every=every, steer="edit")


def steered(size: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train both and test them on the same users; also uniform choices of both, and the code model's own policy.

    Returns:
        For each method, for each test episode: `users`, `gain`, `judge`; and for those that learn `rewrites`, the
        rewrites of their training, and `generations`.
    """
    return on_codes(size, seed) | edits(size, seed)


def on_codes(size: Mapping[str, Any], seed: int, *, whole: bool = False) -> dict[str, Any]:
    """PPO on codes, uniform codes, and those of the code model's own policy.

    Args:
        size: The size of the run.
        seed: Seed of training and test.
        whole: Whether the first code decides the whole edit. The code model's policy then chooses the others, and a
            rewrite is one step.
    """
    found = {}
    every = WHOLE if whole else None
    envs = latent(size["ppo_envs"], "train", AutoresetMode.SAME_STEP, every)
    before = envs.unwrapped.usage.snapshot()  # type: ignore[attr-defined]
    config = PPOConfig(policy="stock", seed=seed) if whole else PPOConfig(policy="stock", n_steps=STEPS, seed=seed)
    model = make_model(WrappedVecEnv(envs), config)
    model.learn(size["rewrites"] if whole else int(size["rewrites"] * CODES_A_REWRITE))
    used = envs.unwrapped.usage.snapshot() - before  # type: ignore[attr-defined]
    rng = np.random.default_rng([seed, 31])
    choosers: dict[str, Choose] = {
        "ppo_codes": lambda seen: model.predict(seen, deterministic=True)[0],  # type: ignore[arg-type]
        "uniform_codes": lambda seen: rng.integers(seen["prior"].shape[1], size=len(seen["prior"])),
        "prior_codes": lambda seen: sample(seen["prior"].astype(np.float64), rng),
    }
    for name, choose in choosers.items():
        found[name] = played(choose, size["ppo_tested"], seed, every)
    found["ppo_codes"] |= {"generations": used.calls, "steps": model.num_timesteps}
    return found


def reach(size: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What a choice can change: every code, and every edit, in the first rewrite of the same episodes.

    Returns:
        For `codes` (each decides a whole edit) and `edits`, for each test episode: `users`, and over the choices the
        `mean` gain of a rewrite, the `best` one, its standard deviation `spread`, and `distinct`, the number of
        different texts.
    """
    count = size["reached"]
    kwargs = {"split": "test", "autoreset_mode": AutoresetMode.NEXT_STEP, "language_model": "grammar"}
    places: dict[str, VectorEnv] = {
        "codes": latent(count, "test", AutoresetMode.NEXT_STEP, WHOLE),
        "edits": make_envs(ENV_ID, count, **kwargs),
    }
    return {name: tried(envs, seed) for name, envs in places.items()}


def tried(envs: VectorEnv, seed: int) -> dict[str, Any]:
    """One environment's part of `reach`."""
    base: Any = envs.unwrapped
    gains, texts = [], []
    for action in range(int(envs.single_action_space.n)):  # type: ignore[attr-defined]
        envs.reset(seed=FIRST_SEED * (1 + seed))
        users = [str(base.world.catalog.users[state.user]) for state in base.states]
        gains.append(envs.step(np.full(envs.num_envs, action))[1])
        texts.append([env.state.text for env in base.envs])
    envs.close()
    table = np.array(gains)
    distinct = [float(len(set(own))) for own in zip(*texts, strict=True)]
    own = {"mean": table.mean(axis=0), "best": table.max(axis=0), "spread": table.std(axis=0)}
    return {"users": users, "distinct": distinct, **{name: column.tolist() for name, column in own.items()}}


@torch.no_grad()
def played(choose: Choose, episodes: int, seed: int, every: int | None = None) -> dict[str, Any]:
    """One batch of test episodes."""
    envs = latent(episodes, "test", AutoresetMode.NEXT_STEP, every)
    base: Any = envs.unwrapped
    observation, _ = envs.reset(seed=FIRST_SEED * (1 + seed))
    first = list(base.states)
    last: dict[int, Any] = {}
    while len(last) < episodes:
        observation, _, over, _, _ = envs.step(choose(observation))
        for row in np.flatnonzero(over).tolist():
            last.setdefault(row, base.envs[row].state)
    users = [str(base.world.catalog.users[state.user]) for state in first]
    texts = [last[row].text for row in range(episodes)]
    gain = [last[row].total - state.total for row, state in enumerate(first)]
    valid = [float(last[row].valid) for row in range(episodes)]
    judge = judged(base, users, [state.text for state in first], texts)
    envs.close()
    return {"users": users, "gain": gain, "judge": judge, "parses": valid}


def judged(base: Any, users: list[str], before: list[str], after: list[str]) -> list[float]:  # noqa: ANN401
    """Gains by the true taste."""
    judge = TrueTaste(base.world.catalog)
    gains: list[float] = (judge.standard(users, after) - judge.standard(users, before)).tolist()
    return gains


def edits(size: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """PPO on K edits, and uniform edits."""
    kwargs = {"language_model": "grammar"}
    train: VectorEnv = make_envs(ENV_ID, size["ppo_envs"], split="train", **kwargs)
    before = train.unwrapped.usage.snapshot()  # type: ignore[attr-defined]
    settings = {"total_timesteps": size["rewrites"], "seed": seed}
    agent = registry.train("ppo-stock", train, settings, progress=False)
    used = train.unwrapped.usage.snapshot() - before  # type: ignore[attr-defined]
    test = make_envs(ENV_ID, size["ppo_tested"], split="test", **kwargs)
    uniform = registry.make("uniform", test, np.random.default_rng(seed))
    found = {}
    for name, own in {"ppo_edits": agent, "uniform_edits": uniform}.items():
        done = evaluate(
            own, test, method=name, episodes=size["ppo_tested"], first_seed=FIRST_SEED * (1 + seed), deterministic=True
        )
        users = [row.user for row in done.rows]
        first, last = ([row.texts[end] for row in done.rows] for end in (0, -1))
        judge = judged(test.unwrapped, users, first, last)
        gain, valid = [row.gain for row in done.rows], [float(row.valid) for row in done.rows]
        found[name] = {"users": users, "gain": gain, "judge": judge, "parses": valid}
    found["ppo_edits"] |= {"generations": used.calls, "steps": agent.steps}
    train.close()
    test.close()
    return found
