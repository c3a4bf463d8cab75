"""Methods that hand in a text instead of choosing among offered prompts: best-of-N, and the profile in the prompt.

They see what the environment's agents see (the user, the text, the language model, the utility) and are not bound to
its steps: best-of-N plays whole episodes and keeps the best, so that it may choose among noise as well, which an agent
cannot; the profile's rewrite asks for what no action set offers. ``baselines.evaluate.evaluate`` takes them as it takes
agents, from the same texts for the same users, and counts what they use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from baselines.agent import Draft
from baselines.reference import REFERENCES, Foreseen, make_reference
from eagle_gym.envs import transition
from eagle_gym.envs.episode import SEEDS
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.rewriting import rewrite


def world_of(env: Any) -> World:  # noqa: ANN401 - any environment of eagle_gym
    """The world of an environment.

    Raises:
        ConfigurationError: It has none: it is no environment of eagle_gym.
    """
    world = getattr(env.unwrapped, "world", None)
    if not isinstance(world, World):
        raise ConfigurationError(f"writers work in environments of eagle_gym; {type(env.unwrapped).__name__} came")
    return world


def fresh_seeds(rng: np.random.Generator, count: int) -> list[int]:
    """Generation seeds that no episode knows."""
    seeds: list[int] = rng.integers(SEEDS, size=count).tolist()
    return seeds


@dataclass(frozen=True)
class BestOfNConfig:
    """Best-of-N."""

    budget: int = 320
    """Rewrites for a text that is handed in; N whole episodes are played, as many as that makes."""
    reference: str = "uniform"
    """The policy that plays them: "uniform", "optimistic" or "g_optimal"."""

    def __post_init__(self) -> None:
        if self.reference not in REFERENCES:
            raise ConfigurationError(f"reference is one of {', '.join(REFERENCES)}; {self.reference!r} came")


class BestOfN:
    """Plays N whole episodes with a reference policy and keeps the best last text.

    Args:
        env: Any environment of eagle_gym.
        config: Hyperparameters.
        rng: For the policy and for the seeds of its rewrites.

    Raises:
        ConfigurationError: The budget is too small for one episode.
    """

    def __init__(self, env: Any, config: BestOfNConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        self._world, self._config, self._rng = world_of(env), config, rng
        horizon = self._world.settings.horizon
        self.count = config.budget // horizon
        if self.count < 1:
            raise ConfigurationError(f"a budget of {config.budget} rewrites is less than an episode of {horizon} steps")

    def write(self, states: Sequence[State]) -> list[Draft]:
        """N episodes for each state, all of them stepped together."""
        drafts = [Draft((state,), ()) for state in states for _ in range(self.count)]
        while not transition.is_over(self._world, drafts[0].states[-1]):
            drafts = self._step(drafts)
        rows = [drafts[i : i + self.count] for i in range(0, len(drafts), self.count)]
        return [max(row, key=lambda draft: draft.states[-1].total) for row in rows]

    def _step(self, drafts: list[Draft]) -> list[Draft]:
        here = [draft.states[-1] for draft in drafts]
        foresight = Foreseen(transition.expected_utility(self._world, here))
        actions, _ = make_reference(self._config.reference, foresight, self._rng).predict(latent(here))
        there, _ = transition.step(self._world, here, actions.tolist(), fresh_seeds(self._rng, len(here)))
        return [
            Draft((*draft.states, after), (*draft.edits, before.action_set.edits[action]))
            for draft, before, after, action in zip(drafts, here, there, actions, strict=True)
        ]


def latent(states: Sequence[State]) -> dict[str, np.ndarray]:
    """As much of the latent observation as reference policies read, whatever the environment's observation is."""
    sets = [state.action_set for state in states]
    features = np.stack([chosen.features for chosen in sets])
    rows, _, dim = features.shape
    return {
        "state": np.stack([state.z for state in states]),
        "user": np.zeros((rows, dim + 1)),
        "actions": features.reshape(rows, -1),
        "weights": np.stack([chosen.weights for chosen in sets]),
        "mask": np.stack([chosen.mask for chosen in sets]),
        "time": np.zeros((rows, 1)),
    }


@dataclass(frozen=True)
class ProfileConfig:
    """One rewrite with the profile in the prompt."""

    temperature: float = 0.0
    """Of the language model."""


class ProfileRewrite:
    """One rewrite with the user's profile in the prompt: preferences as text, as CIPHER has them [1].

    A general model is asked to rewrite the text for the user that the profile describes. A model of plot English does
    not read such an instruction: it is asked to propose an edit with the profile in its prompt, and then to make it.

    [1] Gao et al., "Aligning LLM Agents by Learning Latent Preference from User Edits", NeurIPS 2024, arXiv 2404.15269.

    Args:
        env: Any environment of eagle_gym.
        config: Hyperparameters.
        rng: For the seeds of the generations.
    """

    def __init__(self, env: Any, config: ProfileConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        self._world, self._config, self._rng = world_of(env), config, rng

    def write(self, states: Sequence[State]) -> list[Draft]:
        """One batched call, or two where the model proposes the edit."""
        model, heat = self._world.model, self._config.temperature
        asked = self._instructions(states)
        prompts = [
            Prompt("rewrite", text=state.text, edit=wish) for state, wish in zip(states, asked, strict=True)
        ]
        texts = rewrite(model, prompts, fresh_seeds(self._rng, len(states)), temperature=heat)
        arrivals = [
            RawState(text, state.user, state.item, state.step + 1, transition.is_proper(self._world, state.text, text))
            for text, state in zip(texts, states, strict=True)
        ]
        after = transition.make_states(self._world, arrivals)
        return [Draft((old, new), (wish,)) for old, new, wish in zip(states, after, asked, strict=True)]

    def _instructions(self, states: Sequence[State]) -> list[str]:
        profiles = [self._world.resources.profile(state.user) for state in states]
        if not self._world.resources.speaks_plot_english:
            return [f"Rewrite it so that this user would love it. The user: {profile}" for profile in profiles]
        prompts = [
            Prompt("propose", text=state.text, profile=profile) for state, profile in zip(states, profiles, strict=True)
        ]
        seeds = fresh_seeds(self._rng, len(states))
        proposed = self._world.model.generate(prompts, seeds, temperature=self._config.temperature)
        return [completion.text for completion in proposed]
