"""Many environments as one: a step makes one batched model call, one encoder pass and one batched design.

Step by step, environment i equals a single environment: it draws from its own generator in the same order, and its
results depend only on its own row.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from eagle_gym.envs import transition
from eagle_gym.envs.background import Background
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.episode import (
    METADATA,
    SEEDS,
    Snapshot,
    WorldMixin,
    check_options,
    check_render_mode,
    check_snapshot,
    unmoved_by_failure,
)
from eagle_gym.envs.observation import make_info, make_observation, observe_latent, observe_text
from eagle_gym.envs.opening import make_world
from eagle_gym.envs.render import Frame
from eagle_gym.envs.settings import Settings
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError, EpisodeError

# Arguments that the batch takes and its single environments do not.
_OF_THE_BATCH: Final = ("num_envs", "vectorization_mode", "autoreset_mode", "max_episode_steps")


@dataclass(frozen=True, eq=False)
class Transition:
    """What one step of the batch did.

    Attributes:
        states: Where each environment is now, [N]: after its step, or at the start of its next episode.
        rewards: Rewards, [N] float64; 0 where an environment was only reset.
        terminated: Episodes that reached the horizon in this step, [N].
        truncated: Episodes that `max_episode_steps` cut off in this step, [N].
        final: Environment -> its last state, for episodes that ended and were reset within this step.
    """

    states: list[State]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final: Mapping[int, State] = field(default_factory=dict)


class EagleVectorEnv(WorldMixin, gym.vector.VectorEnv[Any, Any, Any]):
    """`num_envs` environments stepped together; `EagleEnv` says what each of them is.

    Observations are batched: a tuple of N strings, or a Dict of float32 arrays [N, ...]. Rewards are float64 [N]. Infos
    are batched in Gymnasium's way: each key holds an array of values, and `_key` marks the environments that have it.

    The autoreset mode determines when the next episode starts:

    - `"NextStep"` (Gymnasium's default): In the next step, whose action is ignored and whose reward is 0. With horizon
      5, this is one transition in six, and an agent that learns from it too wastes it.
    - `"SameStep"`: In the step that ends the last episode, whose last observation and info are in `info["final_obs"]`
      and `info["final_info"]`. Best for short episodes; CleanRL's scripts need it to see the returns.
    - `"Disabled"`: Only when `reset(options={"reset_mask": ...})` asks for it. TorchRL needs this mode.

    `step_async(actions)` and `step_wait()` are the two halves of `step`, as in `gymnasium.vector.AsyncVectorEnv`: the
    step runs in a thread while the agent does something else, such as choosing actions for another vector environment.
    Wrappers of Gymnasium know `step` only: reach these methods through `envs.unwrapped`.

    Args:
        num_envs: N.
        autoreset_mode: `"NextStep"`, `"SameStep"` or `"Disabled"`, or a member of Gymnasium's `AutoresetMode`.
        max_episode_steps: Steps after which an episode is truncated, as by `gym.wrappers.TimeLimit`; None for no limit.
        render_mode: None, `"ansi"` or `"rgb_array"`.
        **arguments: Those of `eagle_gym.Settings`.

    Raises:
        ConfigurationError: An invalid argument or combination. It is raised before anything is loaded, unless the check
            itself needs a file or a model.

    Attributes:
        envs: The N single environments, which hold the episodes. Changing one of them changes the batch.
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
        """Make environments in a world that is open already."""
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
        self.envs = tuple(EagleEnv.from_world(world, render_mode) for _ in range(num_envs))
        self._spec: EnvSpec | None = None
        self._background = Background()

    @property
    def states(self) -> list[State]:
        """The episodes' states, [N].

        Raises:
            EpisodeError: There was no `reset` yet.
        """
        return [env.state for env in self.envs]

    @property
    def over(self) -> NDArray[np.bool_]:
        """Which episodes are over, at the horizon or cut off by `max_episode_steps`, [N].

        Raises:
            EpisodeError: There was no `reset` yet.
        """
        return np.array([self._ended(state) for state in self.states])

    @property  # type: ignore[misc]  # Gymnasium's can be set; these belong to the single environments
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The environments' generators."""
        return tuple(env.np_random for env in self.envs)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of the environments' generators, -1 if unknown."""
        return tuple(env.np_random_seed for env in self.envs)

    @property  # a plain attribute in Gymnasium, which sets it after construction
    def spec(self) -> EnvSpec | None:
        """The spec that `gym.make_vec` used. Each of `envs` has the spec of a single environment."""
        return self._spec

    @spec.setter
    def spec(self, value: EnvSpec | None) -> None:
        self._spec = value
        for env in self.envs:
            env.spec = None if value is None else _single_spec(value)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions each state offers, [N, K]."""
        return np.stack([env.action_masks() for env in self.envs])

    @property
    def expected_utility(self) -> Callable[[], NDArray[np.float64]]:
        """A method: the utility of each action's expected next embedding, [N, K]; -inf where no action is offered.

        Raises:
            NotShownError: `action_features` is not `"effect"`.
        """
        self.check_effects_shown()
        return lambda: transition.expected_utility(self.world, self.states)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment, or in those that a mask selects.

        Args:
            seed: Environment i gets `seed + i`, or its entry of a sequence. None continues with the present generators.
            options: `user`, `item`, `text`, `any_split` (one for all, or a list with one per environment) and
                `reset_mask` (bool array [N]: the environments to reset; the others stay where they are).

        Returns:
            Observations of all environments, and infos of those that were reset.

        Raises:
            EagleError: As in `EagleEnv.reset`. After any error every environment is as it was before.
            AlreadyPendingCallError: A step is pending.
        """
        self._background.check_idle("reset")
        world = self.world
        single, rows = self._reset_options(options)
        seeds = _per_environment(seed, self.num_envs)
        generators = {i: _generator(seeds[i], _randomness(self.envs[i])) for i in rows}
        with unmoved_by_failure(rng for rng, _ in generators.values()):
            starts = [transition.sample_start(world, rng, single[i]) for i, (rng, _) in generators.items()]
            fresh = dict(zip(rows, transition.make_states(world, starts), strict=True))
        for i, state in fresh.items():
            self.envs[i].restore(state, [Frame(state)], *generators[i])
        with world.resources.lock:
            return self._observations(self.states), self._infos(fresh)

    def step(self, actions: ArrayLike) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Step every environment; the autoreset mode says what happens to those whose episode is over.

        Args:
            actions: Integers, [N].

        Returns:
            Observations, rewards [N], terminated [N], truncated [N] and infos, all newly made.

        Raises:
            EpisodeError: There are no episodes, the actions do not fit, or (`"Disabled"`) an episode is over.
            LanguageModelError: A generation failed; every episode is where it was before.
            AlreadyPendingCallError: A step is pending.
        """
        self._background.check_idle("step")
        return self._step(actions)

    def step_async(self, actions: ArrayLike) -> None:
        """Begin a step, which runs in a thread; `step_wait` returns what it did.

        Until then the environments must be left alone. Other environments may be used meanwhile, also those of the same
        world: two vector environments may be stepped in turn, so that the requests of one run while the agent chooses
        actions for the other.

        Args:
            actions: Integers, [N]; they are copied.

        Raises:
            EpisodeError: There are no episodes, or the actions are no N integers.
            AlreadyPendingCallError: A step is pending.
        """
        self._background.check_idle("step_async")
        _ = self.world, self.states
        chosen = np.array(self._actions(actions), np.int64)
        self._background.start(lambda: self._step(chosen))

    def step_wait(
        self, timeout: float | None = None
    ) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Wait for the step that `step_async` began.

        Args:
            timeout: Seconds to wait at most; None waits until the step has ended.

        Returns:
            As `step`.

        Raises:
            NoAsyncCallError: No step is pending.
            multiprocessing.TimeoutError: The step has not ended in time. It goes on, and may be waited for again.
            EagleError: As in `step`.
        """
        _ = self.world
        found: tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]] = self._background.result(timeout)
        return found

    def _step(self, actions: ArrayLike) -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        world = self.world
        result = self.transition(actions)
        infos: dict[str, Any] = {}
        with world.resources.lock:
            for i, state in enumerate(result.states):
                if i in result.final:
                    last = result.final[i]
                    ended = {"final_obs": make_observation(world, last), "final_info": make_info(world, last)}
                    infos = self._add_info(infos, ended, i)
                infos = self._add_info(infos, make_info(world, state), i)
            observations = self._observations(result.states)
        return observations, result.rewards, result.terminated, result.truncated, infos

    def transition(self, actions: ArrayLike) -> Transition:
        """Step every environment and return states; `step` adds observations and infos."""
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
            seeds = [int(self.envs[i].np_random.integers(SEEDS)) for i in moving]
            starts = [transition.sample_start(world, self.envs[i].np_random) for i in resetting]
            moved = transition.rewrite(world, [states[i] for i in moving], indices, seeds)
            arrived = transition.make_states(world, [*moved, *starts])
        paid = transition.with_rewards(world, [states[i] for i in moving], arrived[: len(moving)])
        after = dict(zip(moving, paid, strict=True))
        fresh = dict(zip(resetting, arrived[len(moving) :], strict=True))
        return self._settle(states, dict(zip(moving, indices, strict=True)), after, fresh)

    def _resetting(self, moving: list[int], over: list[bool]) -> list[int]:
        """Which environments start an episode in this step. It depends only on the number of steps taken."""
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            return [i for i in moving if self._ends(self.states[i].step + 1)] + [i for i, o in enumerate(over) if o]
        return [i for i, o in enumerate(over) if o]

    def _settle(
        self, states: list[State], indices: dict[int, int], after: dict[int, State], fresh: dict[int, State]
    ) -> Transition:
        rewards = np.zeros(self.num_envs)
        rows = list(after)
        for i in rows:
            rewards[i] = after[i].reward
            self.envs[i].append(Frame(after[i], states[i].action_set.edits[indices[i]], after[i].reward))
        for i, state in fresh.items():
            self.envs[i].restore(state, [Frame(state)], *_randomness(self.envs[i]))
        return Transition(
            states=self.states,
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
                f"expected {self.num_envs} integer actions, one per environment, got {array.dtype}, shape {array.shape}"
            )
        return [int(action) for action in array]

    def _reset_options(self, options: object) -> tuple[list[dict[str, Any]], list[int]]:
        """Each environment's own options, and the rows to reset."""
        given = check_options(options)
        rows = _check_reset_mask(given.pop("reset_mask", None), self.num_envs)
        if not all(env.frames for i, env in enumerate(self.envs) if i not in rows):
            raise EpisodeError("the first reset() must be of all environments: leave reset_mask out")
        columns = {name: _per_environment(value, self.num_envs, name) for name, value in given.items()}
        return [{name: values[i] for name, values in columns.items()} for i in range(self.num_envs)], rows

    def _observations(self, states: Sequence[State]) -> Any:  # noqa: ANN401 - a tuple of strings or a dict of arrays
        if self.settings.observation == "text":
            return tuple(observe_text(self.world, state) for state in states)
        return observe_latent(self.world, states)

    def _infos(self, states: Mapping[int, State]) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for i, state in states.items():
            infos = self._add_info(infos, make_info(self.world, state), i)
        return infos

    def render(self) -> tuple[Any, ...] | None:
        """What each environment renders, [N]: a text or a picture; None without a render mode."""
        self._background.check_idle("render")
        return None if self.render_mode is None else tuple(env.render() for env in self.envs)

    # The single environments, one by one, as `gymnasium.vector.SyncVectorEnv` offers them

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:  # noqa: ANN401
        """Call a method of every single environment with the same arguments, or read an attribute.

        Returns:
            The results, [N].
        """
        self._background.check_idle("call")
        found = [env.get_wrapper_attr(name) for env in self.envs]
        return tuple(each(*args, **kwargs) if callable(each) else each for each in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of every single environment, [N]; a method is called without arguments."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:  # noqa: ANN401
        """Set an attribute of every single environment.

        Args:
            name: The attribute.
            values: A list or tuple with one value per environment, or one value for all.

        Raises:
            ConfigurationError: The attribute is one of the settings, or there are too few or too many values.
        """
        self._background.check_idle("set_attr")
        check_attribute(name)
        each = values if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ConfigurationError(
                f"expected {self.num_envs} values of {name!r}, one per environment, got {len(each)}"
            )
        for env, value in zip(self.envs, each, strict=True):
            env.set_wrapper_attr(name, value)

    # Branching and closing

    def get_state(self) -> tuple[Snapshot, ...]:
        """Snapshots of the episodes, [N]; each may also be given to a single environment."""
        self._background.check_idle("get_state")
        return tuple(env.get_state() for env in self.envs)

    def set_state(
        self,
        snapshots: Sequence[Snapshot],
        seed: int | Sequence[int | None] | None = None,
        indices: Sequence[int] | None = None,
    ) -> None:
        """Return to snapshots, one per environment; one snapshot N times branches an episode.

        Args:
            snapshots: [N] from `get_state`, of these or of single environments with the same settings.
            seed: New seeds for what follows, as in `reset`. None continues with the snapshots' own randomness.
            indices: The environments that the snapshots and seeds are for; None for all. The others stay as they are.

        Raises:
            ConfigurationError: There is not one snapshot per environment, or one is refused as in `EagleEnv.set_state`.
            EpisodeError: Some environments would have an episode and others none.
        """
        self._background.check_idle("set_state")
        rows = _check_indices(indices, self.num_envs)
        if not isinstance(snapshots, list | tuple) or len(snapshots) != len(rows):
            got = len(snapshots) if isinstance(snapshots, list | tuple) else type(snapshots).__name__
            raise ConfigurationError(f"expected {len(rows)} snapshots in a list, one per environment, got {got}")
        checked = {row: check_snapshot(self.world, snapshot) for row, snapshot in zip(rows, snapshots, strict=True)}
        begun = [bool(checked[i].frames if i in checked else env.frames) for i, env in enumerate(self.envs)]
        if any(begun) and not all(begun):
            raise EpisodeError("some snapshots were taken before the first reset(): all or none may be")
        seeds = _per_environment(seed, len(rows))
        generators = [
            _generator(own, (snapshot.generator(), snapshot.seed))
            for own, snapshot in zip(seeds, checked.values(), strict=True)
        ]
        for (row, snapshot), generator in zip(checked.items(), generators, strict=True):
            self.envs[row].restore(snapshot.state, snapshot.frames, *generator)

    def close_extras(self, timeout: float | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        """Release the world. The language model is closed with the last environment that uses it.

        Args:
            timeout: Seconds to wait at most for a pending step, whose result or error is dropped; None waits for it.
            **kwargs: What other vector environments take is ignored.
        """
        self._background.close(timeout)
        self._world = None
        for env in self.envs:
            env.close()


def as_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """The mode that a member, a value (`"SameStep"`) or a name (`"SAME_STEP"`) stands for.

    Raises:
        ConfigurationError: There is no such mode.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    names: dict[str, AutoresetMode] = {m.value: m for m in AutoresetMode} | {m.name: m for m in AutoresetMode}
    if not isinstance(mode, str) or mode not in names:
        raise ConfigurationError(f"expected autoreset_mode in {[m.value for m in AutoresetMode]}, got {mode!r}")
    return names[mode]


def _check_vector(
    num_envs: int, mode: str | AutoresetMode, max_episode_steps: int | None, render_mode: str | None
) -> tuple[int, AutoresetMode, int | None, str | None]:
    for name, value in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
        integer = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not integer and not (value is None and name == "max_episode_steps"):
            raise ConfigurationError(f"expected {name} to be an integer of at least 1, got {value!r}")
    check_render_mode(render_mode)
    return num_envs, as_autoreset_mode(mode), max_episode_steps, render_mode


def _per_environment(value: Any, num_envs: int, name: str = "seed") -> list[Any]:  # noqa: ANN401
    """One value per environment: a list is taken as it is, a seed counted up, anything else repeated."""
    if isinstance(value, list | tuple | np.ndarray):
        if len(value) != num_envs:
            raise ConfigurationError(f"expected {num_envs} values of {name}, one per environment, got {len(value)}")
        return list(value)
    if name == "seed" and isinstance(value, int | np.integer):
        return [int(value) + i for i in range(num_envs)]
    return [value] * num_envs


Seeded = tuple[np.random.Generator, int]  # a generator and its seed, -1 if unknown


def _generator(seed: Any, own: Seeded) -> Seeded:  # noqa: ANN401
    """A new generator if there is a seed, else the present one."""
    if seed is None:
        return own
    return seeding.np_random(int(seed) if isinstance(seed, np.integer) else seed)  # refuses other things than seeds


def _randomness(env: EagleEnv) -> Seeded:
    return env.np_random, env.np_random_seed


def _single_spec(spec: EnvSpec) -> EnvSpec:
    """The spec of one environment of a batch."""
    single = copy.copy(spec)
    single.kwargs = {name: value for name, value in spec.kwargs.items() if name not in _OF_THE_BATCH}
    return single


def check_attribute(name: str) -> None:
    """Check that an attribute of single environments may be set.

    Raises:
        ConfigurationError: It is one of the settings, which the environments of a batch share.
    """
    if name in {field.name for field in dataclasses.fields(Settings)}:
        raise ConfigurationError(f"expected an attribute, got {name!r}: environments share their settings, make others")


def _check_indices(indices: Sequence[int] | None, num_envs: int) -> list[int]:
    if indices is None:
        return list(range(num_envs))
    array = np.asarray(indices)
    rows = array.tolist() if array.ndim == 1 and array.dtype.kind in "iu" else []
    if not rows or len(set(rows)) < len(rows) or not all(0 <= row < num_envs for row in rows):
        raise ConfigurationError(f"expected indices of different environments, 0 to {num_envs - 1}, got {indices!r}")
    return rows


def _check_reset_mask(mask: object, num_envs: int) -> list[int]:
    if mask is None:
        return list(range(num_envs))
    if not isinstance(mask, np.ndarray) or mask.shape != (num_envs,) or mask.dtype != np.bool_ or not mask.any():
        raise ConfigurationError(
            f"expected options['reset_mask'] as a bool array of shape ({num_envs},) with a True, got {mask!r}"
        )
    return np.flatnonzero(mask).tolist()
