"""Selections: what is offered, with which weights, and what is proved of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym import design
from eagle_gym.design import conic, solvers, subset
from eagle_gym.errors import ConfigurationError, DesignError

pytestmark = pytest.mark.filterwarnings("ignore::eagle_gym.design.UninformativeDesignWarning")


def gaussian(seed, size, width):
    return np.random.default_rng(seed).normal(size=(size, width))


def largest_leverage(z, indices, weights):
    """C by its definition, on rows of full column rank."""
    information = (z[indices].T * weights) @ z[indices]
    return np.einsum("ki,ij,kj->k", z, np.linalg.inv(information), z).max() / z.shape[1]


@st.composite
def pools_and_k(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, width = draw(st.integers(2, 70)), draw(st.integers(1, 9))
    z = rng.normal(size=(size, width))
    kind = draw(st.sampled_from(["gauss", "cluster", "whole", "heavy"]))
    if kind == "cluster":
        z = rng.normal(size=(5, width))[rng.integers(5, size=size)] + 0.1 * z
    elif kind == "whole":
        z = rng.integers(-1, 2, size=(size, width)).astype(float)
    elif kind == "heavy":
        z = rng.standard_t(1.5, size=(size, width))
    z[0, 0] += not z.any()
    return z, draw(st.integers(1, size))


class TestInvariants:
    @given(pools_and_k())
    def test_k_distinct_rows_and_a_distribution(self, drawn):
        z, k = drawn
        found = design.select(z, k)
        assert len(found.indices) == k
        assert (np.diff(found.indices) > 0).all()
        assert 0 <= found.indices[0] <= found.indices[-1] < len(z)
        assert found.weights.shape == (k,)
        assert found.weights.min() >= 0
        assert found.weights.sum() == pytest.approx(1, abs=1e-12)
        assert found.rank == np.linalg.matrix_rank(z, rtol=1e-8)

    @given(pools_and_k())
    def test_C_is_over_the_whole_pool_and_within_the_proved_bound(self, drawn):
        z, k = drawn
        found = design.select(z, k)
        full = np.zeros(len(z))
        full[found.indices] = found.weights
        assert pytest.approx(1 + design.leverages(z, full)[1], rel=1e-9) == found.C
        assert 1 - 1e-12 <= found.C <= found.bound * (1 + 1e-6)
        assert math.isinf(found.C) == (k < found.rank) == (found.method == "pivoted")
        assert (found.ridge_gap is None) == (found.method != "pivoted")

    @given(st.integers(0, 10_000), st.integers(2, 8))
    def test_twice_the_rank_covers_within_two(self, seed, width):
        found = design.select(gaussian(seed, 50, width), 2 * width)
        assert found.bound == 2
        assert found.C <= 2

    @given(st.integers(0, 10_000))
    def test_uniform_weights_obey_the_bound_where_swaps_have_converged(self, seed):
        z = gaussian(seed, 40, 5)
        rank_first = subset.pivoted(z[None], 5)
        chosen = subset.fill(z[None], rank_first, np.array([8]), np.zeros((1, 40)))
        better = subset.improve(z[None], chosen)[0]
        assert largest_leverage(z, np.flatnonzero(better), np.full(8, 1 / 8)) <= subset.bound(8, 5) + 1e-7
        before, after = (np.linalg.slogdet(z[s].T @ z[s])[1] for s in (chosen[0], better))
        assert after >= before - 1e-12

    @given(st.integers(0, 10_000))
    def test_no_swap_is_left_that_helps(self, seed):
        z = gaussian(seed, 150, 4)
        found = design.select(z, 7)
        if found.method != "exchange":  # an optimal design on seven rows is rare
            return
        others = np.setdiff1d(np.arange(150), found.indices)
        swapped = np.array([[*np.delete(found.indices, i), j] for i in range(7) for j in others])
        volumes = np.linalg.det(z[swapped].swapaxes(-1, -2) @ z[swapped])
        assert volumes.max() <= np.linalg.det(z[found.indices].T @ z[found.indices]) * (1 + 1e-8)

    @given(st.integers(0, 10_000))
    def test_weights_are_no_worse_than_uniform(self, seed):
        z = gaussian(seed, 60, 6)
        found = design.select(z, 9)
        assert largest_leverage(z, found.indices, np.full(9, 1 / 9)) + 1e-9 >= found.C

    def test_invertible_maps_change_nothing(self):
        z, turn = gaussian(0, 64, 8), gaussian(1, 8, 8)
        plain, mapped = design.select(z, 16), design.select(z @ turn, 16)
        assert np.array_equal(plain.indices, mapped.indices)
        assert np.abs(plain.weights - mapped.weights).max() <= 1e-9


class TestCases:
    def test_an_optimal_support_that_fits_is_taken_and_filled(self):
        z = np.concatenate([np.eye(4), 0.5 * gaussian(0, 30, 4) / 3])
        found = design.select(z, 6)
        assert found.method == "support"
        assert set(range(4)) <= set(found.indices)
        assert pytest.approx(1, abs=1e-6) == found.C
        assert found.weights[:4] == pytest.approx([0.25] * 4, abs=1e-6)
        assert found.weights[4:].tolist() == [0, 0]

    @given(st.integers(0, 10_000))
    def test_a_support_of_just_k_rows_is_taken(self, seed):
        z = gaussian(seed, 20, 8)
        support = design.solve(z).support
        found = design.select(z, len(support))
        assert np.array_equal(found.indices, support)
        assert found.C <= 1 + 1e-6

    def test_polynomial_regression_offers_its_nodes(self):
        grid = np.linspace(-1, 1, 41)
        found = design.select(np.polynomial.polynomial.polyvander(grid, 2), 3)
        assert grid[found.indices] == pytest.approx([-1, 0, 1])
        assert found.weights == pytest.approx([1 / 3] * 3, abs=1e-6)

    def test_top_weights_near_the_rank_would_be_far_worse(self):
        z = gaussian(1, 300, 20)
        top = np.sort(np.argsort(-design.solve(z).weights)[:20])
        assert design.select(z, 20).C < 0.5 * design.coverage(z, top).C

    def test_a_support_without_certificate_is_not_taken(self, monkeypatch):
        """Every solver claims that the first rows, which hardly span, are optimal; the bound holds all the same."""

        z = np.concatenate([1e-3 * np.eye(4), gaussian(3, 40, 4)])

        def claim(rows, tol, **_):
            weights = np.zeros_like(np.atleast_2d(rows[..., 0]))
            weights[:, :4] = 0.25
            return solvers.Iterate(weights, np.zeros(len(weights)), np.ones(len(weights), dtype=int))

        whole = solvers.working_set
        monkeypatch.setattr(
            solvers, "working_set", lambda rows, tol: claim(rows, tol) if rows.shape[1] > 8 else whole(rows, tol)
        )
        monkeypatch.setattr(solvers, "exchange", claim)
        monkeypatch.setattr(conic, "conic", claim)
        assert not design.solve(z).certified
        found = design.select(z, 8)
        assert found.method == "exchange"
        assert found.gap > 1
        assert found.C <= found.bound == 2
        few, many = design.select_batch([z[:20], z[:24]], 22)  # one stack; the first offers all its rows
        assert (len(few.indices), len(many.indices)) == (20, 22)
        assert few.bound >= few.C
        assert many.bound >= many.C

    def test_below_the_rank_energy_is_reported(self):
        z = gaussian(2, 40, 6) * [10, 5, 1, 1, 1, 1]
        found = design.select(z, 2)
        assert (found.method, found.rank, found.C, found.bound) == ("pivoted", 6, math.inf, math.inf)
        assert found.weights.tolist() == [0.5, 0.5]
        basis = np.linalg.qr(z[found.indices].T)[0]
        assert found.energy == pytest.approx(np.square(z @ basis).sum() / np.square(z).sum())
        assert 0.5 < found.energy < 1
        assert found.ridge_gap is not None
        assert math.isfinite(found.ridge_gap)
        assert found.ridge_gap > 0

    def test_below_the_rank_the_longest_row_comes_first(self):
        z = gaussian(3, 30, 5)
        assert design.select(z, 1).indices.tolist() == [np.linalg.norm(z, axis=1).argmax()]

    def test_above_the_rank_all_energy_is_captured(self):
        assert design.select(gaussian(3, 30, 5), 5).energy == pytest.approx(1, abs=1e-12)

    def test_the_whole_pool(self):
        found = design.select(gaussian(4, 10, 3), 10)
        assert found.indices.tolist() == list(range(10))
        assert pytest.approx(1, abs=1e-6) == found.C

    def test_a_pool_with_fewer_rows_offers_them_all(self):
        found = design.select(gaussian(5, 10, 3), 16)
        assert found.indices.tolist() == list(range(10))
        assert found.weights.sum() == pytest.approx(1)

    def test_copies_come_before_zero_rows_and_after_all_else(self):
        z = np.concatenate([np.zeros((2, 3)), np.eye(3), -np.eye(3)[:1], 0.1 * np.ones((1, 3))])
        assert design.select(z, 4).indices.tolist() == [2, 3, 4, 6]
        assert design.select(z, 5).indices.tolist() == [2, 3, 4, 5, 6]
        assert design.select(z, 6).indices.tolist() == [0, 2, 3, 4, 5, 6]

    def test_lengths(self):
        z = np.concatenate([4 * np.eye(3), np.full((3, 3), 0.1)]) * 1e120
        found = design.select(z, 3)
        assert found.mean_length == pytest.approx(4e120)
        assert found.pool_mean_length == pytest.approx((4 + 0.1 * math.sqrt(3)) / 2 * 1e120)

    def test_normalise_chooses_by_direction_and_reports_lengths_as_given(self):
        z = gaussian(6, 60, 4)
        z[:30] *= 20
        plain, turned = design.select(z, 8), design.select(z, 8, normalise=True)
        assert (plain.indices < 30).all()
        assert (turned.indices >= 30).any()
        assert turned.mean_length == pytest.approx(np.linalg.norm(z[turned.indices], axis=1).mean())
        assert turned.pool_mean_length == pytest.approx(plain.pool_mean_length)
        assert turned.mean_length < plain.mean_length

    @pytest.mark.parametrize("k", [0, -1, 2.0, None])
    def test_k_must_be_positive(self, k):
        with pytest.raises(ConfigurationError, match="at least 1"):
            design.select(np.eye(3), k)

    def test_bad_features(self):
        with pytest.raises(DesignError, match="zero"):
            design.select(np.zeros((3, 2)), 2)


class TestBound:
    @pytest.mark.parametrize(("k", "rank", "expected"), [(8, 8, 8), (16, 8, 2), (9, 8, 4.5), (24, 8, 3), (1, 1, 1)])
    def test_values(self, k, rank, expected):
        assert subset.bound(k, rank) == expected

    def test_none_below_the_rank(self):
        assert subset.bound(7, 8) == math.inf


class TestCoverage:
    def test_C_of_uniform_weights_on_the_set(self):
        z = gaussian(7, 40, 4)
        chosen = [0, 3, 5, 9, 11, 30]
        assert pytest.approx(largest_leverage(z, chosen, np.full(6, 1 / 6))) == design.coverage(z, chosen).C

    def test_a_row_named_twice_counts_twice(self):
        z = gaussian(8, 20, 3)
        weights = np.array([0.4, 0.2, 0.2, 0.2])
        assert pytest.approx(largest_leverage(z, [0, 1, 2, 3], weights)) == design.coverage(z, [0, 0, 1, 2, 3]).C

    def test_poor_coverage(self):
        z = np.concatenate([np.eye(3), -2 * np.eye(3)])
        found = design.coverage(z, [0, 1])
        assert math.inf == found.C
        assert found.energy == pytest.approx(2 / 3)

    def test_bias_is_alignment_with_the_mean_of_the_pool(self):
        z = np.array([[3.0, 1], [3, -1], [3, 0], [-1, 1], [-1, -1]])
        biased, balanced = design.coverage(z, [0, 1, 2]), design.coverage(z, [0, 1, 3, 4])
        assert biased.alignment == pytest.approx((2 * 3 / math.sqrt(10) + 1) / 3)
        assert balanced.alignment == pytest.approx((2 * 3 / math.sqrt(10) - 2 / math.sqrt(2)) / 4)
        assert biased.alignment > balanced.alignment

    def test_crowding_knows_axes_not_signs_nor_lengths(self):
        z = np.array([[3.0, 0], [-1, 0], [2, 0], [0, 5]])
        assert design.coverage(z, [0, 1]).crowding == pytest.approx(3 / 4)
        assert design.coverage(z, [3]).crowding == pytest.approx(1 / 4)
        assert design.coverage(z, [0, 3]).crowding == pytest.approx(1 / 2)
        assert design.coverage(z * [[7], [1], [-2], [0.1]], [0, 1]).crowding == pytest.approx(3 / 4)

    def test_no_mean_no_alignment(self):
        assert design.coverage(np.concatenate([np.eye(3), -np.eye(3)]), [0, 1]).alignment == 0

    def test_zero_rows_have_no_direction(self):
        z = np.array([[1.0, 0], [0, 1], [0, 0]])
        assert design.coverage(z, [0, 2]).alignment == pytest.approx(1 / math.sqrt(2) / 2)
        assert design.coverage(z, [2]).energy == 0
        assert design.coverage(z, [2]).crowding == 0
        assert design.coverage(z, [0, 2]).crowding == pytest.approx(1 / 2)

    def test_lengths(self):
        found = design.coverage([[3.0, 4], [0, 1], [0, 0]], [0, 1])
        assert (found.mean_length, found.pool_mean_length) == (pytest.approx(3), pytest.approx(2))

    @pytest.mark.parametrize("exponent", [-150, 150])
    def test_units_scale_lengths_alone(self, exponent):
        z = gaussian(9, 30, 4)
        plain, scaled = design.coverage(z, [1, 2, 3, 4, 5]), design.coverage(z * 10.0**exponent, [1, 2, 3, 4, 5])
        assert pytest.approx(plain.C) == scaled.C
        assert scaled.energy == pytest.approx(plain.energy)
        assert scaled.alignment == pytest.approx(plain.alignment)
        assert scaled.crowding == pytest.approx(plain.crowding)
        assert scaled.mean_length == pytest.approx(plain.mean_length * 10.0**exponent)

    @pytest.mark.parametrize("indices", [[], [0.5], [[0, 1]], [-1], [3]])
    def test_bad_indices(self, indices):
        with pytest.raises(DesignError, match="indices"):
            design.coverage(np.eye(3), indices)


class TestLeverages:
    def test_by_definition(self):
        z = gaussian(10, 12, 3)
        weights = np.random.default_rng(11).dirichlet(np.ones(12))
        inverse = np.linalg.inv((z.T * weights) @ z)
        g, gap = design.leverages(z, weights)
        np.testing.assert_allclose(g, np.einsum("ki,ij,kj->k", z, inverse, z), rtol=1e-9)
        assert gap == pytest.approx(g.max() / 3 - 1)

    def test_rows_without_weight_count(self):
        """A certificate over only the support would call this design optimal."""
        z = np.array([[1.0, 0], [0, 1], [3, 3]])
        g, gap = design.leverages(z, [0.5, 0.5, 0])
        assert g == pytest.approx([2, 2, 36])
        assert gap == pytest.approx(17)

    def test_copies_count_as_what_they_are(self):
        z = np.array([[1.0, 0], [-1, 0], [0, 1], [0, 0]])
        g, gap = design.leverages(z, [0, 0.5, 0.5, 0])
        assert g == pytest.approx([2, 2, 2, 0])
        assert gap == pytest.approx(0, abs=1e-12)

    def test_weights_that_do_not_span(self):
        g, gap = design.leverages(np.eye(3), [1, 1, 0])
        assert gap == math.inf
        assert np.isinf(g).all()

    def test_weights_are_normalised(self):
        z = gaussian(12, 9, 2)
        assert design.leverages(z, np.full(9, 7.0))[1] == pytest.approx(design.leverages(z, np.full(9, 1 / 9))[1])

    @pytest.mark.parametrize("weights", [[1, 1], [1, -1, 1], [0, 0, 0], [1, math.nan, 1], [[1, 1, 1]], "abc"])
    def test_bad_weights(self, weights):
        with pytest.raises(DesignError, match="weights"):
            design.leverages(np.eye(3), weights)
