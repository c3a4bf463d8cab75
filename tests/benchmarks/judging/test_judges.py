"""Judges: they know what they should, see nothing that they should not, and measure what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.image import imread

import benchmarks.judging.judge_run
import benchmarks.running.fingerprints
from baselines.evaluate import EpisodeRow
from benchmarks.__main__ import main
from benchmarks.judging import judges, second_opinion
from benchmarks.judging.judges import Judges
from benchmarks.judging.measures import edits_between, gradients, steering, well_formed
from benchmarks.judging.model_judge import ModelJudge, number_in
from benchmarks.judging.second_opinion import SecondOpinion
from benchmarks.judging.true_taste import TrueTaste, agreement, unseen_texts
from benchmarks.running.cells import Cell
from benchmarks.running.files import read_json
from benchmarks.running.options import Options
from benchmarks.running.records import LatentMap
from benchmarks.running.run import run_cells
from benchmarks.running.runs import read_run, rows_of
from eagle_gym.catalog import Catalog, Split, load_plots, plots_world, split_catalog
from eagle_gym.envs.opening import make_world
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language.model import Completion, Usage
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.replay import RecordedModel, ReplayedModel
from eagle_gym.latent import ContentGap, LatentSpace, SpaceParameters, UtilityParts, fit_space
from tests.latent.conftest import with_ratings


@pytest.fixture(scope="module")
def plots() -> Catalog:
    return load_plots()


@pytest.fixture(scope="module")
def true_taste(plots: Catalog) -> TrueTaste:
    return TrueTaste(plots)


@pytest.fixture(scope="module")
def small() -> Catalog:
    return plots_world.make_plots(seed=3, films=120, users=60).catalog


@pytest.fixture(scope="module")
def split(small: Catalog) -> Split:
    return split_catalog(small)


@pytest.fixture(scope="module")
def space(small: Catalog, split: Split) -> LatentSpace:
    return fit_space(small, split, SpaceParameters(dim=4, sweeps=3, encoder_ridge=30.0))


def row(texts: Sequence[str], user: str, item: str, **changes: object) -> EpisodeRow:
    steps = len(texts) - 1
    made = EpisodeRow(
        *("ppo", 0, 1, user, item, steps, 1.5, 1.0, 0.5, 0.0, 0.0, 50.0, 80.0, True),
        *((0.0,) * (steps + 1), tuple(texts), ("edit",) * steps, ((0.0,),) * (steps + 1)),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


# True tastes


def test_true_tastes_are_those_behind_the_ratings(plots: Catalog, true_taste: TrueTaste) -> None:
    tastes = plots_world.make_plots().tastes
    users, texts = ["u0003", "u0950"], plots.texts[:2]
    np.testing.assert_allclose(true_taste.rate(users, texts), tastes.rate([3, 950], texts))
    np.testing.assert_allclose(true_taste.rate_all(np.array([3, 950]), texts).diagonal(), tastes.rate([3, 950], texts))


def test_true_ratings_are_measured_against_the_catalog(plots: Catalog, true_taste: TrueTaste) -> None:
    standard = true_taste.standard(["u0007"] * len(plots.texts), plots.texts)
    assert standard.std() == pytest.approx(1)


def test_what_stands_in_a_broken_text_is_rated(true_taste: TrueTaste) -> None:
    whole, broken = "A dark war film.", "A dark war film set in"
    assert true_taste.rate(["u0000"], [whole]) == true_taste.rate(["u0000"], [broken])


def test_nobody_knows_the_tastes_of_real_users(small: Catalog) -> None:
    with pytest.raises(ConfigurationError, match="only known for the catalog 'plots'"):
        TrueTaste(small)


def test_agreement_is_with_unseen_texts(plots: Catalog, true_taste: TrueTaste, split: Split) -> None:
    texts = unseen_texts(plots, 40)
    assert not set(texts) & set(plots.texts)

    class Oracle:
        """Predicts true ratings, of one user upside down."""

        encoder = type("", (), {"encode": staticmethod(lambda texts: np.arange(len(texts))[:, None])})
        users = np.arange(len(plots.users))[:, None]

        def predict(self, z: np.ndarray, users: np.ndarray) -> np.ndarray:
            true = true_taste.rate_all(users[:1, 0], texts)[0]
            return -true if users[0, 0] == 2 else 3 * true + 1

    found = agreement(true_taste, plots, Oracle(), np.array([0, 1]), 40)  # type: ignore[arg-type]
    assert (found.mean, found.low, found.users) == (pytest.approx(1), pytest.approx(1), 2)
    assert agreement(true_taste, plots, Oracle(), np.array([1, 2]), 40).mean == pytest.approx(0)  # type: ignore[arg-type]


# The second opinion


@pytest.fixture
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_opinion, "SECOND", (SpaceParameters(dim=2, sweeps=3), SpaceParameters(dim=3, sweeps=3)))


@pytest.mark.usefixtures("few_choices")
def test_the_second_opinion_reads_the_judges_ratings_alone(small: Catalog, split: Split) -> None:
    own = SecondOpinion(small, split)
    assert SecondOpinion(with_ratings(small, split.support), split).space.fingerprint == own.space.fingerprint
    assert SecondOpinion(with_ratings(small, split.judge), split).space.fingerprint != own.space.fingerprint
    assert np.isfinite(own.quality.text)


@pytest.mark.usefixtures("few_choices")
def test_the_second_opinion_speaks_of_test_users_in_standard_deviations(small: Catalog, split: Split) -> None:
    own = SecondOpinion(small, split)
    user = small.users[split.test_users[0]]
    assert own.standard([user] * len(small.texts), small.texts).std() == pytest.approx(1, abs=0.1)
    with pytest.raises(ConfigurationError, match="has no user"):
        own.standard([small.users[split.train_users[0]]], small.texts[:1])


# A language model


class Scripted:
    """Answers by the text; counts what it is asked."""

    name, fingerprint, language, deterministic = "scripted", "f00d", "free", False

    def __init__(self) -> None:
        self.usage, self.asked = Usage(), []

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        self.asked += prompts
        return [
            Completion({"good": "9", "bad": "2/10"}.get(prompt.text, "who knows"), 1, 1, "stop") for prompt in prompts
        ]

    def close(self) -> None:
        """Nothing is open."""


def test_a_model_judges_and_its_answers_replay(tmp_path: Path) -> None:
    scripted = Scripted()
    question = ["Likes war.", "Likes war.", "Likes war.", "Likes war.", ""], ["good", "bad", "odd", "good", "good"]
    answers = [9, 2, np.nan, 9, np.nan]
    np.testing.assert_array_equal(ModelJudge(RecordedModel(scripted, tmp_path / "judge")).rate(*question), answers)
    assert [(prompt.task, prompt.text, prompt.profile) for prompt in scripted.asked] == [
        ("rate", text, "Likes war.") for text in ("good", "bad", "odd")  # each question once
    ]  # fmt: skip
    replayed = ModelJudge(ReplayedModel(tmp_path / "judge"))
    np.testing.assert_array_equal(replayed.rate(*question), answers)
    with pytest.raises(LanguageModelError, match="has no answer to"):
        replayed.rate(["Likes war."], ["new"])


@pytest.mark.parametrize(
    ("answer", "number"),
    [("7", 7), ("I would say 8.", 8), ("10 of 10", 10), ("0", None), ("11", None), ("2024", None), ("seven", None)],
)
def test_numbers_are_read_from_answers(answer: str, number: int | None) -> None:
    found = number_in(answer)
    assert np.isnan(found) if number is None else found == number


# Measures of texts and movement


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("A dark war film.", "A dark war film.", 0),
        ("A dark war film.", "A romantic war film.", 1),  # exchanged
        ("A dark war film.", "A war film.", 1),
        ("A dark war film.", "A romantic 1990s war and comedy film.", 3),
    ],
)
def test_edits_are_counted_by_attribute(one: str, other: str, edits: int) -> None:
    for text in (one, other):
        assert well_formed(text, plot=True)
    assert edits_between(one, other, plot=True) == edits_between(other, one, plot=True) == edits


def test_edits_of_free_text_are_a_share_of_its_words() -> None:
    assert edits_between("a b c d", "a b c d", plot=False) == 0
    assert edits_between("a b c d", "a b x y", plot=False) == pytest.approx(0.5)
    assert well_formed("anything", plot=False)
    assert not well_formed("  ", plot=False)
    assert not well_formed("Once upon a time.", plot=True)


def slope(z: np.ndarray, users: np.ndarray, exclude: np.ndarray) -> UtilityParts:
    """A utility whose gradient is (2, 0)."""
    return UtilityParts(2 * z[:, 0], z[:, 0], z[:, 1], z[:, 0])


def test_movement_is_split_into_progress_and_drift() -> None:
    z = np.array([[0.0, 0.0], [3.0, 4.0], [2.0, 4.0], [2.0, 4.0]])
    progress, drift = steering(slope, z, 0, -1)
    np.testing.assert_allclose(progress, [3, -1, 0], atol=1e-9)
    np.testing.assert_allclose(drift, [4, 0, 0], atol=1e-9)


def test_without_a_gradient_all_movement_is_drift() -> None:
    def flat(z: np.ndarray, users: np.ndarray, exclude: np.ndarray) -> UtilityParts:
        return UtilityParts(*[np.zeros(len(z))] * 4)

    progress, drift = steering(flat, np.array([[0.0, 0.0], [3.0, 4.0]]), 0, -1)
    assert (progress.tolist(), drift.tolist()) == ([0.0], [5.0])


def test_the_gradient_of_affinity_is_the_users_direction(space: LatentSpace) -> None:
    tastes = space.users[:5, :-1]
    found = gradients(ContentGap(space, weight=0.0), space.items[:5], np.arange(5), np.full(5, -1))
    np.testing.assert_allclose(found, tastes / np.linalg.norm(tastes, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.usefixtures("few_choices")
def test_other_users_are_asked_by_both_judges(plots: Catalog, true_taste: TrueTaste, small: Catalog) -> None:
    users, texts = list(plots.users[2:5]), plots.texts[:3]
    expected = [true_taste.standard([user] * 3, texts) for user in users]
    np.testing.assert_allclose(true_taste.panel(users, texts), expected)
    own = SecondOpinion(small, split_catalog(small))
    users, texts = list(own.users[:2]), small.texts[:3]
    np.testing.assert_allclose(own.panel(users, texts), [own.standard([user] * 3, texts) for user in users])


def test_who_rates_is_whom_judgements_confirm_by(plots: Catalog, true_taste: TrueTaste) -> None:
    users, texts = [plots.users[0]], [plots.texts[3]]
    found = judges.rater(make_world(split="test"))(users, texts)
    assert found.tolist() == true_taste.standard(users, texts).tolist()


def test_a_panel_leaves_the_user_out(small: Catalog, space: LatentSpace) -> None:
    class Panel:
        """Every user likes length, as often as his number says."""

        users = small.users

        def standard(self, users: Sequence[str], texts: Sequence[str]) -> np.ndarray:
            return np.zeros(len(texts))

        def panel(self, users: Sequence[str], texts: Sequence[str]) -> np.ndarray:
            return np.array([[int(user[1:]) * len(text) for text in texts] for user in users])

    raters = tuple(small.users[:3])
    opened = Judges(small, space, ContentGap(space, neighbours=5), second=Panel(), raters=raters)  # type: ignore[arg-type]
    texts = ["A dark war film.", "A dark and romantic war film."]
    longer = len(texts[1]) - len(texts[0])
    own, other = opened.judge([row(texts, small.users[1], "None"), row(texts, small.users[9], "None")])
    numbers = [int(user[1:]) for user in raters]
    assert own.raters == pytest.approx(longer * (numbers[0] + numbers[2]) / 2)
    assert other.raters == pytest.approx(longer * np.mean(numbers))


def test_an_episode_of_one_text_is_judged(small: Catalog, space: LatentSpace) -> None:
    opened = Judges(small, space, ContentGap(space, neighbours=5))
    (found,) = opened.judge([row(["A dark war film."], small.users[4], "None")])
    assert (found.distance, found.edits, found.parses, found.no_ops, found.length) == (0, 0, 1, 1, 1)
    assert np.isnan(found.raters)


def test_a_judgement_says_what_happened(small: Catalog, space: LatentSpace) -> None:
    class Fixed:
        users = small.users[:5]

        def standard(self, users: Sequence[str], texts: Sequence[str]) -> np.ndarray:
            return np.array([float(len(text)) for text in texts])

    texts = ["A dark war film.", "A romantic war film.", "A romantic war film.", "A romantic war"]
    opened = Judges(small, space, ContentGap(space, neighbours=5), second=Fixed())  # type: ignore[arg-type]
    (found,) = opened.judge([row(texts, small.users[4], small.items[7].id)])
    z = space.encoder.encode(texts)
    assert found.distance == pytest.approx(np.linalg.norm(z[-1] - z[0]))
    assert (found.reward, found.affinity, found.edits) == (1.5, 1.0, 1.0)
    assert found.second == len(texts[-1]) - len(texts[0])
    known, stranger = opened.judge([row(texts, user, small.items[7].id) for user in (small.users[4], small.users[5])])
    assert known.second == found.second
    assert np.isnan(stranger.second), "it has no ratings of this user"
    assert (found.parses, found.no_ops, found.length) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3 / 4)
    assert np.isnan(found.true_taste)
    assert np.isnan(found.model)
    steps = steering(opened.utility, z, 4, 7)
    assert (found.progress, found.drift) == tuple(pytest.approx(part.sum()) for part in steps)
    onward = [*texts[:2], "A violent western film."]
    (held,) = replace(opened, drift_penalty=1e6).judge([row(onward, small.users[4], small.items[7].id)])
    z = space.encoder.encode(onward)
    first, _ = steering(opened.utility, z[:2], 4, 7)  # at the start the penalty pulls nowhere
    back = (z[0] - z[1]) / np.linalg.norm(z[0] - z[1])
    assert held.progress == pytest.approx(first.sum() + (z[2] - z[1]) @ back, abs=1e-4), "then it pulls to the start"


# A run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two methods on Plots, an episode of one step for each of two seeds."""
    folder = tmp_path_factory.mktemp("run")
    cells = [
        Cell("plots", "EagleGym/Plots-v0", agent, seed, 2, 2, {"horizon": 1})
        for agent in ("uniform", "optimistic")
        for seed in (0, 1)
    ]
    run_cells(cells, Options("small", folder))
    return folder


@pytest.fixture
def no_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second opinion takes seconds to form; it has tests of its own."""
    whole = Judges.of.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(judges, "SecondOpinion", lambda catalog, split: None)
    monkeypatch.setattr(Judges, "of", classmethod(whole))


@pytest.mark.usefixtures("no_second")
def test_a_run_is_judged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", str(run)]) == 0
    shown = capsys.readouterr().out
    page = (run / "JUDGES.md").read_text()
    assert page in shown
    assert "n/a" in page  # no language model was named, and there is no second opinion
    rows = pq.read_table(run / "judgements.parquet").to_pylist()
    assert len(rows) == 8
    assert all(np.isfinite(row["true_taste"]) for row in rows)
    assert all(np.isfinite(row["raters"]) for row in rows)
    assert {row["environment"] for row in rows} == {"plots"}
    facts = read_json(run / "judges.json")["plots"]
    assert (facts["second"], facts["language_model"]) == (None, None)
    assert LatentMap(**facts["map"]).episode in {row["episode"] for row in rows}
    for judge in ("true-taste", "raters"):
        assert imread(run / f"{run.name}-plots-judges-{judge}.png").std() > 0.01
    mean = np.mean([row["true_taste"] for row in rows if row["method"] == "optimistic"])
    assert f"{mean:.2f} [" in page


@pytest.mark.usefixtures("no_second")
def test_a_language_model_judges_where_one_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load(spec: str) -> Scripted:
        asked.append(spec)
        scripted = Scripted()
        monkeypatch.setattr(scripted, "generate", lambda prompts, seeds, temperature: [
            Completion(str(1 + len(prompt.text) % 10), 1, 1, "stop") for prompt in prompts
        ])  # fmt: skip
        return scripted

    monkeypatch.setattr(benchmarks.judging.judge_run, "load_language_model", load)
    assert main(["judge", str(run), "--language-model", "replay:somewhere"]) == 0
    assert asked == ["replay:somewhere"]
    rows = pq.read_table(run / "judgements.parquet").to_pylist()
    texts = [(row.texts[0], row.texts[-1]) for row in rows_of(read_run(run).done)]
    assert [row["model"] for row in rows] == [len(last) % 10 - len(first) % 10 for first, last in texts]


def test_a_run_of_another_world_is_not_judged(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks.running.fingerprints, "hashes", lambda envs: {"model": "another"})
    with pytest.raises(ConfigurationError, match=r"was made with another .*model"):
        benchmarks.judging.judge_run.judge_run(run)


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="holds no cells"):
        read_run(tmp_path)
    (tmp_path / "cells").mkdir()
    with pytest.raises(PreparationError, match="holds no finished cells"):
        benchmarks.judging.judge_run.judge_run(tmp_path)
