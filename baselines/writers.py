"""Methods that return a text instead of choosing among offered edits: best-of-N, and a rewrite from the profile.

They use the same user, text, language model and utility as agents, but not the environment's steps. Best-of-N plays
whole episodes and keeps the best, so it can also select among random outcomes, which an agent cannot. The rewrite from
the profile asks for what no action set offers. `baselines.evaluate.evaluate` evaluates them as it does agents, with the
same texts and users, and counts what they use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.agent import Trajectory
from baselines.config import check_choice
from baselines.reference import REFERENCES, make_reference
from baselines.worlds import fresh_seeds, world_of
from eagle_gym.envs import transition
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.rewriting import rewrite, visible


@dataclass(frozen=True)
class BestOfNConfig:
    """Best-of-N."""

    budget: int = 320
    """Rewrites for each returned text; N is the number of whole episodes that they make."""
    reference: str = "uniform"
    """The policy that plays them: "uniform", "optimistic" or "g_optimal"."""

    def __post_init__(self) -> None:
        check_choice(self, "reference", REFERENCES)


class BestOfN:
    """Plays N whole episodes with a reference policy and keeps the best last text.

    Args:
        env: Any environment of eagle_gym.
        config: Hyperparameters.
        rng: Generator of the policy's choices and of the seeds of its rewrites.

    Raises:
        ConfigurationError: The budget is too small for one episode.
    """

    def __init__(self, env: Any, config: BestOfNConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        self._world, self._config, self._rng = world_of(env), config, rng
        horizon = self._world.settings.horizon
        self.count = config.budget // horizon
        if self.count < 1:
            raise ConfigurationError(f"budget: expected at least {horizon} rewrites, one episode, got {config.budget}")

    def write(self, states: Sequence[State]) -> list[Trajectory]:
        """Play N episodes for each state, all in one batch, and return the best of each N, well-formed ones first."""
        paths = [Trajectory((state,), ()) for state in states for _ in range(self.count)]
        while not transition.is_over(self._world, paths[0].states[-1]):
            paths = self._step(paths)
        rows = [paths[i : i + self.count] for i in range(0, len(paths), self.count)]
        return [max(row, key=_well_formed_first) for row in rows]

    def _step(self, paths: list[Trajectory]) -> list[Trajectory]:
        before = [path.states[-1] for path in paths]
        imagined = _Imagined(self._world, before)
        actions, _ = make_reference(self._config.reference, imagined, self._rng).predict(latent(before))
        after, _ = transition.step(self._world, before, actions.tolist(), fresh_seeds(self._rng, len(before)))
        return [
            Trajectory((*path.states, new), (*path.edits, old.action_set.edits[action]))
            for path, old, new, action in zip(paths, before, after, actions, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class _Imagined:
    """States in place of an environment; their expected utilities are computed for a policy that reads them."""

    place: World
    states: Sequence[State]

    def expected_utility(self) -> NDArray[np.float64]:
        """`[B, K]`."""
        return transition.expected_utility(self.place, self.states)


def _well_formed_first(path: Trajectory) -> tuple[bool, float]:
    return all(state.valid for state in path.states), path.states[-1].total


def latent(states: Sequence[State]) -> dict[str, np.ndarray]:
    """The part of the latent observation that reference policies read, whatever observation the environment has."""
    return {
        "state": np.stack([state.z for state in states]),
        "weights": np.stack([state.action_set.weights for state in states]),
        "mask": np.stack([state.action_set.mask for state in states]),
        "time": np.zeros((len(states), 1)),
    }


@dataclass(frozen=True)
class ProfileConfig:
    """One rewrite from the profile."""

    temperature: float = 0.0
    """Temperature of the language model."""


class ProfileRewrite:
    """Rewrites the text once with the user's profile in the prompt: preferences as text, as in CIPHER [1].

    A general model is asked to rewrite the text for the user that the profile describes. A plot-English model cannot
    read such a request, so it is first asked to propose an edit from the profile, and then to make it.

    [1] Gao et al., "Aligning LLM Agents by Learning Latent Preference from User Edits", NeurIPS 2024, arXiv 2404.15269.

    Args:
        env: Any environment of eagle_gym.
        config: Hyperparameters.
        rng: Generator of the seeds of the generations.

    Raises:
        ConfigurationError: The taste is hidden.
    """

    def __init__(self, env: Any, config: ProfileConfig, rng: np.random.Generator) -> None:  # noqa: ANN401
        self._world, self._config, self._rng = world_of(env), config, rng
        if not self._world.settings.shows_taste:
            raise ConfigurationError("expected taste='shown', got 'hidden': a rewrite from the profile would read it")

    def write(self, states: Sequence[State]) -> list[Trajectory]:
        """Rewrite all texts in one batched call, or two if the model proposes the edit."""
        edits = self._edits(states)
        prompts = [Prompt("rewrite", text=state.text, edit=edit) for state, edit in zip(states, edits, strict=True)]
        seeds = fresh_seeds(self._rng, len(states))
        texts = rewrite(self._world.model, prompts, seeds, temperature=self._config.temperature)
        raw = [transition.next_text(self._world, state, text) for state, text in zip(states, texts, strict=True)]
        after = transition.with_rewards(self._world, states, transition.make_states(self._world, raw))
        return [Trajectory((old, new), (edit,)) for old, new, edit in zip(states, after, edits, strict=True)]

    def _edits(self, states: Sequence[State]) -> list[str]:
        profiles = [self._world.resources.profile(state.user) for state in states]
        if not self._world.resources.speaks_plot_english:
            return [f"Rewrite it so that this user would love it. The user: {profile}" for profile in profiles]
        prompts = [
            Prompt("propose", text=visible(state.text, self._world.model.language), profile=profile)
            for state, profile in zip(states, profiles, strict=True)
        ]
        seeds = fresh_seeds(self._rng, len(states))
        proposed = self._world.model.generate(prompts, seeds, temperature=self._config.temperature)
        return [completion.text for completion in proposed]
