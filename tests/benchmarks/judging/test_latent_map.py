"""The map of a latent space: laid along taste, true to the points and to the utility."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from baselines.evaluate import EpisodeRow, evaluate
from baselines.reference import make_reference
from benchmarks.judging.latent_map import GRID, chosen, draw_map, lay
from benchmarks.running.records import LatentMap
from eagle_gym.envs.vector import EagleVectorEnv
from tests.fake_worlds import make_tiny_world


def episode(method: str, seed: int, number: int, gain: float) -> EpisodeRow:
    return EpisodeRow(
        *(method, seed, number, "u", "e", 1, gain, gain, *(0.0, 0.0, 0.0), 50.0, 60.0, True),
        *((0.0, gain), ("a", "b"), ("x",), ((0.0, 0.0), (gain, 0.0))),
    )  # fmt: skip


def test_axes_by_hand() -> None:
    # The user likes the second direction. Apart from it, the episodes move along the third, by 3 of 5.
    paths = [np.array([[1.0, 1, 1], [1, 5, 4]])]
    axes, share = lay(np.array([0.0, 2.0, 0.0]), paths)
    np.testing.assert_allclose(axes[0], [0, 1, 0])
    np.testing.assert_allclose(np.abs(axes[1]), [0, 0, 1])
    assert share == pytest.approx(1)
    _, share = lay(np.array([1.0, 0, 0]), [np.array([[0.0, 0, 0], [0, 2, 0], [0, 2, 1.0]])])
    assert 0.9 < share < 1


@pytest.mark.parametrize("path", [[[0.0, 0, 0], [1, 0, 0]], [[0.0, 0, 0], [0, 0, 0]]])
def test_axes_without_movement_beside_the_taste(path: list[list[float]]) -> None:
    axes, share = lay(np.array([1.0, 0, 0]), [np.array(path)])
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    assert share == pytest.approx(1)


def test_the_episode_that_most_have_met_and_of_these_the_typical_one() -> None:
    rows = [episode(method, 0, number, gain) for number, gain in ((1, 5.0), (2, 1.0), (3, 3.0)) for method in "ab"]
    rows.append(episode("c", 1, 9, 2.0))
    key, shown = chosen(rows)
    assert key == (0, 3)
    assert [row.method for row in shown] == ["a", "b"]
    rows.append(episode("c", 0, 1, 7.0))  # now three methods have met one episode
    assert chosen(rows)[0] == (0, 1)


def test_a_map_of_a_world() -> None:
    envs = EagleVectorEnv.from_world(make_tiny_world(observation="latent"), num_envs=2)
    rows = [
        row
        for name in ("uniform", "optimistic")
        for row in evaluate(make_reference(name, envs, np.random.default_rng(0)), envs, method=name, episodes=4).rows
    ]
    world = envs.world
    drawn = LatentMap(**json.loads(json.dumps(asdict(draw_map(world, rows)))))
    (row, _) = [row for row in rows if (row.seed, row.episode) == (drawn.seed, drawn.episode)]
    across = drawn.project(row.z)[:, 0]
    # Across is the predicted rating, which is the affinity of this world: a step moves there what the affinity gains.
    assert across[-1] - across[0] == pytest.approx(row.affinity_gain, abs=1e-5)
    assert np.shape(drawn.utility) == (GRID, GRID)
    assert 0 < drawn.share <= 1
    assert len(drawn.catalog) == len(world.catalog.items)
    # The utility at the start, from the nearest point of the grid, lies between those around it.
    x, y = drawn.project(row.z[0])
    i, j = int(np.abs(np.array(drawn.y) - y).argmin()), int(np.abs(np.array(drawn.x) - x).argmin())
    near = np.array(drawn.utility)[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
    assert near.min() - 0.1 <= row.utilities[0] <= near.max() + 0.1
