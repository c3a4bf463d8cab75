from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.latent.geometry import central_differences, norms, project_to_ball


def test_points_outside_the_ball_go_straight_to_its_surface() -> None:
    z = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(project_to_ball(z, 1.0), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_array_equal(project_to_ball(z, np.inf), z)


@given(st.integers(0, 2**32), st.floats(0.1, 10))
def test_a_projected_point_is_the_nearest_of_the_ball(seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    z, others = 5 * rng.normal(size=(1, 4)), project_to_ball(5 * rng.normal(size=(50, 4)), radius)
    projected = project_to_ball(z, radius)
    assert norms(projected)[0] <= radius * (1 + 1e-12)
    assert norms(projected - z)[0] <= norms(others - z).min() + 1e-9


def test_a_rows_norm_does_not_depend_on_its_batch(rng: np.random.Generator) -> None:
    z = rng.normal(size=(40, 11))
    np.testing.assert_allclose(norms(z), np.linalg.norm(z, axis=1))
    assert norms(z)[7:8].tobytes() == norms(z[7:8]).tobytes()


def test_gradients_of_a_quadratic_are_exact(rng: np.random.Generator) -> None:
    matrix, z = rng.normal(size=(3, 3)), rng.normal(size=(5, 3))
    found = central_differences(lambda points: np.einsum("ij,jk,ik->i", points, matrix, points), z)
    np.testing.assert_allclose(found, z @ (matrix + matrix.T), atol=1e-9)


def test_functions_may_depend_on_the_row_and_are_called_once(rng: np.random.Generator) -> None:
    slopes, z, calls = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), []

    def function(points: np.ndarray) -> np.ndarray:
        calls.append(len(points))
        return np.sum(points * np.tile(slopes, (len(points) // 5, 1)), axis=1)

    np.testing.assert_allclose(central_differences(function, z, 0.5), slopes)
    assert calls == [30]


@pytest.mark.parametrize("step", [1e-3, 1e-1])
def test_the_step_is_half_the_distance_of_the_two_points(step: float) -> None:
    cubed = central_differences(lambda points: points[:, 0] ** 3, np.zeros((1, 1)), step)
    assert cubed[0, 0] == pytest.approx(step**2)
