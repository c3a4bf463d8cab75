"""Designs against closed forms, invariances, cvxpy and degenerate pools."""

from __future__ import annotations

import itertools
import math
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym import design
from eagle_gym.design import conic, solvers
from eagle_gym.errors import ConfigurationError, DesignError

solve_module = import_module("eagle_gym.design.solve")

OWN_SOLVERS = ("auto", "exchange")
KINDS = ["gauss", "whole", "heavy", "cluster", "offset", "deficient", "scales", "copies"]
CVXPY_SOLVERS = ("cvxpy", "cvxpy-clarabel", "cvxpy-logdet", "cvxpy-logdet-scs")


def information(features, weights):
    features = np.asarray(features, dtype=float)
    return (features.T * weights) @ features


def log_det(features, weights):
    return np.linalg.slogdet(information(features, weights))[1]


def gaussian(seed, size, width):
    return np.random.default_rng(seed).normal(size=(size, width))


@st.composite
def pools(draw, *, min_size=2, max_size=60, max_width=10):
    """Gaussian, whole-numbered, heavy-tailed, clustered, off-centre, rank-deficient and unevenly scaled pools."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, width = draw(st.integers(min_size, max_size)), draw(st.integers(1, max_width))
    kind = draw(st.sampled_from(KINDS))
    z = rng.normal(size=(size, width))
    if kind == "whole":
        z = rng.integers(-2, 3, size=(size, width)).astype(float)
    elif kind == "heavy":
        z = rng.standard_t(1.2, size=(size, width))
    elif kind == "cluster":
        z = rng.normal(size=(4, width))[rng.integers(4, size=size)] + 0.05 * z
    elif kind == "offset":
        z = (z + 3) / np.linalg.norm(z + 3, axis=1, keepdims=True)
    elif kind == "deficient":
        z = z[:, : (width + 1) // 2] @ rng.normal(size=((width + 1) // 2, width))
    elif kind == "scales":
        z = z * 10.0 ** rng.uniform(-6, 0, size=(size, 1))
    elif kind == "copies":
        z = np.concatenate([z, -z[: size // 2], z[: size // 3], np.zeros((2, width))])
    z[0, 0] += not z.any()
    return z


pytestmark = pytest.mark.filterwarnings("ignore::eagle_gym.design.UninformativeDesignWarning")


class TestRankTolerance:
    """A direction counts if and only if its singular value exceeds `rank_tol` times the largest."""

    @staticmethod
    def pool(share):
        """[6, 2] Singular values 1 and `share`, in no particular basis."""
        rng = np.random.default_rng(5)
        left, right = np.linalg.qr(rng.normal(size=(6, 2)))[0], np.linalg.qr(rng.normal(size=(2, 2)))[0]
        return left * [1.0, share] @ right

    @pytest.mark.parametrize(("share", "rank"), [(1.5e-8, 2), (0.7e-8, 1)])
    def test_of_every_function_by_default(self, share, rank):
        z = self.pool(share)
        found = design.solve(z)
        assert found.rank == rank
        assert design.solve_batch([z])[0].rank == rank
        assert design.select(z, 3).rank == rank
        assert design.select_batch([z], 3)[0].rank == rank
        assert found.weights @ design.leverages(z, found.weights)[0] == pytest.approx(rank)
        assert np.isfinite(design.thin(z, found).gap)
        one_direction = [int(np.argmax(np.abs(z @ z[0])))]
        assert np.isfinite(design.coverage(z, one_direction).C) == (rank == 1)

    @pytest.mark.parametrize("rank_tol", [1e-10, 1e-6, 1e-4, 1e-3, 0.1])
    @pytest.mark.parametrize(("factor", "rank"), [(1.5, 2), (0.7, 1)])
    def test_as_given(self, rank_tol, factor, rank):
        z = self.pool(factor * rank_tol)
        found = design.solve(z, rank_tol=rank_tol)
        assert found.rank == rank
        assert design.select(z, 3, rank_tol=rank_tol).rank == rank
        leverages = design.leverages(z, found.weights, rank_tol=rank_tol)[0]
        assert found.weights @ leverages == pytest.approx(rank)

    @pytest.mark.parametrize(("share", "energy"), [(1e-11, 1.0), (1e-13, 0.5)])
    def test_of_the_captured_energy(self, share, energy):
        """A pool of two directions; those chosen span both, but for `share` hardly the second."""
        z = np.array([[1.0, 0.0], [1.0, share], [0.0, 1.0], [0.0, np.sqrt(1 + share**2)]])
        assert design.coverage(z, [0, 1]).energy == pytest.approx(energy)


class TestInvariants:
    @given(pools(), st.sampled_from([1e-3, 1e-6, 1e-9]))
    def test_a_design_is_a_certified_distribution(self, z, tol):
        found = design.solve(z, tol=tol)
        assert found.weights.shape == (len(z),)
        assert found.weights.min() >= 0
        assert found.weights.sum() == pytest.approx(1, abs=1e-12)
        assert -1e-12 <= found.gap <= tol
        assert found.certified
        assert 1 + found.gap == found.C
        assert found.fallback == ()
        assert found.rank == np.linalg.matrix_rank(z, rtol=1e-8)

    @given(pools())
    def test_the_gap_of_a_design_is_that_of_its_definition(self, z):
        """Leverages by the pseudo-inverse of M, over all rows: another way than by QR of whitened rows."""
        found = design.solve(z, tol=1e-3)
        basis = np.linalg.svd(z, full_matrices=False)[2][: found.rank].T
        flat = (z @ basis) @ np.linalg.inv(np.linalg.qr(z @ basis, mode="r"))
        inverse = np.linalg.inv(information(flat, found.weights))
        g = np.einsum("ki,ij,kj->k", flat, inverse, flat)
        assert found.gap == pytest.approx(g.max() / found.rank - 1, abs=1e-10)
        assert design.leverages(z, found.weights)[0] == pytest.approx(g, abs=1e-6)

    @given(pools())
    def test_mean_leverage_is_the_rank_and_support_rows_reach_it(self, z):
        found = design.solve(z, tol=1e-8)
        g, gap = design.leverages(z, found.weights)
        assert found.weights @ g == pytest.approx(found.rank, rel=1e-9)
        assert gap == pytest.approx(found.gap, abs=1e-9)
        # Weights that sum the leverages to r, none above r(1 + gap), leave a support row at most gap/q_a short.
        on = found.support
        assert (g[on] >= found.rank * (1 + gap) - found.rank * (gap + 1e-10) / found.weights[on] - 1e-9).all()

    @given(st.integers(0, 10_000), st.integers(1, 6), st.integers(8, 40))
    def test_the_gap_bounds_the_loss_in_log_det(self, seed, width, size):
        z = gaussian(seed, size, width)
        best = design.solve(z, tol=1e-9)
        weights = np.random.default_rng(seed + 1).dirichlet(np.ones(size))
        _, gap = design.leverages(z, weights)
        loss = log_det(z, best.weights) - log_det(z, weights)
        assert -1e-9 <= loss <= width * math.log1p(gap) + 1e-9

    @given(pools(max_width=6), st.integers(0, 10_000))
    def test_no_design_does_better_than_the_rank(self, z, seed):
        weights = np.random.default_rng(seed).dirichlet(np.ones(len(z)))
        _, gap = design.leverages(z, weights)
        assert gap >= -1e-12

    @pytest.mark.parametrize("condition", [1e0, 1e2, 1e4, 1e6, 1e8, 1e10, 1e12])
    @pytest.mark.parametrize("shape", [(100, 16), (60, 8), (400, 12)])
    def test_invertible_maps_change_nothing(self, condition, shape):
        z = gaussian(3, *shape)
        rng = np.random.default_rng(4)
        left, right = (np.linalg.qr(rng.normal(size=(shape[1], shape[1])))[0] for _ in range(2))
        stretched = z @ (left * np.geomspace(1, 1 / condition, shape[1])) @ right
        plain, mapped = design.solve(z), design.solve(stretched, rank_tol=1e-15)
        assert np.abs(plain.weights - mapped.weights).max() <= 1e-9 + 1e-16 * condition
        # The certificate of the rounded pool holds on the pool that was meant.
        assert design.leverages(z, mapped.weights)[1] <= 1e-6 + 1e-16 * condition

    @given(st.integers(0, 10_000), st.integers(2, 12), st.floats(0, 6))
    def test_random_invertible_maps_change_nothing(self, seed, width, power):
        z = gaussian(seed, 5 * width, width)
        rng = np.random.default_rng(seed + 1)
        left, right = (np.linalg.qr(rng.normal(size=(width, width)))[0] for _ in range(2))
        stretched = z @ (left * 10.0 ** -np.linspace(0, power, width)) @ right
        assert np.abs(design.solve(z).weights - design.solve(stretched).weights).max() <= 1e-9 + 10.0 ** (power - 16)

    @given(st.integers(0, 10_000))
    def test_order_and_signs_of_rows_change_nothing(self, seed):
        rng = np.random.default_rng(seed)
        z = gaussian(seed, 40, 5)
        order, signs = rng.permutation(40), rng.choice([-1.0, 1.0], size=(40, 1))
        plain, moved = design.solve(z), design.solve((z * signs)[order])
        assert np.abs(plain.weights[order] - moved.weights).max() <= 1e-9

    @pytest.mark.parametrize("exponent", [-150, -3, 0, 3, 150])
    def test_units_change_nothing(self, exponent):
        z = gaussian(5, 100, 16)
        scaled = design.solve(z * 10.0**exponent)
        assert np.abs(scaled.weights - design.solve(z).weights).max() <= 1e-14

    @given(st.integers(0, 10_000))
    def test_a_row_inside_the_ellipsoid_changes_nothing(self, seed):
        z = gaussian(seed, 30, 4)
        inner = 0.5 * z[:1] + 0.25 * z[1:2]
        plain, wider = design.solve(z, tol=1e-9), design.solve(np.concatenate([z, inner]), tol=1e-9)
        assert wider.weights[-1] <= 1e-7
        assert np.abs(plain.weights - wider.weights[:-1]).max() <= 1e-5
        assert log_det(z, plain.weights) == pytest.approx(log_det(z, wider.weights[:-1]), abs=1e-7)

    def test_equal_calls_give_equal_bits(self):
        z = gaussian(6, 64, 8)
        first, second = design.solve(z), design.solve(z.copy())
        assert first.weights.tobytes() == second.weights.tobytes()
        assert first.gap == second.gap


class TestAgainstCvxpy:
    @pytest.mark.parametrize("solver", CVXPY_SOLVERS)
    @pytest.mark.parametrize("shape", [(20, 8), (30, 3), (12, 10)])
    def test_every_form_agrees_in_log_det_and_leverages(self, solver, shape):
        z = gaussian(7, *shape)
        fast, slow = design.solve(z, tol=1e-8), design.solve(z, solver=solver, tol=1e-5)
        assert slow.solver == solver
        assert slow.certified
        assert log_det(z, fast.weights) == pytest.approx(log_det(z, slow.weights), abs=shape[1] * 1e-5)
        np.testing.assert_allclose(
            design.leverages(z, fast.weights)[0], design.leverages(z, slow.weights)[0], rtol=0, atol=2e-2
        )

    @settings(max_examples=8)
    @given(pools(min_size=6, max_size=24, max_width=4))
    def test_random_pools_agree_in_log_det(self, z):
        fast, slow = design.solve(z, tol=1e-8), design.solve(z, solver="cvxpy-clarabel", tol=1e-4)
        basis = np.linalg.svd(z, full_matrices=False)[2][: fast.rank].T
        assert log_det(z @ basis, fast.weights) == pytest.approx(log_det(z @ basis, slow.weights), abs=1e-3)

    def test_the_minimum_volume_ellipsoid_has_the_same_optimum(self):
        import cvxpy as cp

        z = gaussian(8, 25, 4)
        shape = cp.Variable((4, 4), PSD=True)
        inside = [cp.quad_form(row, shape) <= 4 for row in z]
        problem = cp.Problem(cp.Maximize(cp.log_det(shape)), inside)
        problem.solve(solver="CLARABEL")
        assert problem.value == pytest.approx(-log_det(z, design.solve(z, tol=1e-9).weights), abs=1e-5)

    def test_exchange_agrees(self):
        z = gaussian(9, 50, 6)
        fast, slow = design.solve(z, tol=1e-8), design.solve(z, solver="exchange", tol=1e-8)
        assert slow.certified
        assert log_det(z, fast.weights) == pytest.approx(log_det(z, slow.weights), abs=1e-7)


def polynomial(degree, points):
    return np.polynomial.polynomial.polyvander(np.asarray(points, dtype=float), degree)


def quadratic(points):
    points = np.asarray(points, dtype=float)
    pairs = itertools.combinations_with_replacement(range(points.shape[1]), 2)
    return np.column_stack([np.ones(len(points)), points, *(points[:, i] * points[:, j] for i, j in pairs)])


FEKETE = {  # ±1 and the roots of the derivative of the Legendre polynomial
    1: [],
    2: [0.0],
    3: [-1 / math.sqrt(5), 1 / math.sqrt(5)],
    4: [-math.sqrt(3 / 7), 0.0, math.sqrt(3 / 7)],
    5: [s * math.sqrt((7 + t * 2 * math.sqrt(7)) / 21) for s in (-1, 1) for t in (-1, 1)],
}


@pytest.mark.parametrize("solver", OWN_SOLVERS)
class TestClosedForms:
    def test_a_basis_is_uniform(self, solver):
        assert design.solve(np.eye(5), solver=solver).weights == pytest.approx(np.full(5, 0.2), abs=1e-15)

    def test_independent_rows_are_uniform(self, solver):
        found = design.solve(gaussian(0, 6, 6), solver=solver)
        assert found.weights == pytest.approx(np.full(6, 1 / 6), abs=1e-15)
        assert (found.rank, found.solver) == (6, "closed-form")

    def test_a_basis_and_a_row_inside(self, solver):
        z = np.concatenate([np.eye(5), np.full((1, 5), 0.3)])
        assert design.solve(z, solver=solver, tol=1e-9).weights == pytest.approx([0.2] * 5 + [0], abs=1e-8)

    def test_a_basis_and_a_zero_row(self, solver):
        z = np.concatenate([np.eye(5), np.zeros((1, 5))])
        assert design.solve(z, solver=solver).weights == pytest.approx([0.2] * 5 + [0], abs=1e-15)

    def test_one_candidate(self, solver):
        found = design.solve([[0.0, -3.0, 1.0]], solver=solver)
        assert (found.weights.tolist(), found.rank, found.C) == ([1.0], 1, pytest.approx(1))

    def test_one_dimension_takes_the_longest(self, solver):
        found = design.solve([[1.0], [-3.0], [2.0]], solver=solver, tol=1e-9)
        assert found.weights == pytest.approx([0, 1, 0], abs=1e-8)

    @pytest.mark.parametrize("degree", FEKETE)
    def test_polynomial_regression(self, solver, degree):
        nodes = np.array([-1.0, *FEKETE[degree], 1.0])
        # Leverage is flat at a node: on a finer grid exchange would take long to tell its neighbours from it.
        size = 21 if solver == "exchange" else 201
        grid = np.unique(np.concatenate([np.linspace(-1, 1, size), nodes]).round(12))
        found = design.solve(polynomial(degree, grid), solver=solver, tol=1e-9)
        at_nodes = [found.weights[np.abs(grid - node) <= 1e-9].sum() for node in nodes]
        assert at_nodes == pytest.approx([1 / (degree + 1)] * (degree + 1), abs=1e-4)

    @pytest.mark.parametrize(("degree", "determinant"), [(1, 1.0), (2, 4 / 27), (3, 16 / 3125)])
    def test_determinants_of_polynomial_designs(self, solver, degree, determinant):
        grid = np.array([-1.0, *np.linspace(-0.9, 0.9, 10), *FEKETE[degree], 1.0])
        found = design.solve(polynomial(degree, grid), solver=solver, tol=1e-9)
        assert np.linalg.det(information(polynomial(degree, grid), found.weights)) == pytest.approx(
            determinant, rel=1e-6
        )

    def test_smallest_ellipse_around_four_points(self, solver):
        # Values of MVEE.jl, test/minvol.jl. The weights are not unique: (-1,-1) twice as long is (2,2).
        z = np.array([[-1.0, 1], [-1, -1], [1, -1], [2, 2]])
        found = design.solve(z, solver=solver, tol=1e-9)
        assert information(z, found.weights) == pytest.approx(np.array([[2.5, 1.5], [1.5, 2.5]]), abs=1e-6)

    def test_smallest_ellipse_with_free_centre(self, solver):
        z = np.array([[-1.0, 1], [-1, -1], [1, -1], [2, 2]])
        lifted = np.column_stack([z, np.ones(4)])
        found = design.solve(lifted, solver=solver, tol=1e-9)
        assert found.weights == pytest.approx([0.28125, 0.125, 0.28125, 0.3125], abs=1e-6)
        mean = found.weights @ z
        assert mean == pytest.approx([0.5, 0.5], abs=1e-6)
        covariance = information(z, found.weights) - np.outer(mean, mean)
        assert covariance == pytest.approx(np.array([[1.6875, 0.5625], [0.5625, 1.6875]]), abs=1e-6)

    def test_quadratic_on_three_by_three(self, solver):
        points = list(itertools.product([-1, 0, 1], repeat=2))
        found = design.solve(quadratic(points), solver=solver, tol=1e-10)
        expected = [(0.0961930, 0.0801608, 0.1457914)[abs(x) + abs(y)] for x, y in points]
        assert found.weights == pytest.approx(expected, abs=2e-6)

    def test_quadratic_on_three_cubed_by_number_of_nonzero_coordinates(self, solver):
        points = list(itertools.product([-1, 0, 1], repeat=3))
        z = quadratic(points)
        found = design.solve(z, solver=solver, tol=1e-9)
        orbit = np.abs(points).sum(axis=1)
        expected = np.array([0.01524747, 0.15101096, 0.27317738, 0.56056419])
        symmetric = np.zeros(27)
        for level, total in enumerate(expected):
            symmetric[orbit == level] = total / (orbit == level).sum()
        assert information(z, found.weights) == pytest.approx(information(z, symmetric / symmetric.sum()), abs=1e-5)

    def test_mixture_of_three(self, solver):
        """Scheffé's quadratic model on the simplex {3, 2} with its centroid."""
        points = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5), (1 / 3, 1 / 3, 1 / 3)]
        z = np.array([[a, b, c, a * b, a * c, b * c] for a, b, c in points])
        assert design.solve(z, solver=solver, tol=1e-9).weights == pytest.approx([1 / 6] * 6 + [0], abs=1e-6)

    def test_hypercube_has_the_information_of_uniform_weights(self, solver):
        z = np.array(list(itertools.product([-1.0, 1.0], repeat=5)))
        assert information(z, design.solve(z, solver=solver).weights) == pytest.approx(np.eye(5), abs=1e-5)

    def test_equispaced_trigonometric(self, solver):
        t = np.arange(12) * 2 * np.pi / 12
        z = np.column_stack([np.ones(12), np.cos(t), np.sin(t), np.cos(2 * t), np.sin(2 * t)])
        found = design.solve(z, solver=solver, tol=1e-9)
        assert information(z, found.weights) == pytest.approx(np.diag([1, 0.5, 0.5, 0.5, 0.5]), abs=1e-6)


class TestUniform:
    """Where every row has the same part, the interior point gives each the same weight."""

    @pytest.mark.parametrize("width", [2, 3, 5])
    def test_hypercube(self, width):
        z = np.array(list(itertools.product([-1.0, 1.0], repeat=width)))
        assert design.solve(z).weights == pytest.approx(np.full(2**width, 0.5**width), abs=1e-12)

    @pytest.mark.parametrize(("order", "size"), [(1, 7), (2, 12), (3, 30)])
    def test_equispaced_trigonometric(self, order, size):
        t = np.arange(size) * 2 * np.pi / size
        waves = [f(m * t) for m in range(1, order + 1) for f in (np.cos, np.sin)]
        found = design.solve(np.column_stack([np.ones(size), *waves]))
        assert found.weights == pytest.approx(np.full(size, 1 / size), abs=1e-9)


class TestSupport:
    def test_taking_off_idle_weight_does_no_harm(self):
        """Near an optimum, rows that no optimal design can use may still help: these pools are such."""
        for seed, share in ((35, 1e-5), (406, 1e-4), (726, 3e-5)):
            rng = np.random.default_rng(seed)
            rows = gaussian(seed, int(rng.integers(6, 30)), int(rng.integers(2, 6)))[None]
            best = design.solve(rows[0], tol=1e-9).weights
            for _ in range(20):
                weights = (1 - share) * best + share * rng.dirichlet(np.full(len(best), 0.3))
                before = design.geometry.certificate(rows, weights[None])[0]
                tidy, gap = solve_module._tidy(rows, weights[None].copy(), 1e-9)
                assert gap == pytest.approx(design.geometry.certificate(rows, tidy))
                assert gap[0] <= max(before, 1e-9) * (1 + 1e-9)

    @pytest.mark.parametrize("tol", [1e-6, 1e-9])
    @pytest.mark.parametrize("shape", [(20, 8), (64, 8), (100, 16)])
    def test_only_rows_of_the_optimal_design_keep_weight(self, shape, tol):
        extra = total = 0
        for seed in range(20):
            z = gaussian(seed, *shape)
            found, best = design.solve(z, tol=tol), design.solve(z, solver="interior-point", tol=1e-12)
            total += len(found.support)
            extra += len(set(found.support) - set(np.flatnonzero(best.weights > 1e-7)))
            assert found.weights[found.support].min() > 0.09 * tol / shape[1]
        assert extra <= 0.02 * total  # rows so near the optimum that the tolerance cannot tell


class TestTies:
    def test_copies_share_one_weight_evenly(self):
        z = np.concatenate([np.eye(5), np.eye(5)[:2]])
        assert design.solve(z).weights == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.2, 0.1, 0.1], abs=1e-15)

    def test_opposite_rows_are_copies(self):
        z = np.concatenate([np.eye(3), -np.eye(3)[:1]])
        assert design.solve(z).weights == pytest.approx([1 / 6, 1 / 3, 1 / 3, 1 / 6], abs=1e-15)

    def test_negative_zero_is_zero(self):
        assert design.solve([[1.0, 0.0], [1.0, -0.0], [0.0, 1.0]]).weights == pytest.approx([0.25, 0.25, 0.5])

    @pytest.mark.parametrize("solver", ["auto", "exchange"])
    def test_five_copies_of_everything(self, solver):
        z = gaussian(10, 100, 16)
        once, five = design.solve(z, solver=solver), design.solve(np.tile(z, (5, 1)), solver=solver)
        folded = five.weights.reshape(5, 100)
        assert np.ptp(folded, axis=0).max() == 0
        assert log_det(z, folded.sum(axis=0)) == pytest.approx(log_det(z, once.weights), abs=16 * 1e-6)
        assert np.abs(folded.sum(axis=0) - once.weights).max() <= 1e-3

    def test_symmetric_candidates_get_equal_weights(self):
        z = np.array(list(itertools.product([-1.0, 1.0], repeat=5)))
        assert np.ptp(design.solve(z).weights) <= 1e-12

    @given(pools(max_size=40, max_width=4))
    def test_thinning_keeps_the_information(self, z):
        found = design.solve(z, tol=1e-8)
        thin = design.thin(z, found)
        rank = found.rank
        assert len(thin.support) <= rank * (rank + 1) // 2
        assert thin.gap <= found.gap + 1e-9
        assert set(thin.support) <= set(found.support)
        np.testing.assert_allclose(
            information(z, thin.weights), information(z, found.weights), atol=1e-6 * np.square(z).max()
        )

    def test_thinning_a_design_of_another_pool(self):
        z = gaussian(20, 12, 3)
        with pytest.raises(DesignError, match="expected 8 finite non-negative weights"):
            design.thin(z[:8], design.solve(z))

    def test_thinning_a_hypercube(self):
        z = np.array(list(itertools.product([-1.0, 1.0], repeat=5)))
        thin = design.thin(z, design.solve(z))
        assert len(thin.support) <= 15
        assert thin.certified


class TestDegeneratePools:
    def test_a_design_without_information_warns(self):
        with pytest.warns(design.UninformativeDesignWarning, match="project the features"):
            found = design.solve(gaussian(0, 10, 768))
        assert found.weights == pytest.approx(np.full(10, 0.1), abs=1e-15)
        assert found.certified

    @pytest.mark.filterwarnings("error")
    def test_a_design_with_information_does_not(self):
        assert design.solve(gaussian(0, 11, 10)).rank == 10

    @pytest.mark.filterwarnings("error")
    def test_one_candidate_is_no_cause_for_a_warning(self):
        assert design.solve([[1.0, 2.0]]).weights.tolist() == [1.0]

    def test_fewer_candidates_than_dimensions(self):
        found = design.solve(gaussian(1, 5, 16))
        assert (found.rank, found.weights.tolist()) == (5, pytest.approx([0.2] * 5))

    def test_all_rows_the_same(self):
        found = design.solve(np.ones((7, 4)))
        assert (found.rank, found.weights.tolist()) == (1, pytest.approx([1 / 7] * 7))

    def test_zero_rows_get_nothing(self):
        z = np.concatenate([gaussian(2, 30, 5), np.zeros((3, 5))])
        found = design.solve(z)
        assert found.certified
        assert not found.weights[-3:].any()

    def test_rank_deficient_pool_equals_its_projection(self):
        low = gaussian(3, 40, 4)
        lifted = low @ gaussian(4, 4, 12)
        assert design.solve(lifted).rank == 4
        assert np.abs(design.solve(lifted).weights - design.solve(low).weights).max() <= 1e-9

    def test_directions_below_the_tolerance_are_dropped(self):
        z = gaussian(5, 40, 4) * [1, 1, 1, 1e-9]
        assert design.solve(z).rank == 3
        assert design.solve(z, rank_tol=1e-12).rank == 4

    def test_a_lost_direction_that_no_diagonal_shows(self):
        """The R factor of this pool has ones on its diagonal, and a singular value of 1e-12."""
        z = np.eye(40) - np.triu(np.ones((40, 40)), 1)
        assert design.solve(z).rank == 39
        assert design.solve(z, rank_tol=1e-14).rank == 40

    def test_nearly_equal_rows(self):
        z = gaussian(6, 100, 16)
        found = design.solve(np.concatenate([z, z + 1e-9 * gaussian(7, 100, 16)]))
        assert found.certified
        folded = found.weights.reshape(2, 100).sum(axis=0)
        assert log_det(z, folded) == pytest.approx(log_det(z, design.solve(z).weights), abs=1e-4)

    def test_uneven_lengths(self):
        z = gaussian(8, 100, 16) * 10.0 ** np.random.default_rng(8).uniform(-8, 0, size=(100, 1))
        assert design.solve(z).certified

    def test_heavy_tails(self):
        assert design.solve(np.random.default_rng(9).standard_t(1.2, size=(500, 20))).certified

    def test_unit_rows_off_centre(self):
        z = gaussian(10, 300, 24) + 2
        assert design.solve(z, normalise=True).certified

    def test_large_pool(self):
        found = design.solve(gaussian(11, 1000, 20))
        assert found.certified
        assert found.fallback == ()

    @pytest.mark.parametrize("solver", ["auto", "interior-point", "exchange", *CVXPY_SOLVERS])
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_numbers_that_are_not_finite(self, bad, solver):
        z = gaussian(0, 5, 2)
        z[3, 1] = bad
        with pytest.raises(ValueError, match=r"finite features, got (nan|-?inf) in row 3"):
            design.solve(z, solver=solver)

    def test_a_hundred_candidates_in_768_dimensions(self):
        assert design.solve(gaussian(0, 100, 768)).weights == pytest.approx(np.full(100, 0.01), abs=1e-15)

    @pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (4,), (2, 3, 4), ()])
    def test_wrong_shapes(self, shape):
        with pytest.raises(DesignError, match=r"\[K, n\]"):
            design.solve(np.ones(shape))

    @pytest.mark.parametrize("bad", [[["a", "b"]], [[1, 2], [3]], [[1j, 2]], None, [[None, 1.0]]])
    def test_wrong_kinds(self, bad):
        with pytest.raises(DesignError, match="real numbers"):
            design.solve(bad)

    def test_all_zero(self):
        with pytest.raises(DesignError, match="all 4 feature rows are zero"):
            design.solve(np.zeros((4, 3)))

    def test_errors_are_value_errors(self):
        with pytest.raises(ValueError, match="zero"):
            design.solve(np.zeros((4, 3)))

    @pytest.mark.parametrize("options", [{"tol": 0}, {"tol": -1}, {"tol": math.nan}, {"rank_tol": 2}, {"solver": "x"}])
    def test_wrong_options(self, options):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            design.solve(np.eye(3), **options)

    def test_any_real_dtype_and_memory_order(self):
        z = np.random.default_rng(0).integers(-9, 10, size=(30, 4))
        plain = design.solve(z.astype(float))
        frozen = z.astype(float)
        frozen.flags.writeable = False
        for other in (z, z.tolist(), z.astype(np.float32), z.astype(np.int8), np.asfortranarray(z), z[::1], frozen):
            assert np.array_equal(design.solve(other).weights, plain.weights)

    def test_the_input_is_left_alone(self):
        z = gaussian(0, 30, 4)
        before = z.copy()
        design.solve(z, normalise=True)
        assert np.array_equal(z, before)


class TestNormalise:
    def test_lengths_do_not_matter(self):
        z = gaussian(12, 50, 6)
        lengths = np.random.default_rng(13).uniform(0.01, 100, size=(50, 1))
        plain, stretched = design.solve(z, normalise=True), design.solve(z * lengths, normalise=True)
        assert np.abs(plain.weights - stretched.weights).max() <= 1e-9
        assert np.abs(plain.weights - design.solve(z).weights).max() > 1e-3

    def test_zero_rows_stay_zero(self):
        found = design.solve(np.concatenate([gaussian(14, 20, 3), np.zeros((1, 3))]), normalise=True)
        assert found.weights[-1] == 0

    def test_tiny_and_huge_rows(self):
        z = gaussian(15, 20, 3)
        far = z * 10.0 ** np.random.default_rng(15).uniform(-200, 200, size=(20, 1))
        assert design.solve(far, normalise=True).weights == pytest.approx(
            design.solve(z, normalise=True).weights, abs=1e-9
        )


class TestProject:
    def test_a_projection_gives_the_design_a_choice(self):
        z = gaussian(16, 40, 768)
        low = design.project(z, 10)
        assert low.shape == (40, 10)
        assert np.ptp(design.solve(low).weights) > 1e-3

    def test_leading_directions_are_kept(self):
        z = gaussian(17, 40, 3) @ gaussian(18, 3, 20)
        low = design.project(z, 3)
        np.testing.assert_allclose(low @ low.T, z @ z.T, atol=1e-9 * np.square(z).sum())

    def test_random_projection_follows_its_generator(self):
        z = gaussian(19, 40, 20)
        one, same, other = (design.project(z, 5, rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)

    @pytest.mark.parametrize("dimensions", [0, 4, 2.5, "2"])
    def test_dimensions_out_of_range(self, dimensions):
        with pytest.raises(ConfigurationError, match=r"1\.\.3"):
            design.project(np.eye(3), dimensions)


class TestRidge:
    @settings(max_examples=5)
    @given(st.integers(0, 1000))
    def test_certificate(self, seed):
        z = gaussian(seed, 25, 6)[:, :3] @ gaussian(seed + 1, 3, 6)
        found = design.solve_ridge(z, 0.1, tol=1e-5)
        assert found.certified
        weights, penalty = found.weights, 0.1 * np.square(z).mean()
        inverse = np.linalg.inv(information(z, weights) + penalty * np.eye(6))
        g = np.einsum("ki,ij,kj->k", z, inverse, z)
        effective = 6 - penalty * np.trace(inverse)
        assert g.max() / effective - 1 == pytest.approx(found.gap, abs=1e-8)
        assert weights @ g == pytest.approx(effective)

    def test_short_directions_are_left_alone(self):
        z = np.concatenate([np.eye(4), 0.9 * np.eye(4), 1e-4 * np.eye(4)[:1]])
        z[:, 3] *= 1e-3
        g_weights = design.solve(z).weights
        ridge_weights = design.solve_ridge(z, 0.01).weights
        assert g_weights[3] == pytest.approx(0.25, abs=1e-6)
        assert ridge_weights[3] < 0.01

    def test_scale_of_the_pool_does_not_matter(self):
        z = gaussian(20, 30, 4)
        assert design.solve_ridge(z).weights == pytest.approx(design.solve_ridge(z * 1e100).weights, abs=1e-9)

    def test_penalty_must_be_positive(self):
        with pytest.raises(ConfigurationError, match="penalty"):
            design.solve_ridge(np.eye(3), 0.0)


def broken(*_args, **_kwargs):
    raise np.linalg.LinAlgError("broken")


def uniform(rows, _tol, **_kwargs):
    weights = np.full(rows.shape[:-1], 1 / rows.shape[-2]).reshape(-1, rows.shape[-2])
    return solvers.Iterate(weights, np.zeros(len(weights)), np.ones(len(weights), dtype=int))


class TestFallback:
    @pytest.mark.parametrize("failure", [broken, uniform])
    def test_exchange_follows_the_interior_point(self, monkeypatch, failure):
        monkeypatch.setattr(solvers, "working_set", failure)
        found = design.solve(gaussian(0, 30, 4))
        assert (found.solver, found.fallback, found.certified) == ("exchange", ("interior-point",), True)

    @pytest.mark.parametrize("failure", [broken, uniform])
    def test_cvxpy_follows_exchange(self, monkeypatch, failure):
        monkeypatch.setattr(solvers, "working_set", failure)
        monkeypatch.setattr(solvers, "exchange", failure)
        found = design.solve(gaussian(0, 30, 4))
        assert (found.solver, found.fallback, found.certified) == ("cvxpy", ("interior-point", "exchange"), True)

    def test_the_best_iterate_is_flagged(self, monkeypatch):

        monkeypatch.setattr(solvers, "working_set", broken)
        monkeypatch.setattr(solvers, "exchange", uniform)
        monkeypatch.setattr(conic, "conic", broken)
        z = gaussian(0, 30, 4)
        found = design.solve(z)
        assert not found.certified
        assert found.solver == "exchange"
        assert found.gap == pytest.approx(design.leverages(z, found.weights)[1])
        assert 0.1 < found.gap <= design.leverages(z, np.ones(30))[1]

    @pytest.mark.parametrize("ignored", [0, 11, 23])
    def test_a_row_that_a_solver_passed_over_is_noticed(self, monkeypatch, ignored):
        """The solver is right about all rows but one, says so, and is not believed."""
        z = gaussian(0, 24, 4)
        z[ignored] *= 10
        weights = np.insert(design.solve(np.delete(z, ignored, axis=0)).weights, ignored, 0.0)[None]
        claim = solvers.Iterate(weights, np.zeros(1), np.ones(1, dtype=int))
        monkeypatch.setattr(solvers, "working_set", lambda rows, tol: claim)
        found = design.solve(z, solver="interior-point")
        assert not found.certified
        assert found.gap == pytest.approx(design.leverages(z, weights[0])[1])
        assert design.solve(z).solver == "exchange"

    def test_the_last_resort_is_uniform_and_flagged(self, monkeypatch):

        monkeypatch.setattr(solvers, "working_set", broken)
        monkeypatch.setattr(solvers, "exchange", broken)
        monkeypatch.setattr(conic, "conic", broken)
        found = design.solve(gaussian(0, 30, 4))
        assert (found.solver, found.certified) == ("uniform", False)

    def test_a_solver_asked_for_by_name_raises(self, monkeypatch):
        monkeypatch.setattr(solvers, "exchange", broken)
        with pytest.raises(DesignError, match="exchange"):
            design.solve(gaussian(0, 30, 4), solver="exchange")

    def test_a_tolerance_out_of_reach_is_flagged(self):
        found = design.solve(gaussian(0, 30, 4), solver="interior-point", tol=1e-16)
        assert found.certified == (found.gap <= 1e-16)
        assert found.gap <= 1e-12


class TestWorkingSet:
    @pytest.mark.parametrize("shape", [(100, 8), (300, 12)])
    def test_rows_that_were_left_out_come_back(self, monkeypatch, shape):
        """With a threshold that no row reaches, the first working set is far too small."""
        z = gaussian(2, *shape)
        plain = design.solve(z, tol=1e-8)
        monkeypatch.setattr(solvers, "_NEAR", (0.0, 10.0, 10.0))
        found = design.solve(z, tol=1e-8)
        assert (found.certified, found.solver) == (True, "interior-point")
        assert found.fallback == ()
        assert log_det(z, found.weights) == pytest.approx(log_det(z, plain.weights), abs=1e-7)

    def test_large_stacks_are_solved_in_parts(self, monkeypatch):
        pools = np.random.default_rng(3).normal(size=(7, 40, 5))
        whole = design.solve_batch(pools)
        monkeypatch.setattr(solve_module, "_ENTRIES", 2 * 40**2)
        for one, other in zip(whole, design.solve_batch(pools), strict=True):
            assert one.weights.tobytes() == other.weights.tobytes()


class TestRemovable:
    @given(st.integers(0, 10_000), st.sampled_from([0.5, 0.1, 1e-2, 1e-4]))
    def test_no_support_row_is_removed(self, seed, tol):
        z = gaussian(seed, 60, 5)
        rough, fine = design.solve(z, solver="exchange", tol=tol), design.solve(z, tol=1e-10)
        out = solvers.removable(design.leverages(z, rough.weights)[0], 5)
        assert not (out & (fine.weights > 1e-5)).any()

    def test_most_rows_are_removed_near_the_optimum(self):
        z = gaussian(1, 60, 5)
        found = design.solve(z, tol=1e-8)
        out = solvers.removable(design.leverages(z, found.weights)[0], 5)
        assert out.sum() >= 40
