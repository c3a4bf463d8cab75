"""Mutation of the certificate and of the rank: each change, however small, is caught by a test.

A mutant is made from the function's own source and put in its place; a few tests of this folder then run on it. The
list is written by hand, so that each mutant is a plausible mistake. A line that has changed fails here: rethink its
mutants.
"""

from __future__ import annotations

import inspect
import itertools
import textwrap
from collections.abc import Callable
from functools import partial
from importlib import import_module

import pytest

from eagle_gym.design import geometry
from tests.design import test_select as selecting
from tests.design import test_solve as solving

solve = import_module("eagle_gym.design.solve")  # the package's attribute of that name is the function

pytestmark = pytest.mark.filterwarnings("ignore::eagle_gym.design.UninformativeDesignWarning")

MUTANTS = [
    # what is compared with the rank
    (geometry, "certificate", ".max(axis=-1)", ".mean(axis=-1)"),
    (geometry, "certificate", ".max(axis=-1)", ".min(axis=-1)"),
    (geometry, "certificate", "rows.shape[-1]", "rows.shape[-2]"),
    (geometry, "certificate", "rows.shape[-1]", "(rows.shape[-1] + 1)"),
    (geometry, "certificate", "/ rows.shape[-1] - 1", "- rows.shape[-1]"),
    (geometry, "certificate", "- 1\n", "\n"),
    (geometry, "certificate", "- 1\n", "- 1 - 1e-9\n"),
    # over which rows
    (geometry, "certificate", "leverages(rows, weights)", "(leverages(rows, weights) * (weights > 0))"),
    (geometry, "certificate", "leverages(rows, weights)", "leverages(rows, weights)[:, :-1]"),
    # the leverages
    (geometry, "leverages", "np.sqrt(weights)", "weights"),
    (geometry, "leverages", "np.sqrt(weights)", "np.ones_like(weights)"),
    (geometry, "leverages", "np.square(solved)", "np.abs(solved)"),
    (geometry, "leverages", "np.linalg.inv(factor[spans])", "np.linalg.inv(factor[spans]).swapaxes(-1, -2)"),
    (geometry, "leverages", "np.inf", "0.0"),
    (geometry, "leverages", "_SINGULAR * diagonal.max(axis=-1)", "-1.0"),
    # which directions count
    (geometry, "_coordinates", "rank_tol * values", "10 * rank_tol * values"),
    (geometry, "_coordinates", "rank_tol * values", "0.1 * rank_tol * values"),
    (geometry, "_coordinates", "min(_PLAIN, 1 / rank_tol)", "_PLAIN"),
    # who is believed
    (solve, "_attempt", "_tidy(rows, found.weights, tol)", "(found.weights, found.gap)"),
    (solve, "_attempt", "worst <= tol", "True"),
    (solve, "_attempt", "1 + worst", "1.0"),
    (solve, "_tidy", "gap_clean <= allowed[todo]", "gap_clean > -1"),
    (solve, "_uniform", "gap <= tol", "True"),
]


@pytest.fixture
def battery(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """Tests that speak of the certificate, ready to be called; each is undone before the next."""

    def patched(test: Callable[..., None], *arguments: object) -> Callable[[], None]:
        def run() -> None:
            with monkeypatch.context() as context:
                test(context, *arguments)

        return run

    def on_pools(test: Callable[..., None], *arguments: object) -> Callable[[], None]:
        """A property, on a few pools instead of Hypothesis' many."""

        def run() -> None:
            for seed, shape in enumerate([(20, 8), (60, 3), (40, 5)]):
                test.hypothesis.inner_test(solving.TestInvariants(), solving.gaussian(seed, *shape), *arguments)

        return run

    leverages, fallback = selecting.TestLeverages(), solving.TestFallback()
    tolerance = solving.TestRankTolerance()
    return [
        leverages.test_by_definition,
        leverages.test_rows_without_weight_count,
        leverages.test_weights_that_do_not_span,
        *(partial(tolerance.test_of_every_function_by_default, *case) for case in ((1.5e-8, 2), (0.7e-8, 1))),
        *(partial(tolerance.test_as_given, 0.1, *case) for case in ((1.5, 2), (0.7, 1))),
        on_pools(solving.TestInvariants.test_a_design_is_a_certified_distribution, 1e-6),
        on_pools(solving.TestInvariants.test_the_gap_of_a_design_is_that_of_its_definition),
        patched(fallback.test_exchange_follows_the_interior_point, solving.uniform),
        patched(fallback.test_the_best_iterate_is_flagged),
        *(patched(fallback.test_a_row_that_a_solver_passed_over_is_noticed, row) for row in (0, 11, 23)),
        patched(fallback.test_the_last_resort_is_uniform_and_flagged),
        solving.TestSupport().test_taking_off_idle_weight_does_no_harm,
    ]


def mutate(module: object, name: str, old: str, new: str) -> Callable[..., object]:
    source = textwrap.dedent(inspect.getsource(getattr(module, name)))
    assert old in source, f"{name} no longer says {old!r}"
    namespace = dict(vars(module))
    exec(source.replace(old, new), namespace)
    return namespace[name]


def survives(battery: list[Callable[[], None]]) -> bool:
    for test in battery:
        try:
            test()
        except (AssertionError, ValueError, IndexError, RuntimeWarning):
            return False
    return True


def test_the_certificate_itself_passes(battery: list[Callable[[], None]]) -> None:
    for test in battery:
        test()


@pytest.mark.parametrize(("module", "name", "old", "new"), MUTANTS, ids=map(str, itertools.count()))
def test_mutants_are_caught(
    battery: list[Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
    old: str,
    new: str,
) -> None:
    monkeypatch.setattr(module, name, mutate(module, name, old, new))
    assert not survives(battery), f"{name}: {old!r} became {new!r}, and no test noticed"
