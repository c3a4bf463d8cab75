from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eagle_gym import cache
from eagle_gym.catalog import Catalog, Item, Split, plots_world, split_catalog
from eagle_gym.errors import ConfigurationError, PreparationError
from eagle_gym.latent import LatentSpace, SpaceParameters, fit_space
from eagle_gym.latent.geometry import norms
from tests.latent.conftest import with_ratings


def test_shapes_and_ball(space: LatentSpace, catalog: Catalog) -> None:
    assert space.dim == 4
    assert space.items.shape == (len(catalog.items), 4)
    assert space.users.shape == (len(catalog.users), 5)
    assert np.isfinite(space.users).all()
    assert norms(space.items).max() <= space.radius * (1 + 1e-12)


def test_every_item_is_the_encoding_of_its_text(space: LatentSpace, catalog: Catalog) -> None:
    assert space.items.tobytes() == space.encoder.encode(catalog.texts).tobytes()


def test_the_catalog_is_white_but_for_the_ball(catalog: Catalog, split: Split, parameters: SpaceParameters) -> None:
    items = fit_space(catalog, split, replace(parameters, ball=1.0)).items
    np.testing.assert_allclose(items.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(items.T, bias=True), np.eye(4), atol=1e-8)


def test_what_texts_explain_is_a_share(space: LatentSpace) -> None:
    assert -0.5 < space.quality.explained_taste < 1
    assert -0.5 < space.quality.explained_quality < 1


def test_the_ball_holds_its_share(space: LatentSpace, catalog: Catalog) -> None:
    on_surface = np.isclose(norms(space.items), space.radius).mean()
    assert 0 < on_surface <= 0.03


def test_predictions_follow_ratings(space: LatentSpace, catalog: Catalog, split: Split) -> None:
    ratings = catalog.ratings
    for users in (split.train_users, split.test_users):
        rows = split.support & np.isin(ratings.user, users)
        predicted = space.predict(space.items[ratings.item[rows]], space.users[ratings.user[rows]])
        assert np.corrcoef(predicted, ratings.value[rows])[0, 1] > 0.4


def test_true_tastes_are_met_on_unseen_texts(
    space: LatentSpace, small_world: plots_world.GroundTruth, split: Split
) -> None:
    texts = plots_world.make_plots(seed=4, films=80, users=2).catalog.texts
    z = space.encoder.encode(texts)
    correlations = []
    for user in split.test_users:
        true = small_world.tastes.rate([int(user)] * len(texts), texts)
        correlations.append(np.corrcoef(true, space.predict(z, np.tile(space.users[user], (len(z), 1))))[0, 1])
    assert np.mean(correlations) > 0.15  # 150 films and 48 train users teach little; the shipped space is tested below


# Nothing leaks: what a fit must not see can be turned upside down.


def test_the_judges_ratings_change_nothing(
    space: LatentSpace, catalog: Catalog, split: Split, parameters: SpaceParameters
) -> None:
    other = fit_space(with_ratings(catalog, split.judge), split, parameters)
    assert other.fingerprint == space.fingerprint


def test_test_users_change_their_own_rows_alone(
    space: LatentSpace, catalog: Catalog, split: Split, parameters: SpaceParameters
) -> None:
    theirs = np.isin(catalog.ratings.user, split.test_users)
    other = fit_space(with_ratings(catalog, theirs), split, parameters)
    assert other.items.tobytes() == space.items.tobytes()
    assert other.encoder.weights.tobytes() == space.encoder.weights.tobytes()
    assert other.radius == space.radius
    assert other.users[split.train_users].tobytes() == space.users[split.train_users].tobytes()
    assert not np.allclose(other.users[split.test_users], space.users[split.test_users])


def test_one_test_users_support_changes_that_user_alone(
    space: LatentSpace, catalog: Catalog, split: Split, parameters: SpaceParameters
) -> None:
    one = split.test_users[0]
    other = fit_space(with_ratings(catalog, catalog.ratings.user == one), split, parameters)
    differing = np.flatnonzero(np.any(other.users != space.users, axis=1))
    assert differing.tolist() == [one]


def test_train_users_do_change_the_fit(
    space: LatentSpace, catalog: Catalog, split: Split, parameters: SpaceParameters
) -> None:
    one = catalog.ratings.user == split.train_users[0]
    assert not np.allclose(fit_space(with_ratings(catalog, one), split, parameters).items, space.items)


def test_equal_fits_are_equal(space: LatentSpace, catalog: Catalog, split: Split, parameters: SpaceParameters) -> None:
    assert fit_space(catalog, split, parameters).fingerprint == space.fingerprint
    assert fit_space(catalog, split, replace(parameters, seed=1)).fingerprint != space.fingerprint


def test_saving_and_loading_keeps_everything(space: LatentSpace, tmp_path: Path, catalog: Catalog) -> None:
    space.save(tmp_path / "space")
    again = LatentSpace.load(tmp_path / "space")
    assert again.fingerprint == space.fingerprint
    assert (again.parameters, again.quality, again.radius) == (space.parameters, space.quality, space.radius)
    assert again.encoder.encode(catalog.texts).tobytes() == space.items.tobytes()


def test_free_text_spaces_are_saved_too(
    tmp_path: Path, catalog: Catalog, split: Split, parameters: SpaceParameters
) -> None:
    free = Catalog("free", catalog.items, catalog.users, catalog.ratings, catalog.scale, "free")
    space = fit_space(free, split, parameters)
    space.save(tmp_path)
    assert LatentSpace.load(tmp_path).encoder.encode(catalog.texts).tobytes() == space.items.tobytes()


def test_changed_arrays_are_refused(space: LatentSpace, tmp_path: Path) -> None:
    space.save(tmp_path)
    with np.load(tmp_path / "space.npz") as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    arrays["items"][0, 0] += 1e-9
    np.savez(tmp_path / "space.npz", **arrays)
    with pytest.raises(PreparationError, match="its checksum is not that"):
        LatentSpace.load(tmp_path)


@pytest.mark.parametrize("name", ["space.json", "space.npz"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"PK\x03\x04"])
def test_missing_and_broken_files_are_refused(
    space: LatentSpace, tmp_path: Path, name: str, content: bytes | None
) -> None:
    space.save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PreparationError, match=r"expected a readable|expected a space|expected checksums"):
        LatentSpace.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("format", 0, "expected a space of format 3, got 0"),
        ("features", {"kind": "attributes", "lexicon": "old"}, "lexicon 'old'"),
        ("features", {"kind": "words"}, "kind 'attributes', 'words', 'vector'"),
        ("fingerprint", "0" * 16, "expected the fingerprint"),
        ("parameters", {"ranks": 3}, "expected a space written by LatentSpace.save"),
    ],
)
def test_other_formats_and_lexicons_are_refused(
    space: LatentSpace, tmp_path: Path, field: str, value: object, expected: str
) -> None:
    space.save(tmp_path)
    header = json.loads((tmp_path / "space.json").read_text())
    content = (tmp_path / "space.npz").read_bytes()
    (tmp_path / "space.json").write_bytes(cache.sealed("space", header | {field: value}, content))
    with pytest.raises(PreparationError, match=expected):
        LatentSpace.load(tmp_path)


def test_directions_in_which_texts_do_not_differ_are_dropped(catalog: Catalog, parameters: SpaceParameters) -> None:
    texts = ["A war film.", "A comedy film.", "A drama film."]
    items = tuple(Item(item.id, "", texts[row % 3]) for row, item in enumerate(catalog.items))
    plain = Catalog("c", items, catalog.users, catalog.ratings, catalog.scale, "plot_english")
    space = fit_space(plain, split_catalog(plain), parameters)
    assert space.dim == 2
    assert len(np.unique(space.items.round(9), axis=0)) == 3


def test_texts_that_all_say_the_same_are_refused(catalog: Catalog, parameters: SpaceParameters) -> None:
    items = tuple(Item(item.id, "", "A war film.") for item in catalog.items)
    plain = Catalog("c", items, catalog.users, catalog.ratings, catalog.scale, "plot_english")
    with pytest.raises(PreparationError, match="texts do not differ"):
        fit_space(plain, split_catalog(plain), parameters)


@pytest.mark.parametrize(
    "wrong",
    [{"dim": 1}, {"encoder_ridge": 0.0}, {"damping": -1.0}, {"sweeps": 0}, {"parts": 1}, {"ball": 0.0}, {"ball": 1.1}],
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="must be"):
        SpaceParameters(**wrong)  # type: ignore[arg-type]


def test_arrays_are_read_only(space: LatentSpace) -> None:
    with pytest.raises(ValueError, match="read-only"):
        space.users[0, 0] = 0.0
