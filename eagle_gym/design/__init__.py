"""G-optimal designs over a pool of feature vectors, each with a certificate.

A design is a distribution q over K candidates with features z_a. The G-optimal one minimises the largest leverage
max_a z_a^T M(q)^-1 z_a, where M(q) = sum_a q_a z_a z_a^T. By Kiefer and Wolfowitz [1] the smallest possible value is
the rank r of the pool, and the designs that reach it are those that maximise log det M. So the quality of any q can be
certified: C(q) = max_a g_a / r is at least 1, and 1 only at an optimum. Every result here carries that number,
recomputed from a QR factorisation over all rows, whatever solver made q.

    >>> from eagle_gym import design
    >>> result = design.solve([[1, -1], [1, 0], [1, 1]])
    >>> result.weights.round(3).tolist()
    [0.5, 0.0, 0.5]

`solve` and `select` take one pool `[K, n]`; `solve_batch` and `select_batch` take many, and return for each pool the
same bits as `solve` and `select`. `coverage` describes any set of rows, however it was chosen.

References:
    1. J. Kiefer, J. Wolfowitz, "The equivalence of two extremum problems", Canadian J. Math. 12, 1960.
    2. T. Lattimore, C. Szepesvári, "Bandit Algorithms", chapter 21, 2020.
    3. G. Tennenholtz et al., "Embedding-Aligned Language Models", NeurIPS 2024 (the application in this package).
"""

from __future__ import annotations

from eagle_gym.design.select import Coverage, Selection, coverage, project, select, select_batch
from eagle_gym.design.solve import (
    Design,
    Solver,
    UninformativeDesignWarning,
    leverages,
    solve,
    solve_batch,
    solve_ridge,
    thin,
)

__all__ = [
    "Coverage",
    "Design",
    "Selection",
    "Solver",
    "UninformativeDesignWarning",
    "coverage",
    "leverages",
    "project",
    "select",
    "select_batch",
    "solve",
    "solve_batch",
    "solve_ridge",
    "thin",
]
