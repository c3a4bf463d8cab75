"""Codes as actions: an agent steers the language model's own writing instead of choosing among K edits.

A rewrite has two turns: the language model writes an edit for the user, then the text as that edit asks. An action is
the code of the next `every` tokens; given the code, they are the most likely ones. With `steer="edit"` codes steer the
first turn, and the environment's language model makes the rewrite as ever. With `steer="both"` codes steer the text
too, so that the agent's choices are the only randomness. A rewrite therefore takes several steps, and an episode
`horizon` rewrites. Codes can write an edit that plot English does not have, or a text that is empty or cut off at the
limit of tokens; the text then stays as it is, and that is no proper rewrite.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from numpy.typing import ArrayLike, NDArray

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.episode import time_limit, wrappers
from eagle_gym.envs.steering import Steering, as_codes
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, EpisodeError
from eagle_gym.language.codes import CodeModel
from eagle_gym.language.codes.model import SHIPPED

BOOKKEEPING: Final = (PassiveEnvChecker, OrderEnforcing, TimeLimit)  # wrappers of `gym.make`, which change no step


class LatentActions(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment whose actions are the codes of the next tokens of a rewrite.

    `Discrete(N)`. Observation and reward are the environment's; the reward is 0 until a rewrite is finished. The latent
    observation also holds `hidden` [D], the language model's hidden state at unit size; `prior` [N], the probabilities
    that the code model's policy gives; and `turn` [2], which says whether the second turn has begun, and how long the
    present one is, as a share of the longest. The text observation ends with what is written so far.

    `action_masks()` and `info["action_mask"]` [N] say which codes are offered: those of `mask` if there is one, else
    all. `info["edits"]` and `info["design"]` are the environment's own. A snapshot holds no draft: after
    `env.unwrapped.set_state`, the rewrite begins afresh.

    Args:
        env: An environment of eagle_gym. Other wrappers belong around this one, since codes go past their `step`.
            `gym.make`'s own may be there; a `TimeLimit` then truncates after as many rewrites.
        model: A code model, its folder, or `"plain"` for the one that ships with the package.
        every: Tokens for which an action's code holds; None for as many as in the model's training. Where it is a
            multiple, the model's policy chooses the codes of the others.
        steer: `"edit"` or `"both"`; see the module.
        action_features: `"none"` shows nothing of a code but its probability. `"edit"` shows the edit to which each
            code leads if the model's policy chooses the codes after it: see below. It needs `steer="edit"`.

    With `action_features="edit"`, `actions` [N·m] embeds the words of these edits, as the environment's own part of
    this name does for K edits; `match` [N] says how far what they ask for points in the direction of the taste, where
    it is shown; `weights` [N] repeats `prior`; `mask` [N] is 1 for edits that can change the text, or for all if none
    can. Policies for K edits can then choose codes. The text observation lists the edits. Each of the N edits counts
    as a generation, at every step.

    Raises:
        ConfigurationError: An argument does not fit, or it is another environment or in another wrapper.
        PreparationError: The code model cannot be read.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        model: CodeModel | str | Path = SHIPPED,
        every: int | None = None,
        steer: str = "both",
        action_features: str = "none",
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self, model=model, every=every, steer=steer, action_features=action_features
        )
        super().__init__(env)
        base = env.unwrapped
        if not isinstance(base, EagleEnv):
            raise ConfigurationError(f"expected an environment of eagle_gym, got {type(base).__name__}")
        _check_wrappers(env)
        codes = as_codes(model)
        self._steering = Steering([base], codes, every, steer, action_features, time_limit(env))
        self.action_space = gym.spaces.Discrete(codes.settings.codes)
        self.observation_space = self._steering.space(env.observation_space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode, as the environment does."""
        self.env.reset(seed=seed, options=options)
        self._steering.begin([0])
        return self._steering.observe([0])[0], self._steering.info(0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ANN401
        """Write the next tokens under a code.

        Raises:
            EpisodeError: There is no episode, it is over, or the action is no code.
        """
        steering = self._steering
        if any(steering.ends(0)):
            raise EpisodeError(f"the episode is over after {steering.envs[0].state.step} rewrites: call reset()")
        finished = steering.advance({0: steering.check(action)})
        reward = finished[0][1] if finished else 0.0
        return steering.observe([0])[0], float(reward), *steering.ends(0), steering.info(0)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which codes are offered, [N].

        Raises:
            EpisodeError: There was no `reset` yet.
        """
        return self._steering.mask(0)


def _check_wrappers(env: gym.Env[Any, Any]) -> None:
    for wrapper in wrappers(env):
        if type(wrapper) not in BOOKKEEPING:
            raise ConfigurationError(
                f"expected an environment without wrappers, got {type(wrapper).__name__}, whose step() codes go past: "
                f"put LatentActions first, then {type(wrapper).__name__} around it"
            )


class VectorLatentActions(VectorWrapper):
    """`LatentActions` for a vector environment: one batched pass of the code model writes the tokens of all.

    Args:
        env: A vector environment of eagle_gym, without wrappers. Its autoreset mode and `max_episode_steps` are kept;
            these steps are rewrites.
        model: As in `LatentActions`.
        every: As in `LatentActions`.
        steer: As in `LatentActions`.
        action_features: As in `LatentActions`.

    Raises:
        ConfigurationError: An argument does not fit, or it is another environment.
        PreparationError: The code model cannot be read.
    """

    def __init__(
        self,
        env: VectorEnv,
        model: CodeModel | str | Path = SHIPPED,
        every: int | None = None,
        steer: str = "both",
        action_features: str = "none",
    ) -> None:
        super().__init__(env)
        base = env.unwrapped
        if not isinstance(base, EagleVectorEnv):
            raise ConfigurationError(f"expected a vector environment of eagle_gym, got {type(base).__name__}")
        if base is not env:
            raise ConfigurationError(
                f"expected a vector environment without wrappers, got {type(env).__name__}, whose step() codes go "
                f"past: put VectorLatentActions first, then {type(env).__name__} around it"
            )
        codes = as_codes(model)
        self._base, self._mode = base, base.autoreset_mode
        self._steering = Steering(base.envs, codes, every, steer, action_features, base.max_episode_steps)
        self.single_action_space = gym.spaces.Discrete(codes.settings.codes)
        self.action_space = batch_space(self.single_action_space, env.num_envs)
        self.single_observation_space = self._steering.space(env.single_observation_space)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes, as the environment does."""
        self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # seeds may be a sequence
        mask = (options or {}).get("reset_mask")
        rows = range(self.num_envs) if mask is None else np.flatnonzero(mask).tolist()
        self._steering.begin(list(rows))
        return self._observe(), self._infos(list(rows))

    def step(self, actions: ArrayLike) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Write the next tokens of every environment; the autoreset mode says what follows an episode's end.

        Raises:
            EpisodeError: The actions do not fit, or (`"Disabled"`) an episode is over.
        """
        chosen, steering = np.asarray(actions), self._steering
        if chosen.shape != (self.num_envs,):
            raise EpisodeError(f"expected {self.num_envs} codes, one per environment, got shape {chosen.shape}")
        over = self._base.over
        if over.any() and self._mode is AutoresetMode.DISABLED:
            raise EpisodeError(
                f"episodes {np.flatnonzero(over).tolist()} are over: reset them with options={{'reset_mask': ...}}"
            )
        moving = {int(row): steering.check(chosen[row]) for row in np.flatnonzero(~over)}
        if over.any():
            self._restart(over)
        finished = steering.advance(moving) if moving else {}
        rewards = np.array([finished[row][1] if row in finished else 0.0 for row in range(self.num_envs)])
        terminated, truncated = np.array([steering.ends(row) for row in range(self.num_envs)]).T.copy()
        last = self._last(terminated | truncated) if self._mode is AutoresetMode.SAME_STEP else {}
        return self._observe(), rewards, terminated, truncated, {**self._infos(), **last}

    def action_masks(self) -> NDArray[np.bool_]:
        """Which codes each environment offers, [N, codes].

        Raises:
            EpisodeError: There was no `reset` yet.
        """
        return np.stack([self._steering.mask(row) for row in range(self.num_envs)])

    def _last(self, ended: NDArray[np.bool_]) -> dict[str, Any]:
        """The last observations and infos of episodes that ended, which start again."""
        if not ended.any():
            return {}
        rows = np.flatnonzero(ended).tolist()
        found: dict[str, Any] = {}
        for row, seen in zip(rows, self._steering.observe(rows), strict=True):
            found = self._add_info(found, {"final_obs": seen, "final_info": self._steering.info(row)}, row)
        self._restart(ended)
        return found

    def _restart(self, rows: NDArray[np.bool_]) -> None:
        self._base.reset(options={"reset_mask": rows})
        self._steering.begin(np.flatnonzero(rows).tolist())

    def _observe(self) -> Any:  # noqa: ANN401 - a tuple of strings or a dict of arrays
        seen = self._steering.observe(range(self.num_envs))
        if not isinstance(self.single_observation_space, gym.spaces.Dict):
            return tuple(seen)
        return {name: np.stack([one[name] for one in seen]) for name in self.single_observation_space.spaces}

    def _infos(self, rows: Sequence[int] | None = None) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for row in range(self.num_envs) if rows is None else rows:
            infos = self._add_info(infos, self._steering.info(row), row)
        return infos
