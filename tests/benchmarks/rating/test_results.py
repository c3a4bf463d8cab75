"""What ratings say: known answers, simulated raters, files, and people as a judge."""

from __future__ import annotations

import csv
import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks.__main__ import main
from benchmarks.judging.people import agreements, concordance
from benchmarks.rating.agreement import alpha, alphas
from benchmarks.rating.answers import Answer, answers_to, pairs
from benchmarks.rating.estimates import mean_opinion, nested, preferred
from benchmarks.rating.exclusion import exclude
from benchmarks.rating.export import add_ratings
from benchmarks.rating.label_studio import PAIR_WORDS, read_annotations, task_of
from benchmarks.rating.make import make_study
from benchmarks.rating.records import Rater, Rating
from benchmarks.rating.results import Results
from benchmarks.rating.simulated import Clock, SimulatedRater, simulate
from benchmarks.rating.store import Store
from benchmarks.rating.strengths import strengths
from benchmarks.rating.study import Shown, Task, read_study
from benchmarks.rating.write import write_results
from benchmarks.reporting.build import write_report
from benchmarks.running.people import PEOPLE, read_people
from benchmarks.running.runs import read_run
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.benchmarks.made_runs import judge, write_plan
from tests.benchmarks.rating.studies import METHODS, describe, make_run, small_settings, small_study

pytest.importorskip("evalica", reason="evalica is not installed: pip install 'eagle_gym[rating]'")
import evalica
import pandas as pd

RNG = np.random.default_rng
TASTE = {"eagle": 1.5, "ppo": 0.0, "uniform": -1.5}


def quality(task: Task, name: str, own: str) -> np.ndarray[Any, Any]:
    return np.array([TASTE[item.method] for item in task.texts])


def answer(rater: str, task: str, value: float, *methods: str, swapped: bool = False, user: str = "") -> Answer:
    texts = tuple(Shown(name, "x") for name in methods or ("a",))
    return Answer(rater, Task(task, "task", "w", 0, 0, user or task, "", (), "o", texts), value, swapped, False)


def taken(folder: Path, noise: float = 0.3, careless: int = 0, **kwargs: Any) -> Results:
    """A study that simulated raters have taken."""
    run = make_run(folder / "run")
    settings = small_settings(folder, tasks_per_rater="12")
    study = make_study([run], folder / "study", settings=settings, describe=describe, simulated=True,
                       **({"scales": 12, "pairs": 24} | kwargs))  # fmt: skip
    clock = Clock()
    raters = [SimulatedRater("u0", noise, i < careless) for i in range(len(study.slots) + careless)]
    with Store(study, clock) as store:
        simulate(store, raters, quality, RNG(0), clock)
        return Results.of(store, 200)


def test_alpha_is_krippendorffs() -> None:
    """His example of four observers and twelve units (2011), ordinal alpha 0.815."""
    table = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, np.nan, np.nan, np.nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, np.nan, 3],
            [np.nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, np.nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, np.nan],
        ]
    )
    answers = [answer(f"r{i}", f"t{j}", value) for (i, j), value in np.ndenumerate(table) if np.isfinite(value)]
    found = alpha(answers, RNG(0), 500)
    assert found is not None
    assert found.estimate == pytest.approx(0.815, abs=1e-3)
    assert found.low < found.estimate < found.high <= 1


def test_alphas_are_those_of_evalica() -> None:
    rng = RNG(1)
    table = rng.integers(1, 6, (5, 30)).astype(float)
    table[rng.random(table.shape) < 0.3] = np.nan
    table = table[:, (~np.isnan(table)).sum(axis=0) >= 2]
    weights = rng.multinomial(table.shape[1], np.full(table.shape[1], 1 / table.shape[1]), size=20)
    drawn = [pd.DataFrame(table[:, np.repeat(np.arange(table.shape[1]), row)]) for row in weights]
    expected = [evalica.alpha(frame, distance="ordinal").alpha for frame in drawn]
    np.testing.assert_allclose(alphas(table, weights), expected, atol=1e-9)


def test_the_interval_of_alpha_holds_the_truth() -> None:
    """Thirty tasks, three raters each. The truth is alpha over very many tasks."""

    def answers(tasks: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        quality = rng.normal(size=tasks)
        return np.clip(np.rint(3 + quality + 0.5 * rng.normal(size=(3, tasks))), 1, 5)

    truth = alphas(answers(200_000, RNG(0)), np.ones((1, 200_000), np.int64))[0]
    held = 0
    for seed in range(100):
        table = answers(30, RNG([1, seed]))
        rows = [answer(f"r{i}", f"t{j}", value) for (i, j), value in np.ndenumerate(table)]
        found = alpha(rows, RNG(seed), 300)
        assert found is not None
        held += found.low <= truth <= found.high
    assert held >= 86


def test_alpha_of_pairs_does_not_depend_on_which_text_is_called_the_first() -> None:
    values = RNG(0).integers(-1, 2, (3, 20)).astype(float)
    flips = RNG(1).choice([-1.0, 1.0], 20)
    found = [
        alpha([answer(f"r{i}", f"t{j}", value, "a", "b") for (i, j), value in np.ndenumerate(some)], RNG(0), 50)
        for some in (values, values * flips, np.ones((3, 20)))
    ]
    assert found[0] == found[1]
    assert found[2] is not None
    assert found[2].estimate == 1.0


def test_alpha_needs_two_raters_and_two_answers() -> None:
    assert alpha([answer("a", "t", 1), answer("a", "s", 2)], RNG(0), 10) is None
    assert alpha([answer("a", "t", 3), answer("b", "t", 3)], RNG(0), 10) is None


def test_strengths_of_two_methods_are_log_odds() -> None:
    answers = [answer(f"r{i}", f"t{i}", 1.0, "a", "b") for i in range(6)]
    answers += [answer(f"s{i}", f"s{i}", -1.0, "a", "b") for i in range(2)]
    answers += [answer("q", f"q{i}", 0.0, "a", "b") for i in range(2)]
    first, second = strengths(answers, RNG(0), 100)
    assert (first.method, second.method) == ("b", "a")
    gap = first.strength.estimate - second.strength.estimate
    assert gap == pytest.approx(math.log((6 + 1 + 0.5) / (2 + 1 + 0.5)), abs=1e-4)
    assert first.wins.estimate == pytest.approx(0.7)
    assert first.comparisons == 10
    won = strengths([answer(f"r{i}", f"t{i}", 1.0, "a", "b") for i in range(5)], RNG(0), 100)
    assert all(np.isfinite([item.strength.low, item.strength.high]).all() for item in won)


def test_strengths_are_the_likeliest() -> None:
    rng, names = RNG(0), ("a", "b", "c", "d")
    answers = [
        answer(f"r{i % 5}", f"t{i}", float(rng.integers(-1, 2)), *sorted(rng.choice(names, 2, replace=False)))
        for i in range(60)
    ]

    def loss(x: np.ndarray[Any, Any]) -> float:
        total = 0.0
        games = [(*item.task.methods, (item.value + 1) / 2, 1.0) for item in answers]
        games += [(one, two, 0.5, 1 / 3) for i, one in enumerate(names) for two in names[i + 1 :]]
        for one, two, share, weight in games:
            gap = x[names.index(two)] - x[names.index(one)]
            total += weight * (share * np.logaddexp(0, -gap) + (1 - share) * np.logaddexp(0, gap))
        return total

    best = minimize(loss, np.zeros(4)).x
    found = {item.method: item.strength.estimate for item in strengths(answers, RNG(0), 20)}
    np.testing.assert_allclose([found[name] for name in names], best - best.mean(), atol=1e-3)


def test_means_are_resampled_over_raters_users_and_their_tasks() -> None:
    """Of a user who is drawn, the tasks are drawn again; all answers of one rater share a count."""
    answers = [answer(f"r{i}", f"t{u}{t}", 3.0, user=f"u{u}") for i in range(3) for u in range(4) for t in range(2)]
    weights = nested(answers, RNG(0), 4000)
    table = weights.reshape(len(weights), 3, 4, 2)
    raters = table.sum(axis=(2, 3))
    assert raters.sum(axis=1).mean() == pytest.approx(24, rel=0.02)
    by_user = table.sum(axis=(1, 3)) / 3
    assert by_user.mean() == pytest.approx(2, rel=0.02)
    sums = table.sum(axis=(2, 3), keepdims=True)
    assert np.all(table[:, 0] * sums[:, 1] == table[:, 1] * sums[:, 0])
    found = mean_opinion([answer("a", "t", 2), answer("b", "t", 4)], RNG(0), 500)
    assert found is not None
    assert (found.estimate, found.low, found.high) == (3, 2, 4)


def test_one_rater_who_likes_the_first_text_widens_the_interval() -> None:
    same = [answer(f"r{i}", f"t{i}", 1.0 if i % 2 else -1.0, "a", "b") for i in range(40)]
    one = [answer(f"r{i // 20}", f"t{i}", 1.0 if i // 20 else -1.0, "a", "b") for i in range(40)]
    spread = [found.high - found.low for some in (same, one) if (found := preferred(some, RNG(0), 500))]
    assert spread[0] < spread[1]


def test_simulated_raters_are_recovered(tmp_path: Path) -> None:
    results = taken(tmp_path, noise=0.3)
    assert [item.method for item in results.strengths("serves", "plots")] == list(METHODS)
    means = results.means("serves", "plots")
    assert means["eagle"].low > means["uniform"].high
    noisy = taken(tmp_path / "noisy", noise=5.0)
    for clear, blurred in zip(results.alphas("serves"), noisy.alphas("serves"), strict=True):
        assert clear is not None
        assert blurred is not None
        assert clear.estimate > 0.5 > blurred.estimate + 0.2
    assert results.passed("attention") == (results.passed("attention")[1],) * 2
    assert results.excluded == {}
    assert min(results.coverage()) >= 3
    bias = results.bias("serves")
    assert bias is not None
    assert bias.kept == 1.0
    assert bias.repeats > 0


def test_careless_raters_are_excluded_with_reasons(tmp_path: Path) -> None:
    results = taken(tmp_path, careless=2)
    ids = [rater.id for rater in results.raters]
    assert set(results.excluded) == set(ids[:2])
    assert all("passed, less than" in " ".join(why) for why in results.excluded.values())
    counted = {item.rater for item in results.answers("serves")}
    assert counted == set(ids[2:])


def test_answers_know_the_side_and_the_text(tmp_path: Path) -> None:
    """A rater who always takes the first text shows as position bias, and as no preference between texts."""
    study = small_study(tmp_path, scales=0, pairs=9)
    ratings = [
        Rating(f"r{i}", item.id, item.task, place, item.swapped, item.again,
               {c.name: "first" for c in study.by_id[item.task].asked(study.settings.criteria)}, 0.0, 10.0)
        for i, slot in enumerate(study.slots) for place, item in enumerate(slot)
    ]  # fmt: skip
    raters = [Rater(f"r{i}", i, 0.0, i, 0.0, 1.0, "") for i in range(len(study.slots))]
    found = answers_to(study, ratings, "serves")
    assert {item.side for item in found} == {-1.0}
    assert {item.value for item in found if item.swapped} == {1.0}
    bias = Results(study, tuple(raters), tuple(ratings), 100).bias("serves")
    assert bias is None  # attention checks caught all of them
    lenient = exclude(study, raters, ratings)
    assert set(lenient) == {rater.id for rater in raters}
    assert len(pairs(found)) == 27


@pytest.mark.parametrize(
    ("right", "seconds", "rated", "why"),
    [
        (True, 10.0, 1.0, ""),
        (True, 2.0, 1.0, "median time 2.0 s"),
        (False, 10.0, 1.0, "attention checks passed"),
        (True, 10.0, 0.1, "tasks rated, less than 25%"),
    ],
)
def test_each_condition_of_the_rule(tmp_path: Path, right: bool, seconds: float, rated: float, why: str) -> None:
    study = small_study(tmp_path)
    slot = study.slots[0]
    rater = SimulatedRater("u0", 0.1)
    ratings = []
    for place, item in enumerate(slot[: math.ceil(rated * len(slot))]):
        task = study.by_id[item.task]
        answers = rater.answer(task, study.settings.criteria, quality, item.swapped, RNG(place))
        if task.role == "attention" and not right:
            answers |= {"serves": next(name for name in task.choices() if name != answers["serves"])}
        ratings.append(Rating("r", item.id, item.task, place, item.swapped, item.again, answers, 0.0, seconds))
    found = exclude(study, [Rater("r", 1, 0.0, 0, 0.0, None, "")], ratings)
    assert bool(found) == bool(why)
    assert why in " ".join(found.get("r", []))


def test_files_hold_everything_and_are_read_again(tmp_path: Path) -> None:
    results = taken(tmp_path)
    folder = results.study.folder
    with Store(results.study) as store:
        store.set_note(store.raters()[0], "=SUM(1)\nA note, with “marks”.")
    paths = write_results(folder, replicates=50)
    out = folder / "results"
    assert {path.name for path in paths} == {
        "RATINGS.md", "ratings.csv", "ratings.jsonl", "raters.jsonl", "tasks.json", "interface.xml", PEOPLE,
    }  # fmt: skip
    lines = [json.loads(line) for line in (out / "ratings.jsonl").read_text().splitlines()]
    with (out / "ratings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(lines) == len(results.ratings)
    assert len(rows) == sum(len(line["answers"]) for line in lines)
    for line in (*lines, *rows):
        assert line["study"] == results.study.version
        assert str(line["seed"]) == "0"
        assert line["consent_at"] <= line["shown_at"] <= line["rated_at"]
        assert float(line["seconds"]) > 0
        assert str(line["simulated"]) == "True"
    assert "SUM" not in (out / "ratings.csv").read_text()
    raters = [json.loads(line) for line in (out / "raters.jsonl").read_text().splitlines()]
    assert raters[0]["note"].startswith("=SUM(1)")
    assert raters[0]["consent"] == results.study.settings.consent
    assert not any("token" in line for line in raters)
    for names in (["ratings.jsonl", "raters.jsonl"], ["ratings.csv"]):
        (folder / "ratings.db").unlink()
        for path in folder.glob("ratings.db-*"):
            path.unlink()
        with Store(results.study) as store:
            for name in names:
                add_ratings(store, out / name)
                assert add_ratings(store, out / name) == 0
            found = Results.of(store, 200)
        assert [(*vars(item).values(),)[:7] for item in sorted(found.ratings, key=place)] == [
            (*vars(item).values(),)[:7] for item in sorted(results.ratings, key=place)
        ]
        np.testing.assert_allclose(
            [item.seconds for item in sorted(found.ratings, key=place)],
            [item.seconds for item in sorted(results.ratings, key=place)], atol=1e-4
        )  # fmt: skip
        assert found.strengths("serves", "plots")[0].strength == results.strengths("serves", "plots")[0].strength


def place(item: Rating) -> tuple[str, int]:
    return item.rater, item.position


def test_ratings_of_another_study_are_refused(tmp_path: Path) -> None:
    results = taken(tmp_path)
    write_results(results.study.folder, replicates=20)
    other = small_study(tmp_path / "other")
    path = results.study.folder / "results" / "ratings.jsonl"
    with Store(other) as store:
        for wrong, message in ((path, "expected ratings of the study"), (tmp_path / "none.jsonl", "file of ratings")):
            with pytest.raises(ConfigurationError, match=message):
                add_ratings(store, wrong)
        path.write_text(path.read_text().replace('"study": "' + results.study.version, '"study": "' + other.version))
        with pytest.raises(ConfigurationError, match=r"answers of the study|file of ratings"):
            add_ratings(store, path)
        assert store.ratings() == []
    with pytest.raises(PreparationError, match="no ratings yet"):
        write_results(other.folder)


def test_label_studio_shows_all_that_raters_see_and_its_answers_come_back(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    tasks = [task_of(task, study) for task in study.tasks]
    said = json.dumps(tasks)
    assert not any(word in said for word in ("attention", "gold", '"method'))
    exported = []
    for number, item in enumerate(tasks):
        task = study.by_id[item["data"]["task"]]
        words = dict(zip("12345", study.settings.scale, strict=True)) | PAIR_WORDS
        given = {c.name: task.choices()[number % 3] for c in task.asked(study.settings.criteria)}
        result = [
            {"type": "choices", "from_name": name, "to_name": "text_1", "value": {"choices": [words[value]]}}
            for name, value in given.items()
        ]
        whole = {"completed_by": 7, "created_at": "2026-01-02T03:04:05.678Z", "lead_time": 12.5, "result": result}
        partly = {**whole, "completed_by": {"id": 8}, "result": result[1:]}
        exported.append({"data": item["data"], "annotations": [whole, partly]})
    raters, ratings = read_annotations(study, exported)
    assert [rater.id for rater in raters] == ["label-studio-7"]
    assert len(ratings) == len(tasks)
    assert {item.seconds for item in ratings} == {12.5}
    assert ratings[1].answers["serves"] == study.by_id[ratings[1].task].choices()[1]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(exported))
    assert main(["ratings", str(study.folder), "--add", str(path), "--replicates", "20"]) == 0
    names = {item.get("name") for item in ET.parse(study.folder / "results/label_studio/interface.xml").iter("Choices")}
    assert names == {item.name for item in study.settings.criteria}
    data = {f"${name}" for name in tasks[0]["data"]}
    shown = {item.get("value") for item in ET.parse(study.folder / "results/label_studio/interface.xml").iter("Text")}
    assert shown <= data


def test_people_stand_in_the_report_next_to_the_other_judges(tmp_path: Path) -> None:
    results = taken(tmp_path)
    run = tmp_path / "run"
    cells = {f"plots-{method}-{seed}": (method, seed, "plots") for method in METHODS for seed in range(2)}
    write_plan(run, cells)
    judge(run)
    write_results(results.study.folder, replicates=50)
    page, _ = write_report([run], tmp_path / "report")
    text = page.read_text()
    assert "Simulated raters as judges" in text
    assert "**The raters are simulated**" in text
    for name in ("reward", "true taste", "second opinion"):
        assert f"\n| {name} " in text
    assert (results.study.folder / "results" / "RATINGS.md").read_text().count("**The raters are simulated**") >= 2
    found = read_people(read_run(run))["plots"]
    assert len(found.opinions) == 12
    assert len(found.preferences) == 24


def test_agreement_of_a_judge_who_says_the_same_is_full(tmp_path: Path) -> None:
    taken(tmp_path, noise=0.01)
    write_results(tmp_path / "study", replicates=50)
    run = read_run(tmp_path / "run")
    people = read_people(run)["plots"]
    found = {item.judge: item for item in agreements(run, "plots", people, RNG(0), 100)}
    assert set(found) == {"reward", "affinity"}  # nobody has judged the run
    reward = found["reward"]
    assert reward.concordance is not None
    assert reward.correlation is not None
    assert reward.concordance.estimate == 0.0  # in this made-up run the last method has the largest gains
    assert reward.correlation.estimate < -0.9
    assert concordance(np.array([1.0, -1.0, 0.5, -0.5]), np.array([2.0, -0.1, -1.0, 0.0])) == 0.625


def test_opinions_of_episodes_that_were_repeated_are_left_out(tmp_path: Path) -> None:
    taken(tmp_path)
    write_results(tmp_path / "study", replicates=20)
    before = read_people(read_run(tmp_path / "run"))["plots"]
    make_run(tmp_path / "run", methods=("eagle",), count=3)  # eagle has other episodes now, and half as many
    after = read_people(read_run(tmp_path / "run"))["plots"]
    assert 0 < len(after.opinions) < len(before.opinions)
    (tmp_path / "run" / PEOPLE).write_text('{"plots": {"study": 1}}')
    with pytest.raises(PreparationError, match="run `ratings` again"):
        read_people(read_run(tmp_path / "run"))


def test_a_study_for_people_takes_no_simulated_raters(tmp_path: Path) -> None:
    study = read_study(small_study(tmp_path).folder)
    with Store(study, Clock()) as store, pytest.raises(ConfigurationError, match="made for people"):
        simulate(store, [SimulatedRater("u0", 1.0)], quality, RNG(0), Clock())


