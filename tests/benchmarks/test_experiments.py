"""The experiments on the known world: every file they promise is there, and what they print is true."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks import judges, plots, space_tables
from benchmarks.__main__ import main
from benchmarks.experiments import space, t1_methods, t2_transfer, t3_action_sets
from benchmarks.reporting.names import title
from benchmarks.results import read_json, read_rows
from benchmarks.suite import find_experiments
from eagle_gym.envs import opening
from eagle_gym.language.prompts import Prompt
from tests.fake_worlds import ScriptedModel
from tests.fakes import KnownVecEnv, KnownVectorEnv


@pytest.fixture
def known_sb3(known_world: list[KnownVectorEnv], monkeypatch: pytest.MonkeyPatch) -> None:
    """SB3's view of the known world stands where that of the real one is imported from."""

    def view(envs: KnownVectorEnv) -> KnownVecEnv:
        venv = KnownVecEnv(num_envs=envs.num_envs, horizon=envs.horizon)
        venv.envs = envs
        return venv

    module = types.ModuleType("eagle_gym.envs.sb3")
    module.SB3VecEnv = view  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "eagle_gym.envs.sb3", module)


@pytest.mark.usefixtures("known_sb3")
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", "--size", "smoke", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for word in ("PPO (SB3)", "optimistic", "G-optimal", "uniform", "95 % interval", "PPO less uniform"):
        assert word in shown
    rows = read_rows(tmp_path / "episodes.parquet")
    assert {row.method for row in rows} == {"ppo", "optimistic", "g_optimal", "uniform"}
    assert len(rows) == 4 * 16
    header = read_json(tmp_path / "run.json")
    assert header["experiment"] == "demo"
    assert next(item["cost"]["training"]["calls"] for item in header["cells"] if item["cell"]["agent"] == "ppo") == 160
    for name in ("gain.png", "episode.png"):
        assert imread(tmp_path / name).std() > 0.01


@pytest.mark.usefixtures("known_sb3")
def test_learning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ml").mkdir()
    arguments = ["run", "learning", "--size", "smoke", "--data", str(tmp_path / "ml"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    page = (tmp_path / "out" / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("Budget: 160 environment steps of training for each of 2 seeds") == 2
    assert "## EagleGym/MovieLens-v0" in page
    assert imread(tmp_path / "out" / "learning.png").std() > 0.01
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 2 * 2 * 5
    assert page.count("PPO (SB3, stock policy): less uniform, same episodes") == 2


@pytest.mark.timeout(900)  # over thirty cells, each with a model
def test_t1_methods(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t1_methods", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| method")]
    assert len(rows) == len(list((tmp_path / "cells").iterdir())) == 28
    beam = next(row for row in rows if row.startswith("| beam search"))
    cells = [cell.strip() for cell in beam.split("|")]
    assert cells[4:6] == ["1.00", "[1.00, 1.00]"] or cells[4] == "n/a"
    spent = {path.parent.name: read_json(path)["cost"] for path in tmp_path.glob("cells/*/run.json")}
    assert {
        spent[f"plots-{name}-0"]["steps"] for name in ("eagle-optimistic", "ppo", "vas", "eagle-reads-g_optimal")
    } == {20}
    assert spent["plots-supervised-uniform-0"]["steps"] == 10
    assert len(spent["plots-eagle-reads-g_optimal-0"]["parts"]) == 3
    assert len(list((tmp_path / "recorded").iterdir())) == 4, (
        "of each policy once, and once more for value-augmented sampling"
    )
    verdicts = [line for line in page.splitlines() if line.endswith((", met.", ", MISSED.", ": not measured."))]
    assert len(verdicts) == 15


def test_t2_transfer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t2_transfer", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("| trained elsewhere ") == 2
    assert page.count("Total variation between the two environments, over 2 start texts") == 1
    taken = read_json(tmp_path / "cells/plots-pitch-ppo-plain-0/run.json")
    own = read_json(tmp_path / "cells/plots-plain-ppo-plain-0/run.json")
    assert taken["cost"]["training"] == own["cost"]["training"], "it was trained once"
    assert taken["hashes"]["model"] != own["hashes"]["model"]
    for part in ("catalog", "split", "space", "effects"):
        assert taken["hashes"][part] == own["hashes"][part], part
    first = [read_rows(path)[0].texts[0] for path in tmp_path.glob("cells/*/episodes.parquet")]
    assert len(set(first)) == 1, "both environments begin from the same texts"


def test_t2_and_t1_give_learners_one_budget() -> None:
    for size in ("small", "reference"):
        for name in ("seeds", "steps", "recorded", "episodes"):
            assert t2_transfer.SIZES[size][name] == t1_methods.SIZES[size][name]


def test_t3_action_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "t3_action_sets", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("| longest ") == page.count("| macro ") == 2
    covers = read_json(tmp_path / "coverage.json")["covers"]
    assert set(covers) == {f"plots-{name}" for name in t3_action_sets.SETS}
    assert covers["plots-longest"]["length"] >= max(covers[f"plots-{name}"]["length"] for name in ("default", "random"))
    first = {read_rows(path)[0].texts[0] for path in tmp_path.glob("cells/*/episodes.parquet")}
    assert len(first) == 1, "every set begins from the same texts"


def test_exploration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "exploration", "--size", "smoke", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "REPORT.md").read_text() in capsys.readouterr().out
    traces = read_json(tmp_path / "exploration.json")["traces"]["plots"]
    assert set(traces) == {"no_op", "uniform", "optimistic", "g_optimal"}
    for found in traces.values():
        assert found["calls"][0] == 0
        assert found["calls"][-1] >= 2 * 2
        for name in ("coverage", "best"):
            assert all(np.diff(seed).min() >= 0 for seed in found[name]), "what was found stays found"
        assert found["best"][0][0] == 0
    assert imread(tmp_path / "exploration.png").std() > 0.01


def test_t4_products_without_products(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, lacking in (
        ([], "--data AMAZON_FOLDER and --language-model SPEC"),
        (["--data", str(tmp_path)], "--language-model SPEC"),
        (["--language-model", "replay:somewhere"], "--data AMAZON_FOLDER"),
    ):
        assert main(["run", "t4_products", "--out", str(tmp_path / "out"), *arguments]) == 0
        said = f"not run: {lacking} not given\n"
        assert capsys.readouterr().out == said == (tmp_path / "out" / "REPORT.md").read_text()
        assert not (tmp_path / "out" / "cells").exists()


@dataclass
class Clerk(ScriptedModel):
    """Writes about anything: proposes to say more, and does."""

    language: str = "free"

    def _answer(self, prompt: Prompt, rng: np.random.Generator, temperature: float) -> str:
        if prompt.task == "propose":
            return f"say more of its {('price', 'fabric', 'colour', 'fit', 'seams', 'age', 'maker')[rng.integers(7)]}"
        return f"{prompt.text} {prompt.edit}."


def test_t4_products(
    tmp_path: Path, amazon: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(opening, "load_language_model", lambda spec, **more: asked.append(spec) or Clerk())
    arguments = [
        "--data",
        str(amazon),
        "--language-model",
        "openai:clerk@http://there/v1",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(["run", "t4_products", "--size", "smoke", *arguments]) == 0
    assert set(asked) == {"openai:clerk@http://there/v1"}
    page = capsys.readouterr().out
    for name in ("optimistic", "eagle-optimistic", "supervised-g_optimal"):
        assert f"| {title(name)} " in page
    assert page.count("less its reference policy, above 0") == 3


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(space.SIZES["smoke"], "weigh", True)
    monkeypatch.setattr(space_tables, "RIDGES", space_tables.RIDGES[:2])
    monkeypatch.setattr(space_tables, "CHOICES", space_tables.CHOICES[1:3])
    monkeypatch.setattr(judges, "SECOND", judges.SECOND[:1])
    assert main(["run", "space", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    found = read_json(tmp_path / "run.json")["cold_start"]["Plots"]
    assert set(found) == {"all", "train", "test"}
    for name in ("bias_only", "taste_only", "text"):
        assert f"{100 * (1 - found['test'][name] / found['test']['user_mean']):+.2f} %" in page
    for words in (
        "| encoder ridge 100 ",
        "| nothing (ridge 300) ",
        "- Plots: +",
        "over 60 texts",
        "| test users  | 0.",
    ):
        assert words in page


@pytest.mark.parametrize(("data", "folder"), [(None, "runs/demo"), ("films/ml-1m/", "runs/demo-ml-1m")])
def test_runs_on_other_data_have_a_folder_of_their_own(
    data: str | None, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("films/ml-1m").mkdir(parents=True)
    asked: list[Path] = []
    monkeypatch.setattr("benchmarks.experiments.demo.run", lambda options: asked.append(options.out))
    assert main(["run", "demo", *(["--data", data] if data else [])]) == 0
    assert asked == [Path(folder)]


def test_wrong_arguments_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["run", "dmeo"], "no experiment 'dmeo'"),
        (["run", "demo", "--size", "huge"], "it has smoke, small"),
        (["run", "demo", "--data", str(tmp_path / "none")], "there is no folder"),
    ):
        assert main(arguments) == 1
        assert message in capsys.readouterr().err
    assert main(["list", "dmeo"]) == 1
    assert "no experiment 'dmeo'" in capsys.readouterr().err


def test_the_list_names_what_there_is_and_says_more_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for name, module in find_experiments().items():
        assert f"{name} " in shown
        assert f"sizes: {', '.join(module.SIZES)}\n" in shown
        assert main(["list", name]) == 0
        said = capsys.readouterr().out
        assert all(f"\n{size}: " in said for size in module.SIZES)
    assert max(map(len, shown.splitlines())) <= 140


@pytest.mark.parametrize("command", ["list", "run", "judge", "report", "reference", "readme"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert "example" in shown or "sizes:" in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_lines_of_an_episode_do_not_overlap() -> None:
    tops, total = plots.layout([3, 1, 2], [1, 2])
    assert tops[0] + 3 + 1 < tops[1]
    assert tops[1] + 1 + 2 < tops[2]
    assert total >= tops[2] + 2
