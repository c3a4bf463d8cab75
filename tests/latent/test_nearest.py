from __future__ import annotations

import sys

import numpy as np
import pytest

from eagle_gym.catalog import Catalog
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.latent import ContentGap, LatentSpace, make_utility, nearest, utility
from eagle_gym.latent.nearest import ExactIndex, FaissIndex, make_nearest


@pytest.fixture
def faiss() -> None:
    pytest.importorskip("faiss", reason="the extra 'large' is not installed", exc_type=ImportError)


@pytest.mark.usefixtures("faiss")
def test_cells_find_nearly_what_the_tree_finds(rng: np.random.Generator) -> None:
    items, z = rng.normal(size=(20_000, 8)), 1.3 * rng.normal(size=(100, 8))
    (near, rows), (near_too, rows_too) = ExactIndex(items).query(z, 11), FaissIndex(items).query(z, 11)
    recall = np.mean([len({*one} & {*other}) / 11 for one, other in zip(rows, rows_too, strict=True)])
    assert recall > 0.98
    assert np.all(near_too >= near - 1e-12)
    np.testing.assert_allclose(near_too, np.linalg.norm(items[rows_too] - z[:, None], axis=2))


@pytest.mark.usefixtures("faiss")
def test_a_row_of_cells_does_not_depend_on_its_batch(rng: np.random.Generator) -> None:
    items, z = rng.normal(size=(5000, 8)), rng.normal(size=(70, 8))
    cells = FaissIndex(items)
    near, rows = cells.query(z, 5)
    shuffle = rng.permutation(70)
    near_shuffled, rows_shuffled = cells.query(z[shuffle], 5)
    assert near[shuffle].tobytes() == near_shuffled.tobytes()
    assert np.array_equal(rows[shuffle], rows_shuffled)
    alone = [cells.query(z[[row]], 5)[0][0] for row in range(70)]
    assert np.stack(alone).tobytes() == near.tobytes()


@pytest.mark.usefixtures("faiss")
def test_too_few_items_in_the_cells_leave_the_last_places_infinitely_far() -> None:
    heap = np.concatenate([np.zeros((3, 2)), np.array([[100.0, 100.0]])])
    cells = FaissIndex(heap)
    cells._index.nprobe = 1
    near, _ = cells.query(np.zeros((1, 2)), 4)
    assert near[0, :3].tolist() == [0.0, 0.0, 0.0]
    assert near[0, 3] in (np.inf, np.hypot(100.0, 100.0))


@pytest.mark.usefixtures("faiss")
def test_small_catalogs_are_searched_exactly_and_large_ones_by_cells(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = rng.normal(size=(300, 4))
    assert isinstance(make_nearest(items), ExactIndex)
    monkeypatch.setattr(nearest, "EXACT_ITEMS", 200)
    assert isinstance(make_nearest(items), FaissIndex)
    assert isinstance(make_nearest(items, "exact"), ExactIndex)
    assert isinstance(make_nearest(items, power=1.0), ExactIndex)


@pytest.mark.usefixtures("faiss")
def test_a_utility_over_cells_is_the_exact_one_where_all_cells_are_looked_into(
    space: LatentSpace, rng: np.random.Generator
) -> None:
    z, users, exclude = rng.normal(size=(30, space.dim)), np.arange(30), rng.integers(-1, 100, size=30)
    exact, cells = (
        ContentGap(space, index="exact")(z, users, exclude),
        ContentGap(space, index="faiss")(z, users, exclude),
    )
    np.testing.assert_allclose(cells.novelty, exact.novelty)
    assert cells.percentile.tolist() == exact.percentile.tolist()


def test_large_catalogs_are_standardised_over_a_spread_of_their_items(
    space: LatentSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ContentGap(space)
    monkeypatch.setattr(utility, "EXACT_ITEMS", 100)
    part = ContentGap(space, index="exact")
    assert (part.mean, part.std, part.cap) != (whole.mean, whole.std, whole.cap)
    assert part.mean == pytest.approx(whole.mean, rel=0.2)
    z, users, exclude = space.items[:40], np.arange(40), np.arange(40)
    assert np.array_equal(part.distance(z, exclude), whole.distance(z, exclude)), "distances are to all items"
    percentiles = (kept(z, users, exclude).percentile for kept in (part, whole))
    assert np.abs(np.subtract(*percentiles)).max() < 20
    assert utility.spread(7, 7).tolist() == list(range(7))
    assert utility.spread(10, 4).tolist() == [0, 3, 6, 9]


def test_users_scores_take_bounded_memory(space: LatentSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utility, "MEMORY", 3 * 8 * len(space.items))
    gap = ContentGap(space)
    for user in range(9):
        gap(space.items[:1], np.array([user]), np.array([-1]))
    assert gap._scores.cache_info().currsize == 3


def test_indices_that_cannot_be_are_refused(
    space: LatentSpace, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="index must be one of auto, exact, faiss, got 'hnsw'"):
        make_utility(None, space, catalog, index="hnsw")
    with pytest.raises(ConfigurationError, match="'faiss' is Euclidean"):
        make_utility(None, space, catalog, index="faiss", metric="cityblock")
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(PreparationError, match=r"pip install 'eagle_gym\[large\]'"):
        make_utility(None, space, catalog, index="faiss")
