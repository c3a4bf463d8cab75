"""The trials of the learners: equally many for each, on train users only, and the largest mean gain is chosen."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from baselines.reference import FIXED
from benchmarks.__main__ import main
from benchmarks.experiments import t1_methods, tuning
from benchmarks.experiments.tuning import protocol
from benchmarks.experiments.tuning.page import TRIED, said, trials_of, write_page
from benchmarks.experiments.tuning.trials import ABLATED, COMMITTED, HALF, chosen, learners
from benchmarks.reporting.names import title
from benchmarks.running.files import read_json, read_rows
from benchmarks.running.options import Options
from eagle_gym.envs.opening import make_world
from tests.benchmarks.made_runs import finished, judge, write_cell


def test_every_learner_has_the_same_number_of_trials_its_defaults_among_them() -> None:
    for name, tuned in learners(5_120, 128).items():
        changes = tuned.changes()
        assert len(changes) == 4, name
        assert changes["default"] == {}
        assert len({said(change) for change in changes.values()}) == 4
    assert learners(1, 1)["ppo"].changes()["larger"] == {"learning_rate": 0.003}


def test_trials_meet_train_users_and_seeds_that_no_table_has(tmp_path: Path) -> None:
    ablated = tuning.ablated(Options("reference", tmp_path))
    cells = [*tuning.cells(Options("reference", tmp_path)), *ablated]
    assert all(chosen()[cell.agent].items() <= cell.training.items() for cell in ablated)
    assert {cell.test_env_kwargs["split"] for cell in cells} == {"train"}
    assert {cell.seed for cell in cells} == set(range(1_000, 1_010))
    trials = Counter(cell.method.rpartition("-")[0] for cell in cells if not cell.method.startswith("ablated"))
    assert set(trials.values()) == {8}
    assert not {cell.seed for cell in cells} & {cell.seed for cell in t1_methods.cells(Options("full", tmp_path))}


def test_the_largest_mean_gain_is_chosen_once_all_trials_are_done() -> None:
    methods = {
        f"a2c-{trial}": [finished(f"a2c-{trial}", 1_000, [gain, gain])]
        for trial, gain in {"default": 1.0, "larger": 2.0, "smaller": 0.0}.items()
    }
    assert [trial["chosen"] for trial in trials_of(methods, "a2c")] == [False] * 3
    methods["a2c-other"] = [finished("a2c-other", 1_000, [1.5, 1.5])]
    assert [trial["trial"] for trial in trials_of(methods, "a2c") if trial["chosen"]] == ["larger"]


def test_t1_has_the_chosen_settings(tmp_path: Path) -> None:
    settings, cells = chosen(), t1_methods.cells(Options("reference", tmp_path))
    assert set(settings) == set(learners(1, 1))
    training = {cell.method: cell.training for cell in cells}
    pairs = {"ppo": "ppo", "ppo-half": "ppo", "ppo-bc-optimistic": "ppo", "ppo-stock": "ppo-stock"}
    pairs |= {"eagle-g_optimal-half": "eagle", "supervised-optimistic": "supervised", "a2c": "a2c"}
    for method, name in pairs.items():
        assert settings[name].items() <= training[method].items(), method


def test_the_protocol_names_the_trials_of_every_agent_of_t1(tmp_path: Path) -> None:
    table = protocol.table(read_json(COMMITTED)["trials"]).splitlines()[2:]
    trials = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in table}
    for name, count in {"PPO": 4, "A2C": 4, "EAGLE (latent)": 4, "CoLA": 5, "GRPO": 5, "ELM": None}.items():
        assert {found for words, found in trials.items() if words.startswith(name)} == {str(count or "none")}, name
    named = " ".join(trials).lower()
    for cell in t1_methods.cells(Options("full", tmp_path)):
        name = title(cell.agent.partition(":")[0]).partition(" (")[0].lower()
        assert name in named or cell.agent in FIXED, cell.agent


def test_a_run_of_the_ablation_only_has_the_committed_trials(tmp_path: Path) -> None:
    options = Options("ablated", tmp_path, experiment="tuning")
    assert not tuning.cells(options)
    gains = {"ablated-ppo": [2.0, 3.0], "ablated-whole": [1.0, 2.0], "ablated-g_optimal": [1.5, 2.5]}
    for method, seed in itertools.product(gains, (1_000, 1_001)):
        write_cell(tmp_path, method, seed, gains[method], environment=HALF, trained=20)
    judge(tmp_path)
    page, found = write_page(tmp_path), read_json(tmp_path / "tuning.json")
    assert {key: found[key] for key in TRIED} == {key: read_json(COMMITTED)[key] for key in TRIED}
    (whole,) = (line for line in page.splitlines() if line.startswith("| EAGLE (latent, uniform)") and "-1.00" in line)
    assert "-0.50 [-0.50, -0.50]" in whole  # by judge, who confirms half
    assert found["ablation"]["agents"]["ablated-g_optimal"]["minus PPO, by reward"]["estimate"] == -0.5


def test_an_ablation_without_ppo_or_with_missing_seeds_leaves_the_trials_alone(tmp_path: Path) -> None:
    for trial, seed in itertools.product(("default", "larger", "smaller", "other"), (1_000, 1_001)):
        write_cell(tmp_path, f"ppo-{trial}", seed, [1.0 if trial == "other" else 0.0] * 2, trained=20)
    write_cell(tmp_path, "ablated-whole", 1_000, [1.0, 2.0], environment=HALF, trained=20)
    page, found = write_page(tmp_path), read_json(tmp_path / "tuning.json")
    assert [trial["trial"] for trial in found["trials"] if trial["chosen"]] == ["other"]
    assert {*found["trials"][0]["seeds"]} == {"1000", "1001"}
    assert "## What half a budget costs EAGLE\n\nNot run." in page
    assert found["ablation"]["agents"]["ablated-whole"]["minus PPO, by reward"] is None


@pytest.mark.slow
def test_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tuning", "--size", "smoke", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "REPORT.md").read_text()
    assert page in capsys.readouterr().out
    assert page.count("| chosen |") == len(learners(1, 1))
    assert page.count("\n| EAGLE (latent, ") == 4  # as it is from two references, in both tables of the ablation
    found = read_json(tmp_path / "tuning.json")
    assert found["chosen"] == chosen(tmp_path / "tuning.json")
    assert len(found["trials"]) == 20
    assert set(found["ablation"]["agents"]) == {"ablated-ppo", *ABLATED}
    world = make_world(split="train", language_model="grammar")
    met = {row.user for path in tmp_path.glob("cells/*/episodes.parquet") for row in read_rows(path)}
    assert met <= {str(world.catalog.users[user]) for user in world.users}
