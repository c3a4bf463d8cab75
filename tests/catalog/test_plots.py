from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from eagle_gym import plot_english
from eagle_gym.catalog import Catalog, load_plots, plots, plots_world
from eagle_gym.errors import CatalogError, ConfigurationError, TextError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def truth() -> plots_world.GroundTruth:
    return plots_world.make_plots()


def test_the_shipped_catalog_is_what_its_maker_makes(truth: plots_world.GroundTruth) -> None:
    shipped = load_plots()
    assert shipped.texts == truth.catalog.texts
    assert shipped.hash == truth.catalog.hash, "run python -m eagle_gym.catalog.plots_world"
    assert plots.PATH.stat().st_size < 1_000_000


def test_the_size_of_plots() -> None:
    catalog = load_plots()
    assert (len(catalog.items), len(catalog.users), catalog.language) == (2000, 1000, "plot_english")
    counts = np.bincount(catalog.ratings.user)
    assert counts.min() >= 20
    assert counts.max() <= 250
    assert all(plot_english.render(plot_english.parse(text)) for text in catalog.texts[:200])
    assert len(set(catalog.texts)) == len(catalog.texts)


def test_the_maker_asked_for_help_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots_world, "make_plots", lambda: pytest.fail("something was made"))
    with pytest.raises(SystemExit):
        plots_world.main(["--help"])


def test_seeds_make_catalogs() -> None:
    small = [plots_world.make_plots(seed, films=60, users=20) for seed in (1, 1, 2)]
    assert small[0].catalog == small[1].catalog
    assert small[0].catalog != small[2].catalog


def test_ratings_follow_the_true_tastes(truth: plots_world.GroundTruth) -> None:
    ratings = truth.catalog.ratings
    rows = np.random.default_rng(0).choice(len(ratings), 3000, replace=False)
    texts = [truth.catalog.texts[item] for item in ratings.item[rows]]
    true = truth.tastes.rate(ratings.user[rows], texts)
    error = np.sqrt(np.mean((np.clip(true, 0.5, 5.0) - ratings.value[rows]) ** 2))
    assert error == pytest.approx(plots_world.NOISE, abs=0.05)


def test_tastes_differ_between_users_and_pairs_of_values_matter(truth: plots_world.GroundTruth) -> None:
    texts = ["A dark comedy film.", "A dark film.", "A comedy film.", "A film."]
    users = np.arange(500)
    both, dark, comedy, plain = (truth.tastes.rate(users, [text] * 500) for text in texts)
    assert np.std(dark - plain) > 0.1
    assert np.std(both - dark - comedy + plain) > 0.03


def test_a_judge_is_told_what_it_asks_wrongly(truth: plots_world.GroundTruth) -> None:
    with pytest.raises(TextError):
        truth.tastes.rate([0], ["Once upon a time."])
    with pytest.raises(ConfigurationError, match="one user for each of 2 texts"):
        truth.tastes.rate([0], ["A film.", "A film."])


def test_the_data_file_holds_no_tastes() -> None:
    with np.load(plots.PATH, allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["counts", "halves", "items", "rated"]


ALLOWED = {ROOT / "benchmarks" / "judging" / "true_taste.py", ROOT / "eagle_gym" / "catalog" / "plots_world.py"}


def test_judges_alone_know_the_hidden_tastes() -> None:
    """The whole repository, tests and tools aside: imports at any depth, by name or by string."""
    skipped = {".venv", ".git", "tests", "runs"}
    sources = [path for path in ROOT.rglob("*.py") if not skipped & set(path.relative_to(ROOT).parts)]
    assert set(sources) >= ALLOWED
    assert len(sources) > 80
    guilty = [path for path in sources if path not in ALLOWED and _knows(path.read_text(encoding="utf-8"))]
    assert guilty == []
    assert _knows((ROOT / "benchmarks" / "judging" / "true_taste.py").read_text())


@pytest.mark.parametrize(
    "source",
    [
        "from eagle_gym.catalog import plots_world",
        "def f():\n    import eagle_gym.catalog.plots_world as w",
        "from .plots_world import make_plots as m",
        "from eagle_gym.catalog.plots_world import Tastes",
        "import importlib\nimportlib.import_module('eagle_gym.catalog.plots_world')",
        "spec = 'eagle_gym.catalog.plots_world:make_plots'",
        "subprocess.run(['python', '-m', 'eagle_gym.catalog.plots_world'])",
        "import eagle_gym.catalog as c\nc.plots_world.make_plots()",
        "getattr(c, 'plots_world')",
    ],
)
def test_the_scan_sees_every_way_in(source: str) -> None:
    assert _knows(source)


def test_the_scan_passes_over_prose() -> None:
    assert not _knows('"""How plots_world makes it is told there."""\nfrom eagle_gym.catalog import load_plots')


def _knows(source: str) -> bool:
    """Whether code names the module: in an import, as an attribute, or as a string that is a path to it."""
    if "plots_world" not in source:
        return False
    return any("plots_world" in _named(node) for node in ast.walk(ast.parse(source)))


def _named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [*(alias.name for alias in node.names), getattr(node, "module", None) or ""]
        return [part for name in names for part in name.split(".")]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    path = isinstance(node, ast.Constant) and re.fullmatch(r"([\w.]+)(:\w+)?", str(node.value))
    return path[1].split(".") if path else []


def test_packing_keeps_everything(
    truth: plots_world.GroundTruth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "PATH", tmp_path / "catalog.npz")
    np.savez_compressed(plots.PATH, **plots.pack(truth.catalog))
    assert load_plots() == truth.catalog


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"no archive"])
def test_a_broken_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    monkeypatch.setattr(plots, "PATH", tmp_path / "catalog.npz")
    if content is not None:
        plots.PATH.write_bytes(content)
    with pytest.raises(CatalogError, match="expected the embedded catalog"):
        load_plots()


def test_only_such_catalogs_are_packed(truth: plots_world.GroundTruth) -> None:
    whole = truth.catalog
    renamed = Catalog(
        "c", whole.items, tuple(f"x{user}" for user in whole.users), whole.ratings, whole.scale, "free"
    )
    with pytest.raises(CatalogError, match="u0000"):
        plots.pack(renamed)
