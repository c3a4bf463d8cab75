"""PPO on codes and PPO on K edits: environments, trainings and test episodes, on the default task.

The grammar makes the rewrites, and the shipped code model writes the edits. A code decides a whole edit: the model's
own policy chooses the codes after it, so a rewrite is one step.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from baselines import registry
from baselines.agent import Probabilities, StochasticAgent, read_latent, sample
from baselines.evaluate import FIRST_SEED, evaluate, make_envs
from baselines.reference import offered
from baselines.sb3 import PPOConfig, make_model
from benchmarks.judging.true_taste import TrueTaste
from eagle_gym.envs.latent_actions import VectorLatentActions
from eagle_gym.envs.sb3 import WrappedVecEnv
from eagle_gym.language.codes import load_codes

ENV_ID = "EagleGym/Plots-v0"
WHOLE = 20  # tokens of a code that decides a whole edit: nearly all are shorter
GRAMMAR = {"language_model": "grammar"}
EDITS = {**GRAMMAR, "order": "pool"}  # the match is then shown, as it is of codes, and places mean nothing
Choose = Callable[[Mapping[str, NDArray[Any]]], NDArray[np.int64]]
Size = Mapping[str, Any]


def coded(num_envs: int, split: str, mode: AutoresetMode, *, words: bool, **settings: Any) -> VectorLatentActions:  # noqa: ANN401
    """Environments whose actions are the shipped codes; `words` shows the edit to which each code leads."""
    kwargs = {"split": split, "action_features": "none", "autoreset_mode": mode, **GRAMMAR, **settings}
    envs = make_envs(ENV_ID, num_envs, **kwargs).unwrapped
    return VectorLatentActions(envs, load_codes(), WHOLE, "edit", "edit" if words else "none")


class Snapshots(BaseCallback):
    """Keeps the policy's weights as they are after some numbers of steps."""

    def __init__(self, marks: Sequence[int]) -> None:
        super().__init__()
        self._marks = list(marks)
        self.weights: dict[int, Any] = {}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # The update of the last rollout is done.
        for mark in [mark for mark in self._marks if mark <= self.num_timesteps]:
            self._marks.remove(mark)
            self.weights[mark] = copy.deepcopy(self.model.policy.state_dict())


def on_codes(size: Size, seed: int, *, words: bool, gamma: float = 1.0) -> dict[str, Any]:
    """PPO on codes, and how it plays for test users.

    Args:
        size: The size of the run.
        seed: Seed of training and test.
        words: Whether the edits' words are shown, and the policy scores every action alike.
        gamma: Discount.

    Returns:
        For `ppo`, and `ppo_STEPS` earlier in the training, the test episodes as of `played`; with `ppo` what the
        training used.
    """
    envs = coded(size["envs"], "train", AutoresetMode.SAME_STEP, words=words)
    policy: Any = "equivariant" if words else "stock"
    config = PPOConfig(policy=policy, gamma=gamma, seed=seed, total_timesteps=size["rewrites"])
    model = make_model(WrappedVecEnv(envs), config)
    kept = Snapshots(size["marks"] if words else ())
    used = spent(envs, lambda: model.learn(size["rewrites"], callback=kept))
    found = {"ppo": played(greedy(model), size["tested"], seed, words=words)}
    for mark, weights in kept.weights.items():
        model.policy.load_state_dict(weights)
        found[f"ppo_{mark}"] = played(greedy(model), size["tested"], seed, words=words)
    found["ppo"] |= {"rewrites": model.num_timesteps, **used}
    envs.close()
    return found


def greedy(model: Any) -> Choose:  # noqa: ANN401 - an algorithm of SB3
    """The most probable action of a policy as it is now."""
    return lambda seen: model.predict(seen, deterministic=True)[0]


def untrained(size: Size, seed: int) -> dict[str, Any]:
    """Codes that need no training.

    `uniform`; `prior`, the code model's own policy; and among the codes whose edits can change the text `changing`, at
    random, and `match`, the best match.
    """
    rng = np.random.default_rng([seed, 31])
    choosers: dict[str, Choose] = {
        "uniform": lambda seen: rng.integers(seen["prior"].shape[1], size=len(seen["prior"])),
        "prior": lambda seen: sample(seen["prior"].astype(np.float64), rng),
        "changing": lambda seen: (seen["mask"] * rng.random(seen["mask"].shape)).argmax(axis=1),
        "match": lambda seen: np.where(seen["mask"] > 0, seen["match"], -np.inf).argmax(axis=1),
    }
    shown = ("changing", "match")
    return {name: played(own, size["tested"], seed, words=name in shown) for name, own in choosers.items()}


def spent(envs: VectorEnv, work: Callable[[], Any]) -> dict[str, float]:
    """Do some work; returns generations, the tokens written in them, and seconds of the processor."""
    usage = envs.unwrapped.usage  # type: ignore[attr-defined]
    before, began = usage.snapshot(), time.process_time()
    work()
    used = usage.snapshot() - before
    seconds = time.process_time() - began
    return {"generations": used.calls, "tokens": used.completion_tokens, "seconds": seconds}


@torch.no_grad()
def played(choose: Choose, episodes: int, seed: int, *, words: bool) -> dict[str, Any]:
    """One batch of test episodes: for each `users`, `gain`, `judge` (the gain by the true taste) and `parses`."""
    envs = coded(episodes, "test", AutoresetMode.NEXT_STEP, words=words)
    base: Any = envs.unwrapped
    observation, _ = envs.reset(seed=FIRST_SEED * (1 + seed))
    first = list(base.states)
    last: dict[int, Any] = {}
    while len(last) < episodes:
        observation, _, over, _, _ = envs.step(choose(observation))
        for row in np.flatnonzero(over).tolist():
            last.setdefault(row, base.envs[row].state)
    users = [str(base.world.catalog.users[state.user]) for state in first]
    gain = [last[row].total - state.total for row, state in enumerate(first)]
    valid = [float(last[row].valid) for row in range(episodes)]
    judge = judged(base, users, [state.text for state in first], [last[row].text for row in range(episodes)])
    envs.close()
    return {"users": users, "gain": gain, "judge": judge, "parses": valid}


def judged(base: Any, users: list[str], before: list[str], after: list[str]) -> list[float]:  # noqa: ANN401
    """Gains by the true taste."""
    judge = TrueTaste(base.world.catalog)
    gains: list[float] = (judge.standard(users, after) - judge.standard(users, before)).tolist()
    return gains


class BestMatch(StochasticAgent):
    """Takes the edit of the best match with the taste, which PPO on K edits is shown too."""

    def probabilities(self, observation: object) -> Probabilities:
        """1 on the offered edit of the best match, `[B, K]`."""
        seen = read_latent(observation)
        match = np.where(offered(seen), seen.parts["match"], -np.inf)
        probabilities: Probabilities = np.eye(match.shape[1])[match.argmax(axis=1)]
        return probabilities


def on_edits(size: Size, seed: int, rewrites: int, gamma: float = 1.0) -> dict[str, Any]:
    """PPO on K edits, the edits of the best match, and uniform edits, on the same test episodes."""
    train: VectorEnv = make_envs(ENV_ID, size["envs"], split="train", **EDITS)
    settings = {"total_timesteps": rewrites, "gamma": gamma, "seed": seed}
    agents: dict[str, Any] = {}
    used = spent(train, lambda: agents.update(ppo=registry.train("ppo", train, settings, progress=False)))
    test = make_envs(ENV_ID, size["tested"], split="test", **EDITS)
    agents["uniform"] = registry.make("uniform", test, np.random.default_rng(seed))
    agents["match"] = BestMatch(np.random.default_rng(seed))
    found = {
        name: evaluated(agent, test, size["tested"], seed, deterministic=name == "ppo")
        for name, agent in agents.items()
    }
    found["ppo"] |= {"rewrites": agents["ppo"].steps, **used}
    train.close()
    test.close()
    return found


def evaluated(agent: Any, test: VectorEnv, episodes: int, seed: int, *, deterministic: bool) -> dict[str, Any]:  # noqa: ANN401
    """Test episodes of an agent on K edits, as of `played`."""
    settings: dict[str, Any] = {"first_seed": FIRST_SEED * (1 + seed), "deterministic": deterministic}
    done = evaluate(agent, test, method="", episodes=episodes, **settings)
    users = [row.user for row in done.rows]
    first, last = ([row.texts[end] for row in done.rows] for end in (0, -1))
    gain, valid = [row.gain for row in done.rows], [float(row.valid) for row in done.rows]
    return {"users": users, "gain": gain, "judge": judged(test.unwrapped, users, first, last), "parses": valid}
