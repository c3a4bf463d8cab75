"""Shaped rewards, against reward hacking: bounded, and centred at what a reference policy earns [1].

What an agent is paid for its return so far, G, is s(G) instead of G. A step that moves the return from G to G' pays
s(G') - s(G), so an episode pays s(its return) - s(0), whether the environment pays improvements or only the end. The
environment's own `info["utility"]` stays as it is. A shape that rises everywhere keeps the order of an episode's
outcomes; it changes how much a further gain is worth, and how much risk is.

The shapes, with references g_1 ... g_M, which are returns of a reference policy, and a unit τ:

- `"par"`: the mean over m of sigmoid((G - g_m) / τ). Bounded, steep at the references, flat far above: PAR.
- `"log_sigmoid"`: the mean over m of log sigmoid((G - g_m) / τ). Bounded above only.
- `"min_max"`: (G - min g) / (max g - min g), unbounded outside.
- `"clip"`: G, clipped to [min g, max g].

[1] Fu et al., "Reward Shaping to Mitigate Reward Hacking in RLHF", 2025, arXiv 2502.18770.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import ArrayLike, NDArray

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.episode import Snapshot
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError

KINDS: Final = ("par", "log_sigmoid", "min_max", "clip")
Floats = NDArray[np.float64]
References = Sequence[float] | Callable[[Any], ArrayLike]


@dataclass(frozen=True)
class Shape:
    """A shape of returns; pure.

    Args:
        kind: One of `KINDS`.
        unit: τ, in units of utility.

    Raises:
        ConfigurationError: There is no such kind, or the unit is not positive.
    """

    kind: str = "par"
    unit: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"expected a shape among {', '.join(KINDS)}, got {self.kind!r}")
        if not self.unit > 0:
            raise ConfigurationError(f"expected a positive unit, got {self.unit}")

    def __call__(self, returns: ArrayLike, references: ArrayLike) -> Floats:
        """What returns are worth.

        Args:
            returns: `[B]`.
            references: `[M]` or `[B, M]`.

        Returns:
            `[B]`.
        """
        gained, known = np.asarray(returns, np.float64)[:, None], np.atleast_2d(np.asarray(references, np.float64))
        if self.kind in ("par", "log_sigmoid"):
            logs = -np.logaddexp(0.0, (known - gained) / self.unit)  # log sigmoid, without overflow
            found: Floats = (np.exp(logs) if self.kind == "par" else logs).mean(axis=1)
            return found
        low, high = known.min(axis=1), known.max(axis=1)
        if self.kind == "clip":
            return np.clip(gained[:, 0], low, high)
        return np.asarray((gained[:, 0] - low) / np.maximum(high - low, 1e-9))


class Shaper:
    """Turns the rewards of episodes into shaped ones; it remembers each episode's return so far.

    Args:
        shape: The shape.
        references: `[M]` returns of a reference policy, for all episodes.
        num_envs: N.

    Raises:
        ConfigurationError: The references are not finite numbers, or one number for a shape that needs a range.
    """

    def __init__(self, shape: Shape, references: ArrayLike, num_envs: int) -> None:
        self._shape, self._returns = shape, np.zeros(num_envs)
        self._references = np.tile(self._checked(references), (num_envs, 1))

    def _checked(self, references: ArrayLike) -> Floats:
        known = np.asarray(references, np.float64)
        if known.size == 0 or not np.isfinite(known).all():
            raise ConfigurationError(f"expected reference returns as finite numbers, got {references!r}")
        if self._shape.kind in ("min_max", "clip") and known.ndim == 1 and np.ptp(known) == 0:
            raise ConfigurationError(
                f"expected references of different size for {self._shape.kind!r}, got {references!r}: give a low and "
                "a high return"
            )
        return known

    def begin(self, rows: NDArray[np.bool_], references: ArrayLike | None = None) -> None:
        """Start episodes in some rows, with references of their own `[N, M]` if they are given."""
        self._returns[rows] = 0.0
        if references is not None:
            fresh = np.asarray(references, np.float64).reshape(len(rows), -1)
            same = fresh.shape == self._references.shape
            self._references = np.where(rows[:, None], fresh, self._references) if same else fresh

    def __call__(self, rewards: ArrayLike, over: NDArray[np.bool_]) -> Floats:
        """Shaped rewards `[N]`; the episodes that are over start again at 0."""
        before = self._shape(self._returns, self._references)
        self._returns = self._returns + np.asarray(rewards, np.float64)
        shaped: Floats = self._shape(self._returns, self._references) - before
        self._returns[over] = 0.0
        return shaped


class ShapedReward(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment with shaped rewards; the reward of the environment is in `info["reward"]`.

    Args:
        env: The environment.
        kind: One of `KINDS`.
        references: Returns of a reference policy; or a function of the environment, called after each reset, that
            returns `[M]` of them for the start at hand, such as `RolloutReferences`.
        unit: τ, in units of utility.

    Raises:
        ConfigurationError: As in `Shape` and `Shaper`.
    """

    def __init__(
        self, env: gym.Env[Any, Any], kind: str = "par", references: References = (0.0,), unit: float = 1.0
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, kind=kind, references=references, unit=unit)
        super().__init__(env)
        self._own = references if callable(references) else None
        self._shaper = Shaper(Shape(kind, unit), [0.0, 1.0] if callable(references) else references, 1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._shaper.begin(np.ones(1, np.bool_), self._own(self.env) if self._own else None)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ANN401
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        (shaped,) = self._shaper([float(reward)], np.array([terminated or truncated]))
        return observation, float(shaped), terminated, truncated, {**info, "reward": float(reward)}


class VectorShapedReward(VectorWrapper):
    """A vector environment with shaped rewards; the rewards of the environment are in `info["reward"]`.

    Args:
        env: The vector environment.
        kind: One of `KINDS`.
        references: As in `ShapedReward`; a function returns `[N, M]` and needs the autoreset mode `"Disabled"`, since
            in the other modes episodes start without a reset.
        unit: τ, in units of utility.

    Raises:
        ConfigurationError: As in `Shape` and `Shaper`, or a function with another autoreset mode.
    """

    def __init__(self, env: VectorEnv, kind: str = "par", references: References = (0.0,), unit: float = 1.0) -> None:
        super().__init__(env)
        if callable(references) and env.metadata.get("autoreset_mode") != gym.vector.AutoresetMode.DISABLED:
            raise ConfigurationError(
                "expected autoreset_mode='Disabled' with references for each start, which only a reset computes: "
                "make the environment with it, or give numbers"
            )
        self._own = references if callable(references) else None
        known = [0.0, 1.0] if callable(references) else references
        self._shaper = Shaper(Shape(kind, unit), known, env.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes, in all environments or those that `options["reset_mask"]` selects."""
        found = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # seeds may be a sequence
        mask = (options or {}).get("reset_mask")
        rows = np.ones(self.num_envs, np.bool_) if mask is None else np.asarray(mask, np.bool_)
        self._shaper.begin(rows, self._own(self.env) if self._own else None)
        return found

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:  # noqa: ANN401
        """Take a step in every environment."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        shaped = self._shaper(rewards, terminated | truncated)
        known = {"reward": np.asarray(rewards, np.float64), "_reward": np.ones(self.num_envs, np.bool_)}
        return observations, shaped, terminated, truncated, {**infos, **known}


@dataclass(frozen=True)
class RolloutReferences:
    """Returns of the uniform policy from the start at hand, a function for the `references` of both wrappers.

    Each costs the generations of one episode. The episode at hand is not touched.

    Args:
        samples: M.
        seed: Seed of the choices and of the rewrites.
    """

    samples: int = 1
    seed: int = 0

    def __call__(self, env: Any) -> Floats:  # noqa: ANN401 - a single or a vector environment of eagle_gym
        """`[N, M]` returns."""
        base = env.unwrapped
        held: list[Snapshot] = [base.get_state()] if isinstance(base, EagleEnv) else list(base.get_state())
        starts = [snapshot for snapshot in held for _ in range(self.samples)]
        states = [snapshot.state for snapshot in held]
        texts = [zlib.crc32(b"" if state is None else state.text.encode()) for state in states]
        rng = np.random.default_rng([self.seed, *texts])
        with_own = EagleVectorEnv.from_world(base.world, len(starts), autoreset_mode="Disabled")
        with_own.set_state(starts, seed=[int(seed) for seed in rng.integers(2**31, size=len(starts))])
        return uniform_returns(with_own, rng).reshape(len(held), self.samples)


def uniform_returns(envs: EagleVectorEnv, rng: np.random.Generator) -> Floats:
    """Play the episodes that have begun to their end with the uniform policy; returns `[N]`."""
    returns = np.zeros(envs.num_envs)
    over = np.zeros(envs.num_envs, np.bool_)
    while not over.all():
        masks = envs.action_masks()
        draws = rng.random(masks.shape) * masks
        _, rewards, terminated, truncated, _ = envs.step(draws.argmax(axis=1))
        returns += np.where(over, 0.0, rewards)
        over |= terminated | truncated
    return returns


def reference_returns(envs: VectorEnv, episodes: int, seed: int = 0) -> Floats:
    """Returns of the uniform policy in fresh episodes of an environment's world, `[episodes]`."""
    base: Any = envs.unwrapped
    fresh = EagleVectorEnv.from_world(base.world, episodes, autoreset_mode="Disabled")
    fresh.reset(seed=seed)
    return uniform_returns(fresh, np.random.default_rng([seed, 3]))
