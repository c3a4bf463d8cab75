"""Stepping in the background: equal to stepping in the foreground, and typed errors wherever it is misused."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import EpisodeError, LanguageModelError
from eagle_gym.language.model import Usage
from eagle_gym.language.prompts import Prompt
from tests.fake_worlds import ScriptedModel, make_tiny_world


class GatedModel(ScriptedModel):
    """Answers rewrites once a gate is open; says how many callers wait in it at most."""

    def __init__(self, concurrent: bool = False, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.concurrent = concurrent
        self.inside = self.most = 0
        self._guard = threading.Lock()

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0) -> Any:
        with self._guard:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.gate.wait(30)
        with self._guard:
            self.inside -= 1
        return super().generate(prompts, seeds, temperature=temperature)


def gated(num_envs: int = 2, count: int = 1, **keywords: Any) -> tuple[list[EagleVectorEnv], GatedModel]:
    """Vector environments of one world, after their reset, and their model, whose gate is closed."""
    model = GatedModel(**keywords)
    world = make_tiny_world(model=model)
    envs = [EagleVectorEnv.from_world(world, num_envs) for _ in range(count)]
    for number, env in enumerate(envs):
        env.reset(seed=number * num_envs)
    return envs, model


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("observation", ["text", "latent"])
def test_equal_to_stepping_in_the_foreground(observation: str, mode: AutoresetMode) -> None:
    world = make_tiny_world(observation=observation)
    one, other = (EagleVectorEnv.from_world(world, 3, autoreset_mode=mode) for _ in range(2))
    assert data_equivalence(one.reset(seed=1), other.reset(seed=1), exact=True)
    steps = world.settings.horizon if mode is AutoresetMode.DISABLED else 8
    for step in range(steps):
        actions = np.array([0, step % 2, 1])
        one.step_async(actions)
        actions_then = actions.copy()
        actions[:] = 99  # the caller's array is the caller's
        assert data_equivalence(one.step_wait(), other.step(actions_then), exact=True)
    one.close()
    other.close()


def test_two_halves_are_one_whole() -> None:
    """Two environments that are stepped in turn, whose steps overlap, see what one of twice their size sees."""
    world = make_tiny_world(observation="latent")
    whole = EagleVectorEnv.from_world(world, 4)
    halves = [EagleVectorEnv.from_world(world, 2) for _ in range(2)]
    seen, _ = whole.reset(seed=5)
    parts = [half.reset(seed=5 + 2 * row)[0] for row, half in enumerate(halves)]
    for step in range(7):
        for row, part in enumerate(parts):
            for name, array in part.items():
                np.testing.assert_array_equal(array, seen[name][2 * row : 2 * row + 2])
        actions = np.array([step % 2, 0, 1, step % 2])
        for row, half in enumerate(halves):
            half.step_async(actions[2 * row : 2 * row + 2])
        seen, rewards, *_ = whole.step(actions)
        results = [half.step_wait() for half in halves]
        parts = [result[0] for result in results]
        np.testing.assert_array_equal(np.concatenate([result[1] for result in results]), rewards)


def test_real_models_agree_in_a_thread() -> None:
    """The embedded model computes in the background what it computes in the foreground."""
    settings = {"actions": 4, "pool": 16, "horizon": 2, "prepare": "never", "batch_invariant": True}
    envs = [gym.make_vec("EagleGym/Plots-v0", num_envs=2, **settings) for _ in range(3)]
    for row, env in enumerate(envs):
        env.reset(seed=[0, 2, 0][row])
    first, second, again = envs
    for _ in range(2):
        for env in (first, second):
            env.unwrapped.step_async(np.array([0, 1]))
        assert data_equivalence(again.step(np.array([0, 1])), first.unwrapped.step_wait(), exact=True)
        second.unwrapped.step_wait()
    for env in envs:
        env.close()


def test_the_agent_goes_on_while_the_model_is_asked() -> None:
    (env,), model = gated()
    env.step_async(np.array([0, 1]))
    assert model.entered.acquire(timeout=30)  # the request is under way, and this thread has gone on
    with pytest.raises(multiprocessing.TimeoutError, match=r"0.01 seconds"):
        env.step_wait(timeout=0.01)
    model.gate.set()
    _, rewards, *_ = env.step_wait(timeout=30)
    assert rewards.shape == (2,)
    env.close()


@pytest.mark.parametrize(("concurrent", "most"), [(True, 2), (False, 1)])
def test_requests_of_two_halves_overlap_where_the_model_allows_it(concurrent: bool, most: int) -> None:
    envs, model = gated(count=2, concurrent=concurrent)
    for env in envs:
        env.step_async(np.array([0, 1]))
    for _ in range(most):
        assert model.entered.acquire(timeout=30)
    assert not model.entered.acquire(timeout=0.05)
    model.gate.set()
    for env in envs:
        env.step_wait(timeout=30)
    assert model.most == most
    assert model.usage.calls == 4
    for env in envs:
        env.close()


MISUSES: dict[str, Callable[[EagleVectorEnv], object]] = {
    "step_async": lambda env: env.step_async(np.array([0, 0])),
    "step": lambda env: env.step(np.array([0, 0])),
    "reset": lambda env: env.reset(),
    "call": lambda env: env.call("read"),
    "set_attr": lambda env: env.set_attr("note", 1),
    "get_state": lambda env: env.get_state(),
    "set_state": lambda env: env.set_state([]),
    "render": lambda env: env.render(),
    "copy": lambda env: copy.copy(env._background),
}


@pytest.mark.parametrize("name", MISUSES)
def test_nothing_else_is_done_while_a_step_is_pending(name: str) -> None:
    (env,), model = gated()
    env.step_async(np.array([0, 1]))
    with pytest.raises(AlreadyPendingCallError, match=name):
        MISUSES[name](env)
    model.gate.set()
    env.step_wait()
    env.step(np.array([0, 0]))
    env.close()


def test_waiting_for_nothing_is_an_error() -> None:
    (env,), model = gated()
    model.gate.set()
    with pytest.raises(NoAsyncCallError, match="step_async"):
        env.step_wait()
    env.step_async(np.array([0, 1]))
    env.step_wait()
    with pytest.raises(NoAsyncCallError):
        env.step_wait()
    env.close()


def test_wrong_actions_and_a_missing_reset_are_errors_at_once() -> None:
    env = EagleVectorEnv.from_world(make_tiny_world(), 2)
    with pytest.raises(EpisodeError, match="reset"):
        env.step_async(np.array([0, 1]))
    env.reset(seed=0)
    with pytest.raises(EpisodeError, match="expected 2 integer actions"):
        env.step_async(np.array([0]))
    env.step(np.array([0, 1]))
    env.close()


def test_errors_in_the_background_are_raised_by_step_wait_and_move_nothing() -> None:
    model = ScriptedModel()
    env = EagleVectorEnv.from_world(make_tiny_world(model=model), 2)
    env.reset(seed=3)
    before = [(state.text, state.step) for state in env.states]
    model.fail_on = len(model.batches)
    env.step_async(np.array([0, 1]))
    with pytest.raises(LanguageModelError, match="scripted failure"):
        env.step_wait()
    assert [(state.text, state.step) for state in env.states] == before
    env.step_async(np.array([0, 99]))
    with pytest.raises(EpisodeError, match="99"):
        env.step_wait()
    other = EagleVectorEnv.from_world(make_tiny_world(), 2)
    other.reset(seed=3)
    assert data_equivalence(env.step(np.array([0, 1])), other.step(np.array([0, 1])), exact=True)


class RefusingModel(ScriptedModel):
    """Fails where it is asked about one of some texts."""

    refused: frozenset[str] = frozenset()

    def generate(self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0) -> Any:
        if any(prompt.text in self.refused for prompt in prompts):
            raise LanguageModelError("refused")
        return super().generate(prompts, seeds, temperature=temperature)


def test_an_error_in_one_half_leaves_the_other_as_it_would_be() -> None:
    model = RefusingModel()
    world = make_tiny_world(model=model)
    failing, sound, twin = (EagleVectorEnv.from_world(world, 2) for _ in range(3))
    for env, seed in ((failing, 3), (sound, 8), (twin, 8)):
        env.reset(seed=seed)
    before = [(state.text, state.step) for state in failing.states]
    model.refused = frozenset(state.text for state in failing.states) - {state.text for state in sound.states}
    assert model.refused
    for env in (failing, sound):
        env.step_async(np.array([0, 1]))
    with pytest.raises(LanguageModelError, match="refused"):
        failing.step_wait()
    assert data_equivalence(sound.step_wait(), twin.step(np.array([0, 1])), exact=True)
    assert [(state.text, state.step) for state in failing.states] == before
    model.refused = frozenset()
    failing.step(np.array([0, 1]))


def test_closing_waits_for_a_pending_step_and_drops_it() -> None:
    (env,), model = gated()
    env.step_async(np.array([0, 1]))
    assert model.entered.acquire(timeout=30)
    threading.Timer(0.05, model.gate.set).start()
    env.close()
    assert model.usage.calls == 2  # it was answered, and counted
    with pytest.raises(EpisodeError, match="closed"):
        env.step_wait()
    env.close()  # again


def test_closing_need_not_wait() -> None:
    (env,), model = gated()
    env.step_async(np.array([0, 1]))
    env.close(timeout=0)
    with pytest.raises(EpisodeError, match="closed"):
        env.step_async(np.array([0, 1]))
    model.gate.set()


def test_closing_drops_errors_of_a_pending_step() -> None:
    (env,), model = gated()
    model.fail_on = len(model.batches)
    env.step_async(np.array([0, 1]))
    model.gate.set()
    env.close()


def test_an_environment_is_pickled_after_a_step_in_the_background() -> None:
    env = gym.make_vec("EagleGym/Plots-v0", num_envs=2, language_model="grammar", actions=4, pool=16, prepare="never")
    env.reset(seed=0)
    env.unwrapped.step_async(np.array([0, 1]))
    env.unwrapped.step_wait()
    again = pickle.loads(pickle.dumps(env.unwrapped))
    assert data_equivalence(again.step(np.array([1, 1])), env.step(np.array([1, 1])), exact=True)
    env.close()
    again.close()


def test_threads_count_together() -> None:
    usage = Usage()
    threads = [
        threading.Thread(target=lambda: [usage.count(1, 2, 3, cost=0.5) for _ in range(2_000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cost) == (8_000, 16_000, 24_000, 4_000.0)
