"""The report: rebuilt from only files, true to them, and honest about what is missing, lost or hacked."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import baselines.evaluate
import benchmarks.judging.judge_run
import eagle_gym.envs.opening
from benchmarks.__main__ import main
from benchmarks.reporting import paper, plots
from benchmarks.reporting.build import report, write_report
from benchmarks.reporting.document import Bullets, Heading, Picture, Table, Text, markdown
from benchmarks.reporting.judged import Parting
from benchmarks.reporting.names import PAPER, colour, is_oracle, title
from benchmarks.reporting.reference import pack, without_paths
from benchmarks.reporting.standings import keyed, standings
from benchmarks.reporting.tables import contests, paper_table, rivals
from benchmarks.reporting.targets import checks, eagle_targets
from benchmarks.running.files import read_json, read_rows, write_json, write_rows
from benchmarks.running.runs import by_method, read_run, unfinished_seeds
from benchmarks.stats import Interval
from eagle_gym.errors import PreparationError
from tests.benchmarks.made_runs import GAINS, SECRET, judge, planned, write_cell, write_plan


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of six methods on Plots, two seeds that agree but for 0.1."""
    folder = tmp_path / "t1_methods"
    for seed in (0, 1):
        for method, gains in GAINS.items():
            trained = 24 if method in ("ppo", "eagle-g_optimal", "eagle-uniform", "supervised-g_optimal") else 0
            write_cell(folder, method, seed, [gain + 0.1 * seed for gain in gains], trained=trained)
    write_plan(folder, planned())
    return folder


def text_of(folders: list[Path]) -> str:
    return "\n\n".join(markdown(block) for block in report(folders))


# Only files


def test_nothing_is_opened_and_two_reports_are_equal(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("a report opens nothing")

    judge(run)
    for module, name in (
        (baselines.evaluate, "make_envs"),
        (benchmarks.judging.judge_run, "load_language_model"),
        (eagle_gym.envs.opening, "make_world"),
    ):
        monkeypatch.setattr(module, name, refuse)
    assert main(["report", str(run), "--out", str(tmp_path / "one")]) == 0
    write_report([run], tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    html = (tmp_path / "one" / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 8  # scores, gain, profiles, improvement, two curves, judges, map


def test_what_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["report", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 1
    assert "neither cells nor a REPORT.md" in capsys.readouterr().err


# Numbers


def test_normalised_scores_are_over_what_all_three_have_met(run: Path) -> None:
    found = {item.method: item for item in standings(read_run(run), "plots")}
    # Beam met the first two episodes of each seed: there it gains 4 more than uniform, EAGLE 2 more.
    assert found["eagle-g_optimal"].normalised is not None
    assert found["eagle-g_optimal"].normalised.estimate == pytest.approx(0.5)
    assert found["uniform"].normalised == Interval(0, 0, 0)
    assert found["beam:budget=640"].normalised == Interval(1, 1, 1)
    assert found["eagle-g_optimal"].gain.estimate == pytest.approx(2.75 + 0.05)  # over all that it has met
    assert found["eagle-g_optimal"].utility.estimate == pytest.approx(3.25 + 0.05)
    assert (found["eagle-g_optimal"].episodes, found["eagle-g_optimal"].seeds) == (8, 2)
    assert found["eagle-g_optimal"].improvement == Interval(1, 1, 1)
    assert found["eagle-g_optimal"].training.calls == 24
    assert found["eagle-g_optimal"].evaluation.calls == 2
    assert standings(read_run(run), "plots")[0].method == "beam:budget=640"


def test_without_an_oracle_there_is_no_normalised_score(run: Path) -> None:
    for seed in (0, 1):
        (run / "cells" / f"plots-beam:budget=640-{seed}" / "run.json").unlink()
    write_plan(run, planned(methods=[name for name in GAINS if not is_oracle(name)]))  # type: ignore[arg-type]
    assert all(item.normalised is None for item in standings(read_run(run), "plots"))


def test_action_sets_are_scored_against_one_common_oracle(tmp_path: Path) -> None:
    for environment, gains in (
        ("default", {"uniform": 0.0, "beam": 4.0, "ppo": 2.0}),
        ("longest", {"ppo": 3.0, "uniform": 1.0}),
    ):
        for method, gain in gains.items():
            write_cell(tmp_path, method, 0, [gain] * 4, environment=environment)
    write_cell(tmp_path, "ppo", 0, [3.0] * 4, environment="other")
    path = tmp_path / "cells" / "other-ppo-0" / "run.json"
    write_json(read_json(path) | {"hashes": {"catalog": "another"}}, path)
    found = read_run(tmp_path)
    scores = {
        (item.environment, item.method): item.normalised
        for environment in found.environments
        for item in standings(found, environment)
    }
    assert scores["default", "ppo"] == Interval(0.5, 0.5, 0.5)
    assert scores["longest", "ppo"] == Interval(0.75, 0.75, 0.75)
    assert scores["longest", "uniform"] == Interval(0.25, 0.25, 0.25)  # 0 is the default's uniform policy
    assert scores["other", "ppo"] is None  # its texts are worth something else


def test_an_oracle_that_is_not_above_uniform_normalises_nothing(tmp_path: Path) -> None:
    for method, gain in (("uniform", 1.0), ("beam", 1.0), ("ppo", 2.0)):
        write_cell(tmp_path, method, 0, [gain] * 4)
    assert all(item.normalised is None for item in standings(read_run(tmp_path), "plots"))


def test_judged_columns(run: Path) -> None:
    judge(run)
    item = next(item for item in standings(read_run(run), "plots") if item.method == "ppo")
    assert item.user is not None
    assert item.user.estimate == pytest.approx(item.gain.estimate / 2)  # true taste, not the second opinion
    assert item.raters == Interval(*[pytest.approx(0.2)] * 3)
    assert item.model is None
    assert item.distance == Interval(1.5, 1.5, 1.5)


def test_distances_come_from_embeddings_where_nobody_has_judged(run: Path) -> None:
    item = next(item for item in standings(read_run(run), "plots") if item.method == "ppo")
    assert item.distance is not None
    ways = [math.hypot(gain + 0.1 * seed, 1) for seed in (0, 1) for gain in GAINS["ppo"]]
    assert item.distance.estimate == pytest.approx(np.mean(ways))


def test_a_run_that_grew_after_it_was_judged_says_so(run: Path) -> None:
    judge(run)
    assert "udged in part" not in text_of([run])
    for seed in (0, 1):
        write_cell(run, "elm", seed, [1.0, 2.0, 1.0, 2.0])
    write_plan(run, planned(methods=[*GAINS, "elm"]))  # type: ignore[arg-type]
    assert f"Judged in part (44 of 52 episodes): run `python -m benchmarks judge {run}`." in text_of([run])


def test_the_second_opinion_speaks_where_true_taste_is_not_known(run: Path) -> None:
    judge(run, confirmed=math.nan)
    item = next(item for item in standings(read_run(run), "plots") if item.method == "ppo")
    assert item.user is not None
    assert item.user.estimate == pytest.approx(0.9 * item.gain.estimate)


# What is missing


def test_a_method_that_failed_stands_in_no_number(run: Path) -> None:
    folder = run / "cells" / "plots-ppo-1"
    (folder / "run.json").unlink()
    write_json({"error": "OutOfMemory: too much"}, folder / "error.json")
    found = read_run(run)
    assert found.holes("plots") == {"ppo": "failed (seed 1): OutOfMemory: too much"}
    assert "ppo" not in {item.method for item in standings(found, "plots")}
    page = text_of([run])
    assert "PPO (SB3) in plots: failed (seed 1): OutOfMemory: too much" in page
    assert "11 of 12 cells done, 1 failed" in page


def test_seeds_that_are_not_finished_are_left_out_for_all(run: Path) -> None:
    (run / "cells" / "plots-ppo-1" / "run.json").unlink()
    found = read_run(run)
    assert (found.missing, found.left_out, found.holes("plots")) == (("plots-ppo-1",), {"plots": (1,)}, {})
    assert {cell.seed for cell in found.of("plots")} == {0}
    assert "seed 1 in plots: not finished (1 cells of the run are missing)" in text_of([run])


def test_seeds_are_left_out_of_their_own_environment_only() -> None:
    cells = {f"{where}-{seed}": {"environment": where, "seed": seed} for where in ("here", "there") for seed in (0, 1)}
    assert unfinished_seeds(cells, ["there-1"]) == {"there": (1,)}
    assert unfinished_seeds(cells, ["there-0", "there-1", "here-0"]) == {"here": (0,)}
    assert unfinished_seeds(cells, []) == {}


def test_where_no_seed_is_finished_the_methods_that_lack_cells_are_listed(run: Path) -> None:
    for seed in (0, 1):
        (run / "cells" / f"plots-ppo-{seed}" / "run.json").unlink()
    found = read_run(run)
    assert found.left_out == {}
    assert found.holes("plots") == {"ppo": "not finished (seed 0 is missing)"}
    assert len(by_method(found.of("plots"))) == 5


def test_nothing_finished_is_said(tmp_path: Path) -> None:
    write_plan(tmp_path, planned())
    assert "No method is finished" in text_of([tmp_path])


def test_rows_of_the_paper_that_were_not_run_are_shown_as_such(run: Path) -> None:
    table = paper_table(standings(read_run(run), "plots"), {"elm": "failed (seed 0): no"}, PAPER)
    names = [row[0] for row in table.body]
    assert names[:7] == [title(name) for name in PAPER]
    assert names[7] == title("beam:budget=640")
    shown = {row[0]: row[1] for row in table.body}
    assert (shown["ELM"], shown["supervised (latent, uniform)"]) == ("failed", "not run")
    page = text_of([run])
    for experiment in ("t2_transfer", "t3_action_sets", "t4_products"):
        assert f"Not run: `python -m benchmarks run {experiment}`." in page
    assert f"Not judged: run `python -m benchmarks judge {run}`." in page


def test_a_run_without_a_plan_is_of_the_experiment_that_its_command_names(run: Path) -> None:
    (run / "plan.json").unlink()
    found = read_run(run)
    assert (found.experiment, len(found.plan), found.missing) == ("t1_methods", 12, ())


# Words


def test_claims_are_checked_in_pairs(run: Path) -> None:
    found = {(f.claim.above, f.claim.below): f for f in paper.findings(by_method(read_run(run).of("plots")))}
    lost = found["eagle-g_optimal", "supervised-g_optimal"]
    assert lost.difference == Interval(*[pytest.approx(-0.5)] * 3)
    assert lost.verdict == "**contradicts**"
    assert found["eagle-g_optimal", "eagle-uniform"].verdict == "agrees"
    assert found["supervised-g_optimal", "elm"].verdict == "not measured"
    assert found["eagle-uniform", "supervised-uniform"].verdict == "not counted"
    assert paper.verdict(Interval(0.1, -0.1, 0.3)) == "undecided"


@pytest.mark.parametrize(
    ("reward", "judge", "expected"),
    [
        (0.5, 0.5, "agrees"),
        (-0.5, -0.5, "**contradicts**"),
        (0.5, -0.5, "**divided**: agrees by reward, contradicts by judge"),
    ],
)
def test_a_claim_holds_where_reward_and_judge_agree(reward: float, judge: float, expected: str) -> None:
    reward_says, judge_says = (Interval(value, value - 0.1, value + 0.1) for value in (reward, judge))
    assert paper.Finding(paper.Claim("eagle-optimistic", "elm"), reward_says, judge_says).verdict == expected
    found = paper.Finding(paper.Claim("eagle-uniform", "supervised-uniform"), reward_says, judge_says)
    assert found.verdict == "not counted", "an imitator of the uniform policy cannot move"


def test_rivals_of_the_paper_and_targets_are_judged_too(run: Path) -> None:
    judge(run, confirmed=-0.5)
    found = read_run(run)
    methods = by_method(found.of("plots"))
    (table,) = rivals(methods, found)
    assert isinstance(table, Table)
    assert [row[0] for row in table.body] == [
        *(f"EAGLE (latent, {name}) minus PPO (SB3)" for name in ("uniform", "G-optimal")),
        "EAGLE (latent, uniform) minus uniform",
    ]
    assert all(row[-1].startswith("**reward and judge disagree**: ") for row in table.body)
    line = str(checks(methods, eagle_targets(), found)[0])
    assert line.startswith("EAGLE (latent, uniform) minus its reference policy, above 0: 0.50 [")
    assert ", met; by judge -0.25 [" in line
    assert line.endswith(", MISSED.")


def test_text_writers_and_the_first_edit_stand_in_every_table(run: Path) -> None:
    for seed in (0, 1):
        write_cell(run, "first", seed, [1.0, 2.0, 1.0, 2.0])
        write_cell(run, "cola", seed, [1.5, 2.5, 1.5, 2.5], trained=64)
        path = run / "cells" / f"plots-cola-{seed}" / "run.json"
        header = read_json(path)
        header["cell"]["training"] = {}
        header["cost"]["training"] |= {"prompt_tokens": 4000, "completion_tokens": 1000}
        header["cost"]["evaluation"] |= {"prompt_tokens": 700, "completion_tokens": 100}
        write_json(header, path)
    write_plan(run, planned(methods=[*GAINS, "first", "cola"]))  # type: ignore[arg-type]
    tables = [block for block in report([run]) if isinstance(block, Table)]
    of = {table.head[-1]: {row[head_of(table)]: row for row in table.body} for table in tables}
    assert "CoLA minus PPO (SB3)" in of["verdict"]
    assert "PPO (SB3) minus first offered edit" in of["verdict"]
    assert of["episodes"]["CoLA"][1] == "rewrites"
    assert of["episodes"]["first offered edit"][1] == ""
    costs = of["seconds per episode"]["CoLA"]
    assert costs[3:7] == ["20", "64", "4,000", "1,000"]  # steps, calls, tokens read and written
    assert costs[10] == "200", "tokens of an episode"


def head_of(table: Table) -> int:
    return list(table.head).index("method") if "method" in table.head else 0


def test_the_report_leads_with_findings_and_a_picture(run: Path) -> None:
    title_, heading, picture, words, table, unjudged, findings, *rest = report([run])
    assert isinstance(title_, Heading)
    assert heading == Heading("Findings")
    assert isinstance(words, Text)
    assert isinstance(table, Table)
    assert isinstance(picture, Picture)
    assert picture.png.startswith(b"\x89PNG")
    assert unjudged == Text("No judge has read the episodes: everything is by reward.")
    assert isinstance(findings, Bullets)
    assert findings.items == [
        "**EagleGym/Plots-v0** (6 methods): largest gain: **beam search (budget=640)** by reward (4.55 [4.00, 5.10]). "
        "6 claims of the paper: agrees 1, contradicts 1, not measured 4."
    ]
    assert Heading("Findings") not in rest


def test_a_method_that_loses_is_reported_as_lost(run: Path) -> None:
    found = read_run(run)
    methods = by_method(found.of("plots"))
    page = "\n".join(markdown(block) for block in contests(methods, standings(found, "plots")))
    assert "Best: **beam search (budget=640)**" in page
    line = next(line for line in page.splitlines() if line.startswith("| EAGLE (latent, G-optimal)"))
    lost = "beam search (budget=640) -2.00; PPO (SB3) -1.00; supervised (latent, G-optimal) -0.50"
    name, *others = (cell.strip() for cell in line.split("|")[1:-1])
    assert (name, others) == ("EAGLE (latent, G-optimal)", ["100.0%", "2", "0", "3", lost])


def test_claims_are_counted_by_verdict(run: Path) -> None:
    table = next(block for block in report([run]) if isinstance(block, Table) and block.head[-1] == "verdict")
    verdicts = ["**contradicts**", "agrees", *["not counted"] * 2, *["not measured"] * 4]
    assert sorted(row[-1] for row in table.body) == verdicts


def test_a_winner_whose_texts_are_badly_formed_is_said_to_be_one(run: Path) -> None:
    for seed in (0, 1):
        path = run / "cells" / f"plots-ppo-{seed}" / "episodes.parquet"
        write_rows([replace(row, valid=i % 2 == 0) for i, row in enumerate(read_rows(path))], path)
    page = text_of([run])
    said = "only 50.0% of its episodes are well-formed"
    best = next(block for block in report([run]) if isinstance(block, Table))
    assert [row[1:3] for row in best.body][:2] == [
        ["best learner", f"**PPO (SB3)** ({said})"],
        ["best with well-formed texts", "**supervised (latent, G-optimal)**"],
    ]
    assert f"- PPO (SB3): {said}" in page
    lines = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
    head = next(line for line in lines if line[3].strip() == "above")
    rows = {line[1].strip(): line[2].strip() for line in lines[lines.index(head) + 1 :][:2]}
    assert head[2].strip() == "well-formed"
    assert rows == {"PPO (SB3)": "50.0%", "supervised (latent, G-optimal)": "100.0%"}


def test_a_best_method_whose_texts_are_badly_formed_is_said_to_be_one(run: Path) -> None:
    for seed in (0, 1):
        path = run / "cells" / f"plots-beam:budget=640-{seed}" / "episodes.parquet"
        write_rows([replace(row, valid=False) for row in read_rows(path)], path)
    found = read_run(run)
    page = "\n".join(markdown(block) for block in contests(by_method(found.of("plots")), standings(found, "plots")))
    assert "Best: **beam search (budget=640)** (only 0.0% of its episodes are well-formed), gain 4.55 " in page


def test_reward_hacking_is_said_where_reward_and_judge_part(run: Path) -> None:
    judge(run, confirmed=0.5)
    assert "**Reward hacking**: for 4 of 6 methods the judges confirm less than was rewarded." in text_of([run])
    judge(run, confirmed=1.0)
    assert "No reward hacking" in text_of([run])


@pytest.mark.parametrize(
    ("rewarded", "confirmed", "gap", "hacked", "share"),
    [
        (Interval(3, 2.8, 3.2), Interval(1.5, 1.2, 1.8), Interval(1.5, 1.3, 1.7), True, "50%"),
        (Interval(3, 2.8, 3.2), Interval(2.9, 2.5, 3.3), Interval(0.1, -0.1, 0.3), False, "97%"),
        (Interval(-1, -2, -0.1), Interval(-2, -3, -1), Interval(1, 0.5, 1.5), False, ""),  # nothing was rewarded
    ],
)
def test_hacking_is_a_reward_that_the_judges_do_not_see(
    rewarded: Interval, confirmed: Interval, gap: Interval, hacked: bool, share: str
) -> None:
    found = Parting("ppo", rewarded, confirmed, gap)
    assert (found.hacked, found.cells[3], found.cells[5]) == (hacked, share, "hacking" if hacked else "")
    for blind in ("uniform", "no_op", "first", "supervised-g_optimal", "reads-uniform"):  # no reward is read
        assert not replace(found, method=blind).hacked
    assert replace(found, method="supervised-optimistic").hacked == hacked


def test_texts_of_other_catalogs_are_not_shown(tmp_path: Path) -> None:
    folder = tmp_path / "ml"
    for method in ("uniform", "ppo"):
        write_cell(folder, method, 0, [1.0, 2.0], environment="movielens", env_id="EagleGym/MovieLens-v0", text=SECRET)
    judge(folder)
    page = text_of([folder])
    assert SECRET not in page
    assert "Latent map" in page
    assert "Episodes side by side" not in page


def test_experiments_with_a_page_of_their_own_are_taken_over(tmp_path: Path) -> None:
    write_json({"experiment": "design"}, tmp_path / "run.json")
    (tmp_path / "REPORT.md").write_text("# Designs\n\ntimes\n\n## Action sets of Plots\n\n| C |\n|---|\n| 1.59 |\n")
    blocks = report([tmp_path])
    at = blocks.index(Heading("Coverage and bias of action sets"))
    assert blocks[at + 1 :] == [Heading("Action sets of Plots", 4), Table(["C"], [["1.59"]])]
    assert Text("times") not in blocks


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("eagle-g_optimal", "EAGLE (latent, G-optimal)"),
        ("ppo-stock", "PPO (SB3, stock policy)"),
        ("beam:budget=640", "beam search (budget=640)"),
        ("elm", "ELM"),
        ("eagle-g_optimal-half", "EAGLE (latent, G-optimal, half the budget)"),
        ("eagle-reads-uniform", "EAGLE (reads text, uniform)"),
        ("reads-uniform", "supervised (reads text, uniform)"),
        ("first", "first offered edit"),
        ("cola", "CoLA"),
        ("grpo_tokens", "GRPO (tokens)"),
        ("my-own", "my-own"),
    ],
)
def test_titles(method: str, words: str) -> None:
    assert title(method) == words
    assert len(colour(method)) == 7


def test_curves_by_hand(run: Path) -> None:
    cells = by_method(read_run(run).of("plots"))
    found = plots.growth(cells["ppo"])
    assert found is not None
    steps, calls, returns = found
    assert (steps.tolist(), calls.tolist()) == ([10, 20], [12, 24])
    assert returns.tolist() == [[0.5, 1.0], [0.5, 2.0]]
    assert plots.growth(cells["uniform"]) is None
    losses = [replace(cell, curve=[{"steps": 1, "loss": 0.1}]) for cell in cells["ppo"]]
    assert plots.growth(losses) is None


# Packed runs


def test_a_packed_run_says_the_same_without_what_is_not_ours(tmp_path: Path) -> None:
    folder, packed = tmp_path / "t1_methods", tmp_path / "reference"
    gains = [0.25, 0.5, 0.75, 1.0]
    for name, env_id, text in (
        ("plots", "EagleGym/Plots-v0", "A film."),
        ("ml", "EagleGym/MovieLens-v0", SECRET),
    ):
        for method in ("uniform", "beam", "ppo"):
            scale = {"uniform": 1.0, "beam": 4.0, "ppo": 2.0}[method]
            write_cell(folder, method, 0, [scale * g for g in gains], environment=name, env_id=env_id, text=text)
    write_plan(folder, planned(methods=("uniform", "beam", "ppo"), seeds=1)  # type: ignore[arg-type]
               | planned("ml", methods=("uniform", "beam", "ppo"), seeds=1))  # type: ignore[arg-type]  # fmt: skip
    (folder / "REPORT.md").write_text("# Own\n\nin /home/somebody/runs/t1_methods\n")
    write_json({"plots": [["one above another", "1", "1", "holds"]]}, folder / "verdicts.json")
    with pytest.raises(PreparationError, match="benchmarks judge"):
        pack(folder, packed)
    judge(folder)
    pack(folder, packed)
    assert (packed / "verdicts.json").read_text() == (folder / "verdicts.json").read_text()
    before, after = read_run(folder), read_run(packed)
    assert (after.experiment, after.size, list(after.plan)) == (before.experiment, before.size, list(before.plan))
    for environment in ("plots", "ml"):
        for one, other in zip(standings(before, environment), standings(after, environment), strict=True):
            assert one.method == other.method
            assert other.gain.estimate == pytest.approx(one.gain.estimate, abs=1e-3)
            assert other.normalised == Interval(*[pytest.approx(x, abs=1e-3) for x in vars_of(one.normalised)])
    kept = {(cell.environment, bool(row.texts)) for cell in after.done for row in cell.rows}
    assert kept == {("plots", True), ("plots", False), ("ml", False)}
    assert {row.user for cell in after.done if cell.environment == "ml" for row in cell.rows} == {"0", "1", "2", "3"}
    assert "Episodes side by side" in (packed / "REPORT.md").read_text()
    for path in packed.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path.name
        assert b"/home/" not in path.read_bytes(), path.name
    pictures = {path.name for path in packed.glob("*.png")}
    assert pictures == {f"reference-{name}.png" for name in ("scores", "plots-gain", "plots-judges", "plots-map")}
    page = (packed / "REPORT.md").read_text()
    assert set(re.findall(r"\]\(([\w-]+\.png)\)", page)) == pictures
    lines = [line for line in page.splitlines() if line]
    empty = [one for one, other in pairwise(lines) if one.startswith("### ") and other.startswith(("### ", "## "))]
    assert empty == [], "headings of pictures that were left out"
    pack(folder, packed)  # again, over itself
    assert sum(path.stat().st_size for path in packed.iterdir()) < 1e6


def vars_of(interval: Interval | None) -> tuple[float, float, float]:
    assert interval is not None
    return interval.estimate, interval.low, interval.high


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run --data /data/ml-latest-small --out runs/t1", "run --data ml-latest-small --out runs/t1"),
        ('"root": "../shared/ml"', '"root": "ml"'),
        ("EagleGym/Plots-v0 from https://example.org/a/b", "EagleGym/Plots-v0 from https://example.org/a/b"),
    ],
)
def test_paths_of_the_machine_are_cut_down(text: str, expected: str) -> None:
    assert without_paths(text) == expected


def test_keyed_scores_are_gains(run: Path) -> None:
    cells = by_method(read_run(run).of("plots"))["uniform"]
    assert keyed(cells)[:2] == [(0, 0, "u0", 0.0), (0, 1, "u1", 1.0)]
