"""The design problem in cvxpy: slow, but independent of our own solvers, and so their reference.

Two forms of one problem, on a whitened pool Y `[K, r]`:

- `mvee`: max sum_i log U_ii over upper-triangular U with |U y_a| <= sqrt(r) for every row a. This is the minimum
  volume ellipsoid around the rows; the design is the normalised dual of the cones. No semidefinite cone is needed.
- `logdet`: max log det sum_a q_a y_a y_a^T over the simplex. It becomes one semidefinite cone of side 2r, which
  interior-point backends factor densely: use it for small r.

A backend's status is not a certificate ("optimal" occurs with gaps of 1e-5, "optimal_inaccurate" with 1e-12), so it is
ignored: only the recomputed gap counts.

References:
    1. G. Sagnol, "Computing optimal designs of multiresponse experiments reduces to second-order cone programming",
       J. Statistical Planning and Inference 141, 2011.
    2. S. Diamond, S. Boyd, "CVXPY: a Python-embedded modeling language for convex optimization", JMLR 17, 2016.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from eagle_gym.design.geometry import Floats, certificate
from eagle_gym.design.solvers import Iterate, SolverBreakdown

Form = Literal["mvee", "logdet"]
Backend = Literal["SCS", "CLARABEL"]

FORMS: Final[dict[str, tuple[Form, Backend]]] = {
    "cvxpy": ("mvee", "SCS"),
    "cvxpy-clarabel": ("mvee", "CLARABEL"),
    "cvxpy-logdet": ("logdet", "CLARABEL"),
    "cvxpy-logdet-scs": ("logdet", "SCS"),
}


class _Stats(Protocol):
    num_iters: int | None


class _Problem(Protocol):
    """The part of `cvxpy.Problem` that is used."""

    solver_stats: _Stats

    def solve(self, *, solver: str, **options: float) -> object: ...


def conic(rows: Floats, tol: float, *, form: Form, backend: Backend) -> Iterate:
    """Solve one whitened pool `[K, r]` with cvxpy.

    Args:
        rows: `[K, r]` of full column rank.
        tol: The gap wanted; the backend is run to tolerances that usually reach it.
        form: "mvee" or "logdet".
        backend: "SCS" or "CLARABEL".

    Raises:
        SolverBreakdown: The backend gave up without an answer.
    """
    weights, steps = _mvee(rows, backend, tol) if form == "mvee" else _logdet(rows, backend, tol)
    weights = np.maximum(weights, 0.0)
    weights /= weights.sum()
    return Iterate(weights[None], certificate(rows[None], weights[None]), np.array([steps]))


def _mvee(rows: Floats, backend: Backend, tol: float) -> tuple[Floats, int]:
    cp = import_module("cvxpy")  # importing it takes a second, and only the reference needs it

    size, rank = rows.shape
    upper = cp.Variable((rank, rank))
    cone = cp.SOC(np.sqrt(rank) * np.ones(size), upper @ rows.T, axis=0)
    triangular = [upper[i, :i] == 0 for i in range(1, rank)]
    problem = cp.Problem(cp.Maximize(cp.sum(cp.log(cp.diag(upper)))), [cone, *triangular])
    steps = _run(problem, backend, tol)
    return _values(cone.dual_value[0], backend), steps


def _logdet(rows: Floats, backend: Backend, tol: float) -> tuple[Floats, int]:
    cp = import_module("cvxpy")

    q = cp.Variable(len(rows), nonneg=True)
    problem = cp.Problem(cp.Maximize(cp.log_det(rows.T @ cp.diag(q) @ rows)), [cp.sum(q) == 1])
    steps = _run(problem, backend, tol)
    return _values(q.value, backend), steps


def _values(found: npt.ArrayLike | None, backend: Backend) -> Floats:
    if found is None:
        raise SolverBreakdown(f"{backend} gave no answer")
    return np.asarray(found, dtype=np.float64).ravel()


def _run(problem: _Problem, backend: Backend, tol: float) -> int:
    """Solve in place and return the backend's iterations.

    The objective is quadratic in the gap, so Clarabel, which stops on the objective, is asked for tol² (at least
    1e-13), and SCS, which stops on residuals, for tol/10.
    """
    if backend == "SCS":
        options: dict[str, float] = {"eps_abs": tol / 10, "eps_rel": tol / 10, "max_iters": 100_000}
    else:
        fine = max(tol**2, 1e-13)
        options = {"tol_gap_abs": fine, "tol_gap_rel": fine, "tol_feas": max(tol * 1e-3, 1e-12)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        try:
            problem.solve(solver=backend, **options)
        except import_module("cvxpy").SolverError as error:
            raise SolverBreakdown(f"{backend} gave no answer: {error}") from error
    return int(problem.solver_stats.num_iters or 0)
