"""Many environments as one: each step makes one batched model call, one encoder pass, one batched design.

Equal, step by step, to as many single environments: environment i draws from a generator of its own, in the order in
which a single environment draws, and everything computed for it depends on its own row alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from eagle_gym.envs import transition
from eagle_gym.envs.episode import (
    METADATA,
    SEEDS,
    SharedWorld,
    Snapshot,
    check_render_mode,
    check_snapshot,
    unmoved_by_failure,
)
from eagle_gym.envs.observation import make_info, make_observation, observe_latent, observe_text
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.render import Frame, draw
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError, EpisodeError


@dataclass(frozen=True, eq=False)
class Transition:
    """What one step of the batch did.

    Attributes:
        states: [N] where each environment is now: after its step, or at the start of its next episode.
        rewards: [N] float64; 0 where an environment was only reset.
        terminated: [N] episodes that reached the horizon in this step.
        truncated: [N] episodes cut off by ``max_episode_steps`` in this step.
        final: environment -> its last state, for episodes that ended and were reset within this step.
    """

    states: list[State]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final: Mapping[int, State] = field(default_factory=dict)


class EagleVectorEnv(SharedWorld, gym.vector.VectorEnv[Any, Any, Any]):
    """``num_envs`` environments stepped together; see :class:`eagle_gym.EagleEnv` for what each of them is.

    Observations are batched: a tuple of strings, or a Dict of arrays [N, ...]. ``info`` is batched as Gymnasium does
    it: a key's values in an array, and in ``_key`` which environments have it.

    Args:
        num_envs: N.
        autoreset_mode: when an ended episode starts anew: ``"NextStep"`` (the step after, whose action is ignored),
            ``"SameStep"`` (at once; the last observation and info are in ``info["final_obs"]`` and
            ``info["final_info"]``) or ``"Disabled"`` (``reset(options={"reset_mask": ...})`` does it).
        max_episode_steps: episodes are truncated after this many steps; None for no limit but the horizon.
        render_mode: None or ``"ansi"``.
        **arguments: those of :class:`eagle_gym.Settings`.

    Raises:
        ConfigurationError: an argument that cannot be; raised before anything is loaded where no file or model is
            needed to tell.
    """

    metadata: dict[str, Any] = dict(METADATA)  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **arguments: Any,  # noqa: ANN401
    ) -> None:
        options = _check_vector(num_envs, autoreset_mode, max_episode_steps, render_mode)
        self._join(make_world(Settings.of(arguments)), *options)

    @classmethod
    def from_world(
        cls,
        world: World,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> EagleVectorEnv:
        """Environments in a world that is there already."""
        env = cls.__new__(cls)
        env._join(world, *_check_vector(num_envs, autoreset_mode, max_episode_steps, render_mode))
        return env

    def _join(
        self, world: World, num_envs: int, mode: AutoresetMode, max_episode_steps: int | None, render_mode: str | None
    ) -> None:
        self._world = world
        self.num_envs = num_envs
        self.autoreset_mode = mode
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        self.metadata = {**METADATA, "autoreset_mode": mode}
        self.single_observation_space = world.observation_space()
        self.single_action_space = gym.spaces.Discrete(world.settings.actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rngs, self._seeds = _unzipped(seeding.np_random() for _ in range(num_envs))
        self._states: list[State] | None = None
        self._frames: list[list[Frame]] = [[] for _ in range(num_envs)]

    # What there is

    @property
    def states(self) -> list[State]:
        """[N] the episodes' states.

        Raises:
            EpisodeError: before the first ``reset``.
        """
        if self._states is None:
            raise EpisodeError("there are no episodes yet: call reset() first")
        return list(self._states)

    @property  # type: ignore[misc]  # Gymnasium's can be set; these belong to their environments
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The environments' generators."""
        return tuple(self._rngs)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of the environments' generators, -1 where nobody knows."""
        return tuple(self._seeds)

    def action_masks(self) -> NDArray[np.bool_]:
        """[N, K] which actions each state offers."""
        return np.stack([state.action_set.mask for state in self.states]).astype(np.bool_)

    def expected_utility(self) -> NDArray[np.float64]:
        """[N, K] utility of each action's expected next embedding; -inf where no action is offered."""
        return transition.expected_utility(self.world, self.states)

    # Episodes

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment, or in those of a mask.

        Args:
            seed: environment i gets ``seed + i``, or its entry of a sequence; None goes on with the present randomness.
            options: ``user``, ``item``, ``text``, ``any_split`` (one for all, or a list with one per environment) and
                ``reset_mask`` (bool array [N]: the environments to reset; the others stay where they are).

        Returns:
            Observations and infos; the infos of reset environments alone.

        Raises:
            EagleError: as in :meth:`eagle_gym.EagleEnv.reset`; every environment is as it was.
        """
        world = self.world
        single, rows = self._reset_options(options)
        seeds = _per_environment(seed, self.num_envs)
        generators = {i: _generator(seeds[i], (self._rngs[i], self._seeds[i])) for i in rows}
        with unmoved_by_failure(rng for rng, _ in generators.values()):
            starts = [transition.sample_start(world, rng, single[i]) for i, (rng, _) in generators.items()]
            fresh = dict(zip(rows, transition.make_states(world, starts), strict=True))
        self._states = [fresh[i] if i in fresh else self.states[i] for i in range(self.num_envs)]
        for i, state in fresh.items():
            self._rngs[i], self._seeds[i] = generators[i]
            self._frames[i] = [Frame(state)]
        return self._observations(self._states), self._infos(fresh)

    def step(self, actions: ArrayLike) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Step every environment; see the autoreset mode for those whose episode is over.

        Args:
            actions: [N] integers.

        Returns:
            Observations, rewards [N], terminated [N], truncated [N] and infos, all fresh.

        Raises:
            EpisodeError: no episodes, actions that do not fit, or (``"Disabled"``) an episode that is over.
            LanguageModelError: a generation failed; every episode stands where it stood.
        """
        result = self.transition(actions)
        infos: dict[str, Any] = {}
        for i, state in enumerate(result.states):
            if i in result.final:
                last = result.final[i]
                ended = {"final_obs": make_observation(self.world, last), "final_info": make_info(self.world, last)}
                infos = self._add_info(infos, ended, i)
            infos = self._add_info(infos, make_info(self.world, state), i)
        return self._observations(result.states), result.rewards, result.terminated, result.truncated, infos

    def transition(self, actions: ArrayLike) -> Transition:
        """One step as states; ``step`` is this with observations and infos."""
        world, states = self.world, self.states
        chosen = self._actions(actions)
        over = [self._ended(state) for state in states]
        if self.autoreset_mode is AutoresetMode.DISABLED and any(over):
            ended = np.flatnonzero(over).tolist()
            raise EpisodeError(f"episodes {ended} are over: reset them with reset(options={{'reset_mask': ...}})")
        moving = [i for i in range(self.num_envs) if not over[i]]
        indices = [transition.check_action(states[i], chosen[i]) for i in moving]
        resetting = self._resetting(moving, over)
        with unmoved_by_failure(self.np_random):
            seeds = [int(self._rngs[i].integers(SEEDS)) for i in moving]
            starts = [transition.sample_start(world, self._rngs[i]) for i in resetting]
            moved = transition.rewrite(world, [states[i] for i in moving], indices, seeds)
            arrived = transition.make_states(world, [*moved, *starts])
        after = dict(zip(moving, arrived[: len(moving)], strict=True))
        fresh = dict(zip(resetting, arrived[len(moving) :], strict=True))
        return self._settle(states, dict(zip(moving, indices, strict=True)), after, fresh)

    def _resetting(self, moving: list[int], over: list[bool]) -> list[int]:
        """Which environments start an episode in this step; known beforehand, for no text decides when one ends."""
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            return [i for i in moving if self._ends(self.states[i].step + 1)] + [i for i, o in enumerate(over) if o]
        return [i for i, o in enumerate(over) if o]

    def _settle(
        self, states: list[State], indices: dict[int, int], after: dict[int, State], fresh: dict[int, State]
    ) -> Transition:
        rewards = np.zeros(self.num_envs)
        rows = list(after)
        rewards[rows] = transition.rewards(self.world, [states[i] for i in rows], [after[i] for i in rows])
        for i in rows:
            edit = states[i].action_set.edits[indices[i]]
            self._frames[i].append(Frame(after[i], edit, float(rewards[i])))
        for i, state in fresh.items():
            self._frames[i] = [Frame(state)]
        self._states = [fresh.get(i) or after[i] for i in range(self.num_envs)]
        return Transition(
            states=list(self._states),
            rewards=rewards,
            terminated=self._mask(i for i in rows if transition.is_over(self.world, after[i])),
            truncated=self._mask(i for i in rows if self._cut(after[i].step)),
            final={i: after[i] for i in fresh if i in after},
        )

    def _mask(self, rows: Iterable[int]) -> NDArray[np.bool_]:
        mask = np.zeros(self.num_envs, np.bool_)
        mask[list(rows)] = True
        return mask

    def _cut(self, step: int) -> bool:
        return self.max_episode_steps is not None and step >= self.max_episode_steps

    def _ends(self, step: int) -> bool:
        return step >= self.world.settings.horizon or self._cut(step)

    def _ended(self, state: State) -> bool:
        return self._ends(state.step)

    def _actions(self, actions: ArrayLike) -> list[int]:
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
            raise EpisodeError(
                f"actions must be {self.num_envs} integers, one per environment; got {array.dtype}, shape {array.shape}"
            )
        return [int(action) for action in array]

    def _reset_options(self, options: Mapping[str, Any] | None) -> tuple[list[dict[str, Any]], list[int]]:
        """Each environment's own options, and the rows to reset."""
        given = dict(options or {})
        rows = _check_reset_mask(given.pop("reset_mask", None), self.num_envs)
        if len(rows) < self.num_envs and self._states is None:
            raise EpisodeError("the first reset() must be of all environments: give no reset_mask")
        columns = {name: _per_environment(value, self.num_envs, name) for name, value in given.items()}
        return [{name: values[i] for name, values in columns.items()} for i in range(self.num_envs)], rows

    # What is shown

    def _observations(self, states: Sequence[State]) -> Any:  # noqa: ANN401 - a tuple of strings or a dict of arrays
        if self.settings.observation == "text":
            return tuple(observe_text(self.world, state) for state in states)
        return observe_latent(self.world, states)

    def _infos(self, states: Mapping[int, State]) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for i, state in states.items():
            infos = self._add_info(infos, make_info(self.world, state), i)
        return infos

    def render(self) -> tuple[str, ...] | None:
        """[N] the episodes so far as texts; None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(draw(self.world, frames) for frames in self._frames)

    # Branching, closing, copying

    def get_state(self) -> tuple[Snapshot, ...]:
        """[N] the episodes as they stand; each may also be given to a single environment."""
        states: Sequence[State | None] = self._states or [None] * self.num_envs
        return tuple(
            Snapshot.of(self.world, state, frames, self._rngs[i], self._seeds[i])
            for i, (state, frames) in enumerate(zip(states, self._frames, strict=True))
        )

    def set_state(self, snapshots: Sequence[Snapshot], seed: int | Sequence[int | None] | None = None) -> None:
        """Go back to snapshots, one per environment (one snapshot N times branches it).

        Args:
            snapshots: [N] from ``get_state``, of these or of single environments with the same settings.
            seed: fresh seeds for what follows, as in ``reset``; None goes on with the snapshots' own randomness.

        Raises:
            ConfigurationError: not one snapshot per environment, or one of other settings.
            EpisodeError: a snapshot from before the first reset, among others.
        """
        if len(snapshots) != self.num_envs:
            raise ConfigurationError(f"expected {self.num_envs} snapshots, one per environment, got {len(snapshots)}")
        states = [check_snapshot(self.world, snapshot).state for snapshot in snapshots]
        begun = [state for state in states if state is not None]
        if begun and len(begun) < self.num_envs:
            raise EpisodeError("some snapshots were taken before the first reset(): all or none may be")
        seeds = _per_environment(seed, self.num_envs)
        kept = [(snapshot.generator(), snapshot.seed) for snapshot in snapshots]
        self._rngs, self._seeds = _unzipped(map(_generator, seeds, kept))
        self._states = begun or None
        self._frames = [list(snapshot.frames) for snapshot in snapshots]

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Let go of the world; the language model is closed with the last environment that uses it."""
        self._world = None


def as_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """The mode by member, value (``"SameStep"``) or name (``"SAME_STEP"``).

    Raises:
        ConfigurationError: there is no such mode.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    names: dict[str, AutoresetMode] = {m.value: m for m in AutoresetMode} | {m.name: m for m in AutoresetMode}
    if mode not in names:
        raise ConfigurationError(f"autoreset_mode must be one of {[m.value for m in AutoresetMode]}, got {mode!r}")
    return names[mode]


def _check_vector(
    num_envs: int, mode: str | AutoresetMode, max_episode_steps: int | None, render_mode: str | None
) -> tuple[int, AutoresetMode, int | None, str | None]:
    for name, value in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
        integer = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not integer and not (value is None and name == "max_episode_steps"):
            raise ConfigurationError(f"{name} must be an integer of at least 1, got {value!r}")
    check_render_mode(render_mode)
    return num_envs, as_autoreset_mode(mode), max_episode_steps, render_mode


def _per_environment(value: Any, num_envs: int, name: str = "seed") -> list[Any]:  # noqa: ANN401
    """One value per environment: a list as it is, a seed counted up, anything else repeated."""
    if isinstance(value, list | tuple | np.ndarray):
        if len(value) != num_envs:
            raise ConfigurationError(f"{name} must hold one value per environment ({num_envs}), got {len(value)}")
        return list(value)
    if name == "seed" and isinstance(value, int | np.integer):
        return [int(value) + i for i in range(num_envs)]
    return [value] * num_envs


Seeded = tuple[np.random.Generator, int]  # a generator, and what it was seeded with


def _generator(seed: Any, own: Seeded) -> Seeded:  # noqa: ANN401
    """A fresh generator where there is a seed, the present one where there is none."""
    if seed is None:
        return own
    return seeding.np_random(int(seed) if isinstance(seed, np.integer) else seed)  # which refuses what is no seed


def _unzipped(pairs: Iterable[Seeded]) -> tuple[list[np.random.Generator], list[int]]:
    rngs, seeds = zip(*pairs, strict=True)
    return list(rngs), list(seeds)


def _check_reset_mask(mask: object, num_envs: int) -> list[int]:
    if mask is None:
        return list(range(num_envs))
    if not isinstance(mask, np.ndarray) or mask.shape != (num_envs,) or mask.dtype != np.bool_ or not mask.any():
        raise ConfigurationError(
            f"options['reset_mask'] must be a bool array of shape ({num_envs},) with at least one True, got {mask!r}"
        )
    return np.flatnonzero(mask).tolist()
