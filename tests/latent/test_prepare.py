from __future__ import annotations

import json
import threading
import time
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from eagle_gym import cache
from eagle_gym.catalog import Catalog, Item, Split, load_plots, plots_world, split_catalog
from eagle_gym.errors import ConfigurationError, PreparationError, PreparationWarning
from eagle_gym.latent import LatentSpace, Quality, Score, SpaceParameters, fit_space, prepare, prepare_space, space_key
from eagle_gym.latent import __main__ as command
from tests.latent.conftest import with_ratings


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the catalogs that were fitted since."""
    done: list[str] = []

    def counted(catalog: Catalog, *args: object, **kwargs: object) -> LatentSpace:
        done.append(catalog.name)
        time.sleep(0.05)
        return fit_space(catalog, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare, "fit_space", counted)
    return done


def test_a_second_call_loads(
    catalog: Catalog, split: Split, parameters: SpaceParameters, space: LatentSpace, tmp_path: Path, fits: list[str]
) -> None:
    made = [prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path) for _ in range(2)]
    assert len(fits) == 1
    assert {found.fingerprint for found in made} == {space.fingerprint}
    assert made[0].key == space_key(catalog, split, parameters)
    never = prepare_space(catalog, split, parameters=asdict(parameters), prepare="never", cache_dir=tmp_path)
    assert never.fingerprint == space.fingerprint


def test_a_space_no_better_than_its_placebo_is_refused_unless_allowed(
    catalog: Catalog,
    split: Split,
    parameters: SpaceParameters,
    space: LatentSpace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = Quality(0.0, 0.0, 4, Score(0.31, 0.5, 0.7), Score(0.29, 0.5, 0.7), error=0.1, ratings=9000)
    fits: list[LatentSpace] = []

    def fit(*_: object, **__: object) -> LatentSpace:
        fits.append(replace(space, quality=noise))
        return fits[-1]

    monkeypatch.setattr(prepare, "fit_space", fit)
    for _ in range(2):
        with pytest.raises(PreparationError, match=r"0\.31 % against 0\.29 %.*placebo='allow'"):
            prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path)
    found = prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path, placebo="allow")
    assert found.quality == noise
    assert len(fits) == 1, "the refused space is kept, so allowing it costs no further fit"
    with pytest.raises(ConfigurationError, match="placebo must be one of"):
        prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path, placebo="maybe")  # type: ignore[arg-type]


def test_a_smaller_dimension_is_said_at_each_preparation(
    catalog: Catalog, parameters: SpaceParameters, tmp_path: Path
) -> None:
    texts = ["A war film.", "A comedy film.", "A drama film."]
    items = tuple(Item(item.id, "", texts[row % 3]) for row, item in enumerate(catalog.items))
    plain = Catalog("plain", items, catalog.users, catalog.ratings, catalog.scale, "plot_english")
    for _ in range(2):
        with pytest.warns(PreparationWarning, match="'plain' has dimension 2, not 4"):
            space = prepare_space(plain, split_catalog(plain), parameters=parameters, cache_dir=tmp_path)
        assert ("dimension asked for", "4; the texts differ in 2 directions only") in space.quality.facts(space.dim)


def test_a_full_dimension_is_not_worth_a_word(
    catalog: Catalog, split: Split, parameters: SpaceParameters, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        space = prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path)
    assert "dimension asked for" not in dict(space.quality.facts(space.dim))


def test_whoever_may_not_prepare_is_told_how(
    catalog: Catalog, split: Split, parameters: SpaceParameters, tmp_path: Path
) -> None:
    with pytest.raises(PreparationError, match=r"no latent space .*prepare='auto'"):
        prepare_space(catalog, split, parameters=parameters, prepare="never", cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_whatever_goes_into_a_fit_is_in_its_key(
    catalog: Catalog, split: Split, parameters: SpaceParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [
        space_key(catalog, split, parameters),
        space_key(with_ratings(catalog, split.judge), split, parameters),
        space_key(catalog, split_catalog(catalog, seed=1), parameters),
        space_key(catalog, split, replace(parameters, dim=5)),
    ]
    monkeypatch.setattr(prepare, "VERSION", -1)
    keys.append(space_key(catalog, split, parameters))
    monkeypatch.setattr(prepare, "lexicon_hash", lambda: "other")
    keys.append(space_key(catalog, split, parameters))
    assert len(set(keys)) == len(keys)


def test_many_who_ask_at_once_fit_once(
    catalog: Catalog, split: Split, parameters: SpaceParameters, tmp_path: Path, fits: list[str]
) -> None:
    found: list[str] = []

    def ask() -> None:
        found.append(
            prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path, progress=False).fingerprint
        )

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fits) == 1
    assert len(found) == 4
    assert len(set(found)) == 1


def test_an_interrupted_fit_leaves_nothing_to_be_taken_for_whole(
    catalog: Catalog, split: Split, parameters: SpaceParameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: LatentSpace, folder: Path) -> None:
        (Path(folder) / "space.npz").write_bytes(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(LatentSpace, "save", broken)
        with pytest.raises(PreparationError, match=r"nothing can be kept in .*disk full"):
            prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path)
    assert [path.suffix for path in (tmp_path / "spaces").iterdir()] in ([], [".lock"])
    assert not list(tmp_path.rglob("space.npz"))
    assert prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path).dim == 4


def test_a_folder_of_another_key_is_refused(
    catalog: Catalog, split: Split, parameters: SpaceParameters, tmp_path: Path
) -> None:
    prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path)
    header = next(tmp_path.rglob("space.json"))
    content = (header.parent / "space.npz").read_bytes()
    header.write_bytes(cache.sealed("space", json.loads(header.read_text()) | {"key": "0" * 64}, content))
    with pytest.raises(PreparationError, match=r"expected a space of key .*got 000000000000"):
        prepare_space(catalog, split, parameters=parameters, cache_dir=tmp_path)


def test_a_cache_folder_that_cannot_be_is_a_typed_error(tmp_path: Path, catalog: Catalog, split: Split) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PreparationError, match=r"nothing can be kept in .*; free it, or name another .*cache_dir="):
        prepare_space(catalog, split, cache_dir=tmp_path / "file")


def test_wrong_arguments_are_refused(catalog: Catalog, split: Split) -> None:
    with pytest.raises(ConfigurationError, match="prepare must be one of"):
        prepare_space(catalog, split, prepare="always")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"has the parameters .*, got ranks"):
        prepare_space(catalog, split, parameters={"ranks": 3})


def test_plots_is_shipped_ready(tmp_path: Path, fits: list[str]) -> None:
    catalog = load_plots()
    space = prepare_space(catalog, split_catalog(catalog), parameters={"dim": 8}, prepare="never", cache_dir=tmp_path)
    assert space.dim == 8
    assert fits == []


def test_the_shipped_space_is_what_a_fit_gives() -> None:
    catalog = load_plots()
    split = split_catalog(catalog)
    shipped = LatentSpace.load(prepare.SHIPPED / "plots")
    assert shipped.key == space_key(catalog, split, SpaceParameters()), "run python -m eagle_gym.latent"
    fitted = fit_space(catalog, split)
    np.testing.assert_allclose(shipped.items, fitted.items, atol=1e-6)
    np.testing.assert_allclose(shipped.users, fitted.users, atol=1e-6)


def test_the_command_writes_where_it_is_told_and_help_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    command.main(["--out", str(tmp_path / "plots")])
    made = LatentSpace.load(tmp_path / "plots")
    assert made.key == LatentSpace.load(prepare.SHIPPED / "plots").key
    assert f"{made.quality.explained_taste:.3f}" in capsys.readouterr().out


def test_the_command_fits_films(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def load(folder: Path, texts: str) -> Catalog:
        asked.append((folder, texts))
        return replace(catalog, language="free")

    monkeypatch.setattr("eagle_gym.catalog.load_movielens", load)
    command.main(["--data", "films", "--dim", "3", "--out", str(tmp_path / "made")])
    made = LatentSpace.load(tmp_path / "made")
    assert (asked, made.dim) == ([(Path("films"), "free")], 3)
    assert f"{made.quality.explained_taste:.3f}" in capsys.readouterr().out
    assert command.main(["--data", "films", "--encoder", "bert"]) == 2
    assert "error: expected encoder to be 'words'" in capsys.readouterr().err
    assert command.main(["--data", "films", "--encoder", f"transformers:{tmp_path}"]) == 1
    assert "without config.json: name the folder" in capsys.readouterr().err
    for arguments in (["--encoder", "minilm"], ["--dim", "3"]):
        with pytest.raises(SystemExit):
            command.main(arguments)
        assert "name a data set with --data" in capsys.readouterr().err


def test_the_shipped_space_predicts_true_tastes_on_unseen_texts() -> None:
    """Texts of another seed, users whose ratings no fit saw."""
    world = plots_world.make_plots()
    split = split_catalog(world.catalog)
    space = LatentSpace.load(prepare.SHIPPED / "plots")
    texts = plots_world.make_plots(seed=5, films=100, users=2).catalog.texts
    assert not set(texts) & set(world.catalog.texts)
    z = space.encoder.encode(texts)
    correlations = []
    for user in split.test_users[:60]:
        true = world.tastes.rate([int(user)] * len(texts), texts)
        correlations.append(np.corrcoef(true, space.predict(z, np.tile(space.users[user], (len(z), 1))))[0, 1])
    assert np.mean(correlations) > 0.5
