"""Evaluation: gains as the known world gives them, the same episodes for all, every step counted."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from baselines.evaluate import evaluate
from baselines.reference import Optimistic, Uniform, make_reference
from eagle_gym.errors import ConfigurationError
from tests.fakes import KnownVectorEnv


def test_rows_say_what_happened(rng: np.random.Generator) -> None:
    envs = KnownVectorEnv(num_envs=4)
    done = evaluate(Uniform(rng), envs, method="uniform", episodes=8, first_seed=5, seed=3)
    assert [row.episode for row in done.rows] == list(range(5, 13))
    assert done.cost.calls == 8 * envs.horizon == sum(row.steps for row in done.rows)
    for row in done.rows:
        assert (row.method, row.seed, row.valid, row.steps) == ("uniform", 3, True, 3)
        assert row.gain == pytest.approx(row.utilities[-1] - row.utilities[0])
        assert row.gain == pytest.approx(row.affinity_gain + row.novelty_gain)
        assert np.shape(row.z) == (4, envs.dim)
        steps = np.linalg.norm(np.diff(row.z, axis=0), axis=1)
        np.testing.assert_allclose(steps, 1, rtol=1e-6)  # every action moves the point by one
        # the fake's text lists the actions taken, and its edits name them
        assert row.texts[-1] == ", ".join([row.texts[0], *(edit.removeprefix("move ") for edit in row.edits)])


def test_methods_meet_the_same_episodes(rng: np.random.Generator) -> None:
    envs = KnownVectorEnv(num_envs=4)
    uniform = evaluate(Uniform(rng), envs, method="uniform", episodes=40)
    optimistic = evaluate(Optimistic(envs, rng), envs, method="optimistic", episodes=40)
    for a, b in zip(uniform.rows, optimistic.rows, strict=True):
        assert (a.episode, a.user, a.item, a.utilities[0]) == (b.episode, b.user, b.item, b.utilities[0])
        # nothing gains more than the best action at every step, here where menus do not depend on what was chosen
        assert a.gain <= b.gain + 1e-9


def test_episodes_do_not_depend_on_the_batch() -> None:
    rows = [
        evaluate(Optimistic(envs, np.random.default_rng(0)), envs, method="o", episodes=12).rows
        for envs in (KnownVectorEnv(num_envs=n) for n in (2, 6))
    ]
    assert rows[0] == rows[1]


def test_wrong_arguments_are_named(rng: np.random.Generator) -> None:
    envs = KnownVectorEnv(num_envs=4)
    with pytest.raises(ConfigurationError, match="multiple of num_envs = 4, got 6"):
        evaluate(Uniform(rng), envs, method="uniform", episodes=6)
    envs.metadata["autoreset_mode"] = AutoresetMode.SAME_STEP
    with pytest.raises(ConfigurationError, match="SAME_STEP"):
        evaluate(Uniform(rng), envs, method="uniform", episodes=4)
    with pytest.raises(ConfigurationError, match="no reference policy 'greedy'"):
        make_reference("greedy", envs, rng)
