"""The ridge with a penalty for each block of features."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from eagle_gym import plot_english
from eagle_gym.latent import blocks
from eagle_gym.latent.blocks import BLOCKS, Fold, Gram, blocks_of, choose_penalties
from eagle_gym.latent.features import AttributeFeatures, WordFeatures


def test_the_ridge_solves_its_normal_equations(rng: np.random.Generator) -> None:
    x, y, w = rng.normal(size=(40, 5)), rng.normal(size=(40, 2)), rng.random(40)
    penalties = np.array([3.0, 3.0, 1.0, 1.0, 9.0])
    weights, intercept = Gram.of(sp.csr_array(x), y, w).solve(penalties)
    columns = np.column_stack([x, np.ones(40)])
    left = columns.T @ (w[:, None] * columns) + np.diag([*penalties, 0.0])
    expected = np.linalg.solve(left, columns.T @ (w[:, None] * y))
    np.testing.assert_allclose(weights, expected[:5])
    np.testing.assert_allclose(intercept, expected[5])


def test_statistics_of_disjoint_rows_add_up(rng: np.random.Generator) -> None:
    x, y, w = sp.csr_array(rng.normal(size=(20, 3))), rng.normal(size=(20, 2)), rng.random(20)
    whole, first, second = Gram.of(x, y, w), Gram.of(x[:8], y[:8], w[:8]), Gram.of(x[8:], y[8:], w[8:])
    expected = whole.solve(np.ones(3))
    np.testing.assert_allclose((first + second).solve(np.ones(3))[0], expected[0])
    np.testing.assert_allclose((whole - first).solve(np.ones(3))[0], second.solve(np.ones(3))[0])


def test_rows_without_weight_are_not_read(rng: np.random.Generator) -> None:
    x, y = sp.csr_array(rng.normal(size=(9, 3))), rng.normal(size=(9, 1))
    w = np.array([1.0] * 6 + [0.0] * 3)
    all_rows, some = (Gram.of(x[:n], y[:n], w[:n]).solve(np.ones(3)) for n in (9, 6))
    np.testing.assert_allclose(all_rows[0], some[0])
    np.testing.assert_allclose(all_rows[1], some[1])


@pytest.mark.parametrize("many", [0, 1000])
def test_a_block_of_noise_is_penalised_more_than_one_that_tells(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(blocks, "MANY", many)
    x = rng.normal(size=(300, 40))
    y = x[:, :10] @ rng.normal(size=(10, 2)) + rng.normal(scale=2.0, size=(300, 2))
    rows_of = np.array_split(np.arange(300), 3)
    grams = [Gram.of(sp.csr_array(x[rows]), y[rows], np.ones(100)) for rows in rows_of]
    whole = grams[0] + grams[1] + grams[2]
    folds = [
        Fold(whole - gram, sp.csr_array(x[rows]), y[rows], np.ones(100))
        for rows, gram in zip(rows_of, grams, strict=True)
    ]
    penalties = choose_penalties(folds, np.repeat([0, 2], [10, 30]), ridge=20.0)
    assert penalties[:10].tolist() == [5.0] * 10
    assert penalties[10:].tolist() == [320.0] * 30


def test_blocks_are_kinds_of_features() -> None:
    found = [BLOCKS[block] for block in blocks_of(AttributeFeatures())]
    by_kind = dict(zip((attribute for attribute, _ in plot_english.FEATURES), found, strict=False))
    assert by_kind["genres"] == by_kind["decade"] == "labels"
    assert by_kind["setting"] == by_kind["motifs"] == "attributes"
    words = WordFeatures(("genre:war", "space", "tag:dark comedy", "year:1990"), (1.0,) * 4)
    assert [BLOCKS[block] for block in blocks_of(words)] == ["labels", "words", "tags", "labels"]
