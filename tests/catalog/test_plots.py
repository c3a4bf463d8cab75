from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from eagle_gym import plot_english
from eagle_gym.catalog import Catalog, load_plots, plots, plots_world
from eagle_gym.errors import CatalogError, ConfigurationError, TextError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world() -> plots_world.World:
    return plots_world.make_world()


def test_the_shipped_catalog_is_what_the_world_makes(world: plots_world.World) -> None:
    shipped = load_plots()
    assert shipped.texts == world.catalog.texts
    assert shipped.hash == world.catalog.hash, "run python -m eagle_gym.catalog.plots_world"
    assert plots.PATH.stat().st_size < 1_000_000


def test_the_size_of_plots() -> None:
    catalog = load_plots()
    assert (len(catalog.entities), len(catalog.users), catalog.language) == (2000, 1000, "plot_english")
    counts = np.bincount(catalog.ratings.user)
    assert counts.min() >= 20
    assert counts.max() <= 250
    assert all(plot_english.render(plot_english.parse(text)) for text in catalog.texts[:200])
    assert len(set(catalog.texts)) == len(catalog.texts)


def test_seeds_make_worlds() -> None:
    small = [plots_world.make_world(seed, films=60, users=20) for seed in (1, 1, 2)]
    assert small[0].catalog == small[1].catalog
    assert small[0].catalog != small[2].catalog


def test_ratings_follow_the_true_tastes(world: plots_world.World) -> None:
    ratings = world.catalog.ratings
    rows = np.random.default_rng(0).choice(len(ratings), 3000, replace=False)
    texts = [world.catalog.texts[item] for item in ratings.item[rows]]
    true = world.tastes.rate(ratings.user[rows], texts)
    error = np.sqrt(np.mean((np.clip(true, 0.5, 5.0) - ratings.value[rows]) ** 2))
    assert error == pytest.approx(plots_world.NOISE, abs=0.05)


def test_tastes_differ_between_users_and_pairs_of_values_matter(world: plots_world.World) -> None:
    texts = ["A dark comedy film.", "A dark film.", "A comedy film.", "A film."]
    users = np.arange(500)
    both, dark, comedy, plain = (world.tastes.rate(users, [text] * 500) for text in texts)
    assert np.std(dark - plain) > 0.1
    assert np.std(both - dark - comedy + plain) > 0.03


def test_a_judge_is_told_what_it_asks_wrongly(world: plots_world.World) -> None:
    with pytest.raises(TextError):
        world.tastes.rate([0], ["Once upon a time."])
    with pytest.raises(ConfigurationError, match="one user for each of 2 texts"):
        world.tastes.rate([0], ["A film.", "A film."])


def test_the_data_file_holds_no_tastes() -> None:
    with np.load(plots.PATH, allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["counts", "entities", "halves", "items"]


def test_nothing_at_run_time_imports_the_world() -> None:
    allowed = {ROOT / "benchmarks" / "judges.py", ROOT / "eagle_gym" / "catalog" / "plots_world.py"}
    sources = [path for room in ("eagle_gym", "baselines", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    assert len(sources) > 20
    guilty = [path for path in sources if path not in allowed and "plots_world" in _imported(path)]
    assert guilty == []


def _imported(path: Path) -> set[str]:
    """Last parts of all modules and names that a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            names |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    return names


def test_packing_keeps_everything(world: plots_world.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "PATH", tmp_path / "catalog.npz")
    np.savez_compressed(plots.PATH, **plots.pack(world.catalog))
    assert load_plots() == world.catalog


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"no archive"])
def test_a_broken_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    monkeypatch.setattr(plots, "PATH", tmp_path / "catalog.npz")
    if content is not None:
        plots.PATH.write_bytes(content)
    with pytest.raises(CatalogError, match="expected the embedded catalog"):
        load_plots()


def test_only_such_catalogs_are_packed(world: plots_world.World) -> None:
    whole = world.catalog
    renamed = Catalog(
        "c", whole.entities, tuple(f"x{user}" for user in whole.users), whole.ratings, whole.scale, "free"
    )
    with pytest.raises(CatalogError, match="u0000"):
        plots.pack(renamed)
