"""Studies: what is drawn, who sees it, and what a version covers."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.__main__ import main
from benchmarks.rating.assignment import assign, divide
from benchmarks.rating.checks import attention_check, gold_item
from benchmarks.rating.make import make_study
from benchmarks.rating.sampling import NOT_EDITS, Pool, draw_samples, shown
from benchmarks.rating.settings import DEFAULTS, read_settings
from benchmarks.rating.study import Showing, Shown, Task, read_study
from benchmarks.running.runs import read_run
from eagle_gym.errors import ConfigurationError, PreparationError
from tests.benchmarks.made_runs import rows
from tests.benchmarks.rating.studies import METHODS, describe, make_run, small_settings, small_study

DEFAULT = read_settings(DEFAULTS)


def task(name: str, *methods: str, user: str = "u0", edits: tuple[str, ...] = ("Add a dog.",)) -> Task:
    texts = tuple(Shown(method, f"{name} by {method} has a dog and a cat and two birds.", edits) for method in methods)
    return Task("", "task", "plots", 0, 0, user, "Likes dogs.", (), f"{name}: a film about one cat in a box.", texts)


def test_samples_take_methods_seeds_and_users_in_turn(tmp_path: Path) -> None:
    pool = Pool.of([read_run(make_run(tmp_path, seeds=2, count=8))], (), np.random.default_rng(0))
    for paired, per_sample in ((False, 1), (True, 2)):
        samples = draw_samples(pool, 24, np.random.default_rng(1), paired=paired)
        assert len({(item.start, item.methods) for item in samples}) == 24
        methods = Counter(name for item in samples for name in item.methods)
        assert set(methods) == set(METHODS)
        assert set(methods.values()) == {24 * per_sample // 3}
        within = Counter((item.methods, item.start[1]) for item in samples)
        assert set(within.values()) == {4}
        users = Counter(pool.rows[item.start][item.methods[0]].user for item in samples)
        assert max(users.values()) - min(users.values()) <= 1


def test_equal_seeds_make_equal_studies_and_other_seeds_others(tmp_path: Path) -> None:
    one, two = (small_study(tmp_path / name, seed=3) for name in ("one", "two"))
    other = small_study(tmp_path / "other", seed=4)
    assert (one.tasks, one.slots) == (two.tasks, two.slots)
    assert one.slots != other.slots


def test_a_study_is_read_as_it_was_made(tmp_path: Path) -> None:
    made = small_study(tmp_path, text="Line one.\u2028Line “two” & <b>three</b>.\x85 The end of it all is near.")
    assert read_study(made.folder) == made
    with pytest.raises(PreparationError, match="holds a study"):
        small_study(tmp_path)


@pytest.mark.parametrize("name", ["study.toml", "tasks.jsonl", "slots.jsonl", "study.json"])
def test_every_file_counts_for_the_version(tmp_path: Path, name: str) -> None:
    study = small_study(tmp_path)
    path = study.folder / name
    path.write_text(path.read_text() + "\n")
    assert read_study(study.folder).version != study.version


@settings(max_examples=60, deadline=None)
@given(
    scales=st.integers(0, 12),
    pairs=st.integers(0, 12),
    raters=st.integers(1, 4),
    size=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_assignment(scales: int, pairs: int, raters: int, size: int, seed: int) -> None:
    design = DEFAULT.design.__class__(raters, size, 3, 0.1, 0.1, 0.05)
    chosen = DEFAULT.__class__(**{**vars(DEFAULT), "design": design})
    tasks = [task(f"Film {i}", "a", user=f"u{i % 3}") for i in range(scales)]
    tasks += [task(f"Pair {i}", "a", "b", user=f"u{i % 3}") for i in range(pairs)]
    if not tasks:
        return
    found, slots = assign(tasks, chosen, np.random.default_rng(seed))
    by_id = {item.id: item for item in found}
    assert len(by_id) == len(found)

    def is_first(item: Showing) -> bool:
        return by_id[item.task].role == "task" and not item.again

    holders = Counter(item.task for slot in slots for item in slot if is_first(item))
    assert set(holders.values()) == {raters}
    lengths = [sum(by_id[item.task].role == "task" and not item.again for item in slot) for slot in slots]
    assert max(lengths) - min(lengths) <= 1
    for slot in slots:
        assert len({item.id for item in slot}) == len(slot)
        roles = Counter(by_id[item.task].role for item in slot)
        assert roles["attention"] >= 1
        assert roles["gold"] >= 1
        for item in slot:
            if item.again:
                first = next(other for other in slot if other.task == item.task and not other.again)
                assert first.swapped != item.swapped
                assert slot.index(first) < slot.index(item)
    if pairs:
        for name in (item.id for item in found if item.role == "task" and item.paired):
            sides = [item.swapped for slot in slots for item in slot if item.task == name and not item.again]
            assert abs(2 * sum(sides) - len(sides)) <= 1


def test_shares_of_checks_and_repeats_and_balanced_sides(tmp_path: Path) -> None:
    tasks = [task(f"Film {i}", "a", user=f"u{i}") for i in range(30)]
    tasks += [task(f"Pair {i}", "a", "b", user=f"u{i}") for i in range(30)]
    found, slots = assign(tasks, DEFAULT, np.random.default_rng(0))
    by_id = {item.id: item for item in found}
    shown = [item for slot in slots for item in slot]
    share = {role: sum(by_id[item.task].role == role for item in shown) / len(shown) for role in ("attention", "gold")}
    assert 0.08 <= share["attention"] <= 0.12
    assert 0.035 <= share["gold"] <= 0.065
    pairs = [item for item in shown if by_id[item.task].paired and by_id[item.task].role == "task" and not item.again]
    assert sum(item.swapped for item in pairs) == len(pairs) / 2
    repeats = sum(item.again for item in shown)
    assert 0.05 <= repeats / len(pairs) <= 0.15
    assert len({tuple(item.task for item in slot) for slot in slots}) == len(slots)


def test_ids_and_places_do_not_tell_checks_from_tasks(tmp_path: Path) -> None:
    tasks = [task(f"Film {i}", "a", user=f"u{i}") for i in range(60)]
    found, slots = assign(tasks, DEFAULT, np.random.default_rng(0))
    by_id = {item.id: item for item in found}
    numbers = {role: [int(item.id[1:]) for item in found if (item.role == "task") == role] for role in (True, False)}
    assert abs(np.mean(numbers[True]) - np.mean(numbers[False])) < len(found) / 5
    places = [i / len(slot) for slot in slots for i, item in enumerate(slot) if by_id[item.task].role != "task"]
    assert 0.3 < np.mean(places) < 0.7


def test_a_slot_avoids_a_user_it_has_met() -> None:
    tasks = [task(f"Film {i}", "a", user=f"u{i // 2}") for i in range(24)]
    slots = divide(tasks, 3, 6, np.random.default_rng(0))
    twice = sum(len(slot) - len({tasks[i].user for i in slot}) for slot in slots)
    assert twice <= 6
    assert all(len(set(slot)) == len(slot) for slot in slots)


def test_an_attention_check_says_what_passes_it() -> None:
    for seed in range(20):
        single = attention_check(task("Film", "a"), DEFAULT, np.random.default_rng(seed))
        (answer,) = set(single.expected.values())
        assert f'answer "{DEFAULT.scale[int(answer[0]) - 1]}" to every question' in single.texts[0].text
        paired = attention_check(task("Film", "a", "b"), DEFAULT, np.random.default_rng(seed))
        (answer,) = set(paired.expected.values())
        told = [i for i, item in enumerate(paired.texts) if "If you are reading this" in item.text]
        assert len(told) == 1
        assert ('"no difference"' in paired.texts[told[0]].text) == (answer == ("same",))
        assert answer == ("same",) or answer == (str(told[0]),)


def test_gold_items_have_texts_that_nobody_misjudges() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        base = task("Film", "a", "b")
        copied = gold_item(base, "copied", "different", rng)
        (place,) = [i for i, item in enumerate(copied.texts) if item.text == base.original]
        assert copied.expected == {"different": (str(1 - place),)}
        mixed = gold_item(task("Film", "a"), "scrambled", "well_written", rng)
        assert sorted(mixed.texts[0].text.split()) == sorted(base.texts[0].text.split())
        assert mixed.expected == {"well_written": ("1", "2")}


def test_raters_are_asked_about_edits_only_where_there_are_some() -> None:
    names = [item.name for item in task("Film", "a", edits=()).asked(DEFAULT.criteria)]
    assert names == [item.name for item in DEFAULT.criteria if item.name != "follows"]
    row = rows("elm", 0, [1.0])[0]
    fields = {name: getattr(row, name) for name in row.__slots__}
    assert shown(row.__class__(**fields | {"edits": NOT_EDITS})).edits == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("main = \"serves\"", "main = \"taste\""), "main to be one of"),
        (("attention = 0.75", "atention = 0.75"), "missing \\['attention'\\], unknown \\['atention'\\]"),
        (("gold = 0.5 ", "gold = 1.5 "), "shares from 0 to 1"),
        (("raters = 3 ", "raters = 0 "), "at least 1"),
        (("raters = 3 ", "raters = 2.5 "), "raters to be a whole number"),
        (("\"partly\"", "\"a little\""), "5 different words"),
        (("copied = ", "copy = "), "gold_items to map"),
        (("name = \"enjoy\"", "name = \"serves\""), "different names"),
        (("title = \"Texts", "title = \"Texts\nfor"), "expected settings in TOML"),
        (("\nshows = \"edits\"", "\nshows = \"all\""), "show 'edits' or nothing"),
        (("name = \"enjoy\"", "name = \"En joy\""), "small letters"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "my.toml"
    text = DEFAULTS.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    with pytest.raises(ConfigurationError, match=message):
        read_settings(path)


def test_what_cannot_be_a_study_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for message, kwargs in (
        ("at least one", {"scales": 0, "pairs": 0}),
        ("two methods", {"methods": ["ppo"]}),
        (r"got \['a3c'\]", {"methods": ["ppo", "a3c"]}),
    ):
        with pytest.raises(ConfigurationError, match=message):
            make_study([run], tmp_path / "study", describe=describe, **kwargs)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="twice"):
        make_study([run, run], tmp_path / "study", describe=describe)
    assert not (tmp_path / "study").exists()
    with pytest.raises(PreparationError, match="is no study"):
        read_study(tmp_path)


def test_no_two_neighbours_are_a_pair_and_its_repeat(tmp_path: Path) -> None:
    _, slots = assign([task(f"Pair {i}", "a", "b") for i in range(40)], DEFAULT, np.random.default_rng(0))
    assert all(one.task != two.task for slot in slots for one, two in pairwise(slot))


def test_the_command_makes_a_study_of_a_real_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Profile and liked items come from the catalog: for a user of Plots, from support ratings only."""
    from benchmarks.running import Cell, Options, run_cells

    kwargs = {"language_model": "grammar", "effects": "rollout"}
    cells = [Cell("plots", "EagleGym/Plots-v0", name, 0, 4, 4, kwargs) for name in ("no_op", "uniform")]
    run_cells(cells, Options("smoke", tmp_path / "run"))
    out = tmp_path / "study"
    command = ["rate", str(tmp_path / "run"), "--out", str(out), "--scales", "4", "--pairs", "2"]
    assert main([*command, "--settings", str(small_settings(tmp_path, tasks_per_rater="6"))]) == 0
    said = capsys.readouterr().out
    assert "4 texts to rate and 2 pairs to compare, of 2 methods" in said
    assert "invite" in said
    study = read_study(out)
    assert all(item.profile and len(item.liked) == 3 for item in study.tasks)
    assert {item.user for item in study.tasks} == {row.user for row in read_run(tmp_path / "run").done[0].rows}
    assert json.loads((out / "study.json").read_text())["runs"][0]["hashes"]["plots"]["catalog"]
