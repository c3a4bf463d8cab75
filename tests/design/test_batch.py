"""Batches: the bits of a pool's result do not depend on the rest of the batch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from eagle_gym import design
from eagle_gym.design import solvers
from eagle_gym.errors import DesignError

pytestmark = pytest.mark.filterwarnings("ignore::eagle_gym.design.UninformativeDesignWarning")


def gaussian(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def mixed_pools():
    """Ragged pools of several ranks, with copies, zeros, ties and uneven lengths among them."""
    rng = np.random.default_rng(0)
    pools = [rng.normal(size=(int(rng.integers(9, 65)), 8)) for _ in range(20)]
    pools.append(np.concatenate([pools[0], -pools[0][:5], np.zeros((3, 8))]))
    pools.append(pools[1][:, :3] @ rng.normal(size=(3, 8)))
    pools.append(np.eye(8))
    pools.append(np.sign(rng.normal(size=(64, 8))))
    pools.append(pools[2] * 10.0 ** rng.uniform(-8, 0, size=(len(pools[2]), 1)))
    pools.append(pools[3] * 1e-150)
    pools.append(np.ones((4, 8)))
    pools.append(rng.normal(size=(400, 8)))
    return pools


def assert_same_bits(one, other):
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert type(a) is type(b)
        assert (a.tobytes() == b.tobytes()) if isinstance(a, np.ndarray) else a == b, field.name


class TestSameBits:
    def test_solve(self):
        pools = mixed_pools()
        for pool, found in zip(pools, design.solve_batch(pools), strict=True):
            assert_same_bits(found, design.solve(pool))

    @pytest.mark.parametrize("k", [1, 4, 8, 16, 40])
    def test_select(self, k):
        pools = mixed_pools()
        for pool, found in zip(pools, design.select_batch(pools, k), strict=True):
            assert_same_bits(found, design.select(pool, k))

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
    def test_size_and_order_of_the_batch(self, size):
        pools = gaussian(1, 64, 64, 8)
        whole = design.select_batch(pools, 16)
        order = np.random.default_rng(size).permutation(64)[:size]
        for b, found in zip(order, design.select_batch(pools[order], 16), strict=True):
            assert_same_bits(found, whole[b])

    def test_memory_layout(self):
        pools = gaussian(2, 6, 30, 5)
        views = np.asfortranarray(pools)
        for found, other in zip(design.solve_batch(pools), design.solve_batch(views), strict=True):
            assert_same_bits(found, other)

    def test_one_pool_that_breaks_does_not_touch_the_others(self, monkeypatch):
        pools = gaussian(3, 8, 40, 5)
        whole = design.solve_batch(pools)
        works = solvers.working_set

        def fails_on_the_third(rows, tol):
            if any(np.array_equal(row, marked) for row in rows):
                raise np.linalg.LinAlgError("not positive definite")
            return works(rows, tol)

        marked = design.geometry.prepare([pools[2]], 1e-8)[0].rows[0]
        monkeypatch.setattr(solvers, "working_set", fails_on_the_third)
        for b, found in enumerate(design.solve_batch(pools)):
            if b == 2:
                assert (found.solver, found.certified) == ("exchange", True)
            else:
                assert_same_bits(found, whole[b])


class TestInputs:
    def test_arrays_and_sequences(self):
        pools = gaussian(4, 3, 20, 4)
        for given in (pools, list(pools), tuple(pools.tolist()), pools.astype(np.float32).astype(float)):
            assert len(design.solve_batch(given)) == 3

    def test_empty_batch(self):
        assert design.solve_batch(np.zeros((0, 5, 2))) == []
        assert design.select_batch([], 3) == []

    def test_order_is_kept(self):
        pools = mixed_pools()
        assert [len(found.weights) for found in design.solve_batch(pools)] == [len(pool) for pool in pools]

    def test_the_error_names_the_pool(self):
        pools = gaussian(5, 3, 6, 2)
        pools[1] = 0
        with pytest.raises(DesignError, match="pool 1"):
            design.solve_batch(pools)
        pools[1, 2, 0] = np.nan
        with pytest.raises(DesignError, match=r"pool 1: .*row 2"):
            design.select_batch(pools, 2)

    @pytest.mark.parametrize("bad", [np.eye(3), 3, None])
    def test_wrong_shapes(self, bad):
        with pytest.raises(DesignError, match=r"\[B, K, n\]"):
            design.solve_batch(bad)

    def test_one_width(self):
        with pytest.raises(DesignError, match="one width"):
            design.solve_batch([np.eye(3), np.eye(4)])

    @pytest.mark.parametrize("solver", ["exchange", "cvxpy-clarabel"])
    def test_any_solver(self, solver):
        for found in design.solve_batch(gaussian(6, 2, 15, 3), solver=solver, tol=1e-4):
            assert (found.solver, found.certified) == (solver, True)
