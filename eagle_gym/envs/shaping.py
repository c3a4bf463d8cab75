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

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import ArrayLike, NDArray

from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.episode import Snapshot, time_limit
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.envs.world import World
from eagle_gym.errors import ConfigurationError

KINDS: Final = ("par", "log_sigmoid", "min_max", "clip")
RANGED: Final = ("min_max", "clip")  # shapes that need a low and a high reference
NARROWEST: Final = 1e-6  # range of references, in units of utility: equal returns differ by less, in their rounding
UNKNOWN: Final = (0.0, 1.0)  # references until the first reset asks a function for them
Floats = NDArray[np.float64]
References = Sequence[float] | Callable[[Any], ArrayLike]


@dataclass(frozen=True)
class Shape:
    """A shape of returns; pure.

    Args:
        kind: One of `KINDS`.
        unit: τ, in units of utility.

    Raises:
        ConfigurationError: There is no such kind, or the unit is not a positive finite number.
    """

    kind: str = "par"
    unit: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"expected a shape among {', '.join(KINDS)}, got {self.kind!r}")
        unit: Any = self.unit
        if not isinstance(unit, Real) or not 0 < float(unit) < math.inf:
            raise ConfigurationError(f"expected a positive finite unit, got {unit!r}")

    def checked(self, references: ArrayLike) -> Floats:
        """References as numbers, with a range in each row if the shape needs one.

        Args:
            references: One number, `[M]` or `[B, M]`.

        Raises:
            ConfigurationError: They are not finite numbers, or some row has no range.
        """
        known = _as_array(references)
        if known.size == 0 or known.dtype.kind not in "iuf" or not np.isfinite(known).all():
            raise ConfigurationError(f"expected reference returns as finite numbers, got {references!r}")
        if self.kind in RANGED and np.ptp(np.atleast_1d(known), axis=-1).min() < NARROWEST:
            raise ConfigurationError(
                f"expected references of different size for {self.kind!r}, got {references!r}: give a low and a high "
                "return, more samples, or kind='par'"
            )
        return known.astype(np.float64)

    def __call__(self, returns: ArrayLike, references: ArrayLike) -> Floats:
        """What returns are worth.

        Args:
            returns: `[B]`.
            references: `[M]` or `[B, M]`, as `checked` takes them.

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
        return np.asarray((gained[:, 0] - low) / (high - low))


def _as_array(references: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(references)
    except ValueError as error:
        raise ConfigurationError(
            f"expected reference returns as an array, got {references!r}: give rows of equal length"
        ) from error


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
        known = shape.checked(references)
        if known.ndim > 1:
            raise ConfigurationError(f"expected reference returns [M], got shape {known.shape}: give one list for all")
        self._shape, self._returns = shape, np.zeros(num_envs)
        self._references = np.tile(known, (num_envs, 1))

    def begin(self, rows: NDArray[np.bool_], references: ArrayLike | None = None) -> None:
        """Start episodes in some rows.

        Args:
            rows: `[N]` where episodes start.
            references: `[N, M]` references of these episodes, of which the other rows are not read; for one row also
                `[M]`. None keeps those that each row has.

        Raises:
            ConfigurationError: The references do not fit, or are refused as by `Shaper`. Nothing has changed then.
        """
        if references is not None:
            self._references = self._renewed(rows, references)
        self._returns[rows] = 0.0

    def _renewed(self, rows: NDArray[np.bool_], references: ArrayLike) -> Floats:
        given = np.atleast_1d(_as_array(references))
        fresh = given[None] if len(rows) == 1 and given.ndim == 1 else given
        if fresh.ndim != 2 or len(fresh) != len(rows):
            raise ConfigurationError(
                f"expected reference returns [{len(rows)}, M], one row for each episode, got shape {given.shape}"
            )
        own = self._shape.checked(fresh[rows])
        if not rows.all() and fresh.shape != self._references.shape:
            raise ConfigurationError(
                f"expected {self._references.shape[1]} references as in the other episodes, got {fresh.shape[1]}: "
                "return the same number for every start"
            )
        renewed = np.empty(fresh.shape) if rows.all() else self._references.copy()
        renewed[rows] = own
        return renewed

    def __call__(self, rewards: ArrayLike, over: NDArray[np.bool_]) -> Floats:
        """Shaped rewards `[N]`; the episodes that are over start again at 0."""
        before = self._shape(self._returns, self._references)
        self._returns = self._returns + np.asarray(rewards, np.float64)
        shaped: Floats = self._shape(self._returns, self._references) - before
        self._returns[over] = 0.0
        return shaped


def _checked_function(shape: Shape, function: Callable[[Any], ArrayLike]) -> Callable[[Any], ArrayLike]:
    """The function, unless it is known to return references that the shape cannot use."""
    if isinstance(function, RolloutReferences) and function.samples < 2 and shape.kind in RANGED:
        raise ConfigurationError(
            f"expected at least 2 samples for {shape.kind!r}, which needs a low and a high return, got {function}"
        )
    return function


class ShapedReward(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment with shaped rewards; the reward of the environment is in `info["reward"]`.

    Args:
        env: The environment.
        kind: One of `KINDS`.
        references: Returns of a reference policy; or a function of the environment, called after each reset, that
            returns `[M]` of them for the start at hand, such as `RolloutReferences`.
        unit: τ, in units of utility.

    Raises:
        ConfigurationError: As in `Shape` and `Shaper`. `reset` raises it too, for what a function returns.
    """

    def __init__(
        self, env: gym.Env[Any, Any], kind: str = "par", references: References = (0.0,), unit: float = 1.0
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, kind=kind, references=references, unit=unit)
        super().__init__(env)
        shape = Shape(kind, unit)
        self._own = _checked_function(shape, references) if callable(references) else None
        self._shaper = Shaper(shape, UNKNOWN if callable(references) else references, 1)

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
            in the other modes episodes start without a reset. Only the rows that start are read, and
            `RolloutReferences` plays only these.
        unit: τ, in units of utility.

    Raises:
        ConfigurationError: As in `ShapedReward`, or a function with another autoreset mode.
    """

    def __init__(self, env: VectorEnv, kind: str = "par", references: References = (0.0,), unit: float = 1.0) -> None:
        super().__init__(env)
        if callable(references) and env.metadata.get("autoreset_mode") != gym.vector.AutoresetMode.DISABLED:
            raise ConfigurationError(
                "expected autoreset_mode='Disabled' with references for each start, which only a reset computes: "
                "make the environment with it, or give numbers"
            )
        shape = Shape(kind, unit)
        self._own = _checked_function(shape, references) if callable(references) else None
        self._shaper = Shaper(shape, UNKNOWN if callable(references) else references, env.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes, in all environments or those that `options["reset_mask"]` selects."""
        found = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]  # seeds may be a sequence
        mask = (options or {}).get("reset_mask")
        rows = np.ones(self.num_envs, np.bool_) if mask is None else np.asarray(mask, np.bool_)
        self._shaper.begin(rows, self._references(rows))
        return found

    def _references(self, rows: NDArray[np.bool_]) -> ArrayLike | None:
        if isinstance(self._own, RolloutReferences):
            return self._own(self.env, rows)
        return self._own(self.env) if self._own else None

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:  # noqa: ANN401
        """Take a step in every environment."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        shaped = self._shaper(rewards, terminated | truncated)
        known = {"reward": np.asarray(rewards, np.float64), "_reward": np.ones(self.num_envs, np.bool_)}
        return observations, shaped, terminated, truncated, {**infos, **known}


@dataclass(frozen=True)
class RolloutReferences:
    """Returns of the uniform policy from the start at hand, a function for the `references` of both wrappers.

    Each costs the generations of one episode, which ends where those of the environment do. The present episode is not
    touched. Rows that start together share a generator, so their references depend on which rows these are.

    Args:
        samples: M.
        seed: Seed of the choices and of the rewrites.

    Raises:
        ConfigurationError: `samples` is not an integer of at least 1, or `seed` not one of at least 0.
    """

    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("samples", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
                raise ConfigurationError(f"expected {name} to be an integer of at least {low}, got {value!r}")

    def __call__(self, env: Any, rows: NDArray[np.bool_] | None = None) -> Floats:  # noqa: ANN401
        """Play from the present states.

        Args:
            env: A single or a vector environment of eagle_gym.
            rows: `[N]` which of its episodes are asked for; None for all.

        Returns:
            `[N, M]` returns; NaN in rows that are not asked for, and 0 in those whose episode is over.
        """
        base = env.unwrapped
        held: list[Snapshot] = [base.get_state()] if isinstance(base, EagleEnv) else list(base.get_state())
        asked = range(len(held)) if rows is None else np.flatnonzero(rows).tolist()
        found = np.full((len(held), self.samples), np.nan)
        limit = time_limit(env) if isinstance(base, EagleEnv) else base.max_episode_steps
        found[list(asked)] = self._played(base.world, [held[row] for row in asked], limit)
        return found

    def _played(self, world: World, held: Sequence[Snapshot], limit: int | None) -> Floats:
        starts = [snapshot for snapshot in held for _ in range(self.samples)]
        states = [snapshot.state for snapshot in held]
        texts = [zlib.crc32(b"" if state is None else state.text.encode()) for state in states]
        rng = np.random.default_rng([self.seed, *texts])
        seeds = [int(seed) for seed in rng.integers(2**31, size=len(starts))]
        return uniform_returns(_branched(world, starts, seeds, limit), rng).reshape(len(held), self.samples)


def _branched(
    world: World, starts: Sequence[Snapshot], seeds: Sequence[int] | None = None, limit: int | None = None
) -> EagleVectorEnv:
    """Environments that continue from snapshots."""
    envs = EagleVectorEnv.from_world(world, len(starts), autoreset_mode="Disabled", max_episode_steps=limit)
    envs.set_state(list(starts), seed=None if seeds is None else list(seeds))
    return envs


def uniform_returns(envs: EagleVectorEnv, rng: np.random.Generator) -> Floats:
    """Play the episodes that have begun to their end with the uniform policy; returns `[N]`, 0 where one was over."""
    returns, over = np.zeros(envs.num_envs), envs.over
    while not over.any():
        masks = envs.action_masks()
        draws = rng.random(masks.shape) * masks
        _, rewards, terminated, truncated, _ = envs.step(draws.argmax(axis=1))
        returns += rewards
        over = terminated | truncated
    if not over.all():  # a batch steps all of its episodes, so those that go on get one of their own
        held = envs.get_state()
        left = _branched(envs.world, [held[row] for row in np.flatnonzero(~over)], limit=envs.max_episode_steps)
        returns[~over] += uniform_returns(left, rng)
    return returns


def reference_returns(envs: VectorEnv, episodes: int, seed: int = 0) -> Floats:
    """Returns of the uniform policy in fresh episodes of an environment's world, `[episodes]`."""
    base: Any = envs.unwrapped
    limit = base.max_episode_steps
    fresh = EagleVectorEnv.from_world(base.world, episodes, autoreset_mode="Disabled", max_episode_steps=limit)
    fresh.reset(seed=seed)
    return uniform_returns(fresh, np.random.default_rng([seed, 3]))
