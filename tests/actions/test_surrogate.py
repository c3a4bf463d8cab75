"""The surrogate: symbolic effects are exact, corrections learn what a model adds, and files fit or are refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym import plot_english
from eagle_gym.actions import __main__ as command
from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.actions.proposals import ModelCandidates
from eagle_gym.actions.surrogate import fit as fitting
from eagle_gym.actions.surrogate import make as making
from eagle_gym.actions.surrogate import store
from eagle_gym.actions.surrogate.model import (
    Correction,
    PlotSurrogate,
    Surrogate,
    Symbolic,
    gather_changes,
    linear_map,
    outcome_groups,
)
from eagle_gym.errors import LanguageModelError, PreparationError
from eagle_gym.language.prompts import Prompt
from eagle_gym.latent.encoder import Encoder
from eagle_gym.latent.features import AttributeFeatures
from eagle_gym.latent.geometry import project_to_ball
from eagle_gym.plot_english import arrays
from tests.fake_worlds import ScriptedModel, Space, make_catalog, make_space

CATALOG = make_catalog(60, 3)
SPACE = make_space(CATALOG, n=8, scale=0.4, radius=5.0)
LINEAR = linear_map(SPACE)
UNIFORM = np.ones(len(outcome_groups()[1]))
COST = {"calls": 3.0, "seconds": 0.5}


@pytest.fixture(scope="module")
def trials() -> fitting.Trials:
    return fitting.collect(ScriptedModel(fidelity=0.85, invent=0.2), CATALOG.texts, fitting.Plan(1500))


@pytest.fixture(scope="module")
def fitted(trials: fitting.Trials) -> PlotSurrogate:
    return PlotSurrogate(LINEAR, *fitting.fit(trials, SPACE, LINEAR))


def encode_linear(attributes: plot_english.Attributes) -> np.ndarray:
    columns = [arrays.feature_index()[pair] for pair in attributes.pairs()]
    return LINEAR.weights[columns].sum(axis=0) + LINEAR.offset


class Always:
    """A generator that makes one and the same choice."""

    def __init__(self, choice: int) -> None:
        self.choice = choice

    def integers(self, high: int) -> int:
        return self.choice

    def random(self) -> float:
        return 1.0


@given(st.integers(0, 2**32))
def test_the_symbolic_effect_is_the_mean_over_an_edits_outcomes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    text = plot_english.render(plot_english.random_attributes(rng, 0.5), rng)
    before = plot_english.read(text)
    (pool,) = LexiconCandidates().propose([text], [""], 24, [seed])
    held = arrays.one_hot([text])
    effect = Symbolic(LINEAR, UNIFORM).effect(held, np.zeros(24, np.intp), gather_changes([pool]))
    for edit, moved in zip(pool, effect.change, strict=True):
        (change,) = plot_english.parse_edit(edit)
        ways = range(len(plot_english.outcomes(before, change)))
        ends = [encode_linear(plot_english.apply(before, change, Always(way))) for way in ways]
        np.testing.assert_allclose(moved, np.mean(ends, axis=0) - encode_linear(before), atol=1e-9)


def test_edits_that_change_nothing_have_no_effect() -> None:
    text = "A dark western film set on a train."
    pool = ["Make the tone dark.", "Leave the ending open.", "Replace comedy with drama.", "Leave out robots."]
    effect = Symbolic(LINEAR, UNIFORM).effect(arrays.one_hot([text]), np.zeros(4, np.intp), gather_changes([pool]))
    np.testing.assert_array_equal(effect.change, 0.0)


def test_macro_edits_add_their_changes_up() -> None:
    text = "A dark western film set on a train."
    edits = ["Set it in New York.", "Blend in comedy.", "Set it in New York; blend in comedy."]
    z = SPACE.encoder.encode([text])
    moved = PlotSurrogate(LINEAR, UNIFORM, Correction.zero(8)).displacements([text], [edits], z)
    np.testing.assert_allclose(moved[2], moved[0] + moved[1], atol=1e-9)


TAGGED = AttributeFeatures(("odd", "quirky"), (4.0, 6.0))


def tagged_space(radius: float) -> Space:
    rng = np.random.default_rng(3)
    encoder = Encoder(TAGGED, 0.6 * rng.standard_normal((TAGGED.count, 4)), 0.3 * rng.standard_normal(4), radius)
    return Space(encoder, encoder.encode(CATALOG.texts), np.zeros((3, 5)), radius, 4, {}, "tagged")


@given(st.integers(0, 2**32), st.sampled_from([(), ("odd",), ("quirky", "unknown"), ("odd", "quirky")]))
def test_displacements_are_those_of_texts_that_keep_their_tags(seed: int, tags: tuple[str, ...]) -> None:
    """Near the ball's surface, where the tags a text carries change how far an edit moves it."""
    rng, space = np.random.default_rng(seed), tagged_space(radius=1.5)
    description = plot_english.render(plot_english.random_attributes(rng, 0.4), rng)
    text = plot_english.with_tags(description, tags)
    before, z = plot_english.read(text), space.encoder.encode([text])
    (pool,) = LexiconCandidates().propose([text], [""], 24, [seed])
    changes = [plot_english.parse_edit(edit)[0] for edit in pool]
    sure = [row for row, change in enumerate(changes) if len(plot_english.outcomes(before, change)) == 1]
    surrogate = PlotSurrogate(linear_map(space), UNIFORM, Correction.zero(4))
    moved = surrogate.displacements([text], [[pool[row] for row in sure]], z)
    after = [plot_english.render(plot_english.apply(before, changes[row], Always(0))) for row in sure]
    ends = space.encoder.encode([plot_english.with_tags(end, tags) for end in after])
    np.testing.assert_allclose(moved, ends - z, atol=1e-9)


def test_a_surrogate_of_texts_with_tags_predicts_rollouts() -> None:
    space, rng = tagged_space(radius=2.0), np.random.default_rng(1)
    carried = [TAGGED.tags[: int(rng.integers(3))] for _ in CATALOG.texts]
    texts = [plot_english.with_tags(*pair) for pair in zip(CATALOG.texts, carried, strict=True)]
    model = ScriptedModel(fidelity=0.85, invent=0.2)
    found = fitting.collect(model, texts, fitting.Plan(800))
    assert any(text.endswith("Tags: odd, quirky.") for results in found.results for text in results)
    fitted = PlotSurrogate(linear_map(space), *fitting.fit(found, space, linear_map(space)))
    checks = fitting.collect(model, texts, fitting.Plan(100, samples=8, seed=9))
    z, seen = fitting.observed(space, checks)
    predicted = fitted.displacements(checks.texts, [[edit] for edit in checks.edits], z)
    assert fitting.r_squared(predicted, seen) >= 0.8


def test_edits_that_cannot_be_read_move_nothing_without_a_correction() -> None:
    moved = PlotSurrogate(LINEAR, UNIFORM, Correction.zero(8)).displacements(
        ["A drama film."], [["qwerty"]], SPACE.encoder.encode(["A drama film."])
    )
    np.testing.assert_array_equal(moved, 0.0)


@pytest.mark.parametrize("held_out", [False, True])
def test_r_squared_on_states_and_edits_never_seen(fitted: PlotSurrogate, held_out: bool) -> None:
    fresh = make_catalog(30, 3).texts
    plan = fitting.Plan(150, samples=8, held_out=held_out, seed=9)
    checks = fitting.collect(ScriptedModel(fidelity=0.85, invent=0.2), fresh, plan)
    z, seen = fitting.observed(SPACE, checks)
    pools = [[edit] for edit in checks.edits]
    bare = PlotSurrogate(LINEAR, UNIFORM, Correction.zero(8)).displacements(checks.texts, pools, z)
    full = fitted.displacements(checks.texts, pools, z)
    assert fitting.r_squared(full, seen) >= 0.85
    assert fitting.r_squared(full, seen) > fitting.r_squared(bare, seen)
    assert fitting.r_squared(full, seen) < fitting.noise_ceiling(SPACE, checks) + 0.02


def test_where_nothing_moves_there_is_no_ceiling(fitted: PlotSurrogate) -> None:
    texts = CATALOG.texts[:4]
    still = fitting.Trials(tuple(texts), ("Make it darker.",) * 4, tuple((text, text) for text in texts), (0, 1, 2, 3))
    measured = making.measure(fitted, SPACE, still)
    assert "r2" in measured
    assert "r2_ceiling" not in measured


def test_no_trial_has_a_held_out_edit(trials: fitting.Trials) -> None:
    assert not any(fitting.is_held_out(edit) for edit in trials.edits)
    plan = fitting.Plan(40, held_out=True)
    assert all(map(fitting.is_held_out, fitting.collect(ScriptedModel(), CATALOG.texts, plan).edits))


def test_choices_of_vague_edits_are_learnt() -> None:
    """A model that always answers "darker" with the same tone is noticed."""

    class OneTone(ScriptedModel):
        def _answer(self, prompt, rng, temperature):
            before = plot_english.read(prompt.text)
            if plot_english.parse_edit(prompt.edit)[0].value == "darker":
                return plot_english.render(before.with_values("tone", ["gritty"]))
            return super()._answer(prompt, rng, temperature)

    texts = ["A drama film.", "A comedy film set on a train."]
    edits = ("Make it darker.",) * 80
    chosen = tuple(texts[i % 2] for i in range(80))
    asked = [Prompt("rewrite", text=text, edit=edit) for text, edit in zip(chosen, edits, strict=True)]
    answers = OneTone().generate(asked, range(80))
    results = fitting.Trials(chosen, edits, tuple((answer.text,) for answer in answers), tuple(range(80)))
    rate = fitting.fit_choice(fitting.count_choices(results))
    start, columns = outcome_groups()
    row = len(plot_english.FEATURES) + [e.value for e in arrays.change_table().changes].index("darker")
    entries = slice(start[row], start[row + 1])
    best = columns[entries][np.argmax(rate[entries])]
    assert plot_english.FEATURES[best] == ("tone", "gritty")
    assert rate[entries].max() > 3 * np.median(rate[entries])


def test_a_row_has_the_same_bits_in_any_batch(fitted: PlotSurrogate) -> None:
    texts = CATALOG.texts[:9]
    pools = LexiconCandidates(macro=0.2).propose(texts, [""] * 9, 16, range(9))
    z = SPACE.encoder.encode(texts)
    effects = Surrogate(fitted, SPACE, {}, COST)
    together = effects.expected(texts, pools, z, [0] * 9)
    for row in range(9):
        alone = effects.expected(texts[row : row + 1], pools[row : row + 1], z[row : row + 1], [0])[0]
        np.testing.assert_array_equal(alone, together[row])
        single = effects.expected(texts[row : row + 1], [pools[row][3:4]], z[row : row + 1], [0])[0]
        np.testing.assert_array_equal(single[0], together[row][3])


def test_expected_embeddings_lie_in_the_ball(fitted: PlotSurrogate) -> None:
    texts = CATALOG.texts
    pools = LexiconCandidates().propose(texts, [""] * len(texts), 16, range(len(texts)))
    expected = Surrogate(fitted, SPACE, {}, COST).expected(texts, pools, SPACE.encoder.encode(texts), [0] * len(texts))
    assert np.linalg.norm(np.concatenate(expected), axis=1).max() <= SPACE.radius * (1 + 1e-12)
    np.testing.assert_allclose(project_to_ball(np.array([[30.0, 40.0]]), 5.0), [[3.0, 4.0]])


def test_perfect_and_constant_predictions_have_r_squared_one_and_zero() -> None:
    seen = np.random.default_rng(0).standard_normal((50, 3))
    assert fitting.r_squared(seen, seen) == 1.0
    assert fitting.r_squared(np.broadcast_to(seen.mean(0), seen.shape), seen) == pytest.approx(0.0)


IDENTITY = store.identify(
    CATALOG, SPACE, ScriptedModel(), LexiconCandidates(), language="plot_english", budget=store.Budget(8, 4, 2)
)


def test_saved_and_loaded_surrogates_agree(fitted: PlotSurrogate, tmp_path: Path) -> None:
    store.save_surrogate(Surrogate(fitted, SPACE, {"r2": 0.9}, COST), IDENTITY, tmp_path)
    again = store.load_surrogate(tmp_path, IDENTITY, SPACE)
    assert again.quality == {"r2": 0.9}
    assert again.cost == COST
    assert sorted(path.name for path in tmp_path.iterdir()) == ["surrogate.json", "surrogate.npz"]
    z = SPACE.encoder.encode(CATALOG.texts[:2])
    pools = [["Make it darker.", "Add robots."]] * 2
    for one, other in zip(
        Surrogate(fitted, SPACE, {}, COST).expected(CATALOG.texts[:2], pools, z, [0, 0]),
        again.expected(CATALOG.texts[:2], pools, z, [0, 0]),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"language": "free"},
        {"space": "other"},
        {"model": "other"},
        {"temperature": 0.5},
        {"texts": "other"},
        {"budget": {"trials": 9, "checks": 4, "check_samples": 2}},
        {"edits": {"changes": "other"}},
        {"fit": 99},
        {"held_out": 3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_surrogate_of_something_else_is_refused(
    fitted: PlotSurrogate, tmp_path: Path, change: dict[str, object]
) -> None:
    store.save_surrogate(Surrogate(fitted, SPACE, {}, COST), IDENTITY, tmp_path)
    header = json.loads((tmp_path / "surrogate.json").read_text())
    (name,) = change
    assert name in header["identity"], "the file says all that decides it"
    header["identity"] |= change
    (tmp_path / "surrogate.json").write_text(json.dumps(header))
    with pytest.raises(PreparationError, match=f"made for another {name}"):
        store.load_surrogate(tmp_path, IDENTITY, SPACE)


@pytest.mark.parametrize("header", [{"format": 99}, {"identity": None}, {"identity": "x"}])
def test_a_surrogate_of_another_format_is_refused(
    fitted: PlotSurrogate, tmp_path: Path, header: dict[str, object]
) -> None:
    store.save_surrogate(Surrogate(fitted, SPACE, {}, COST), IDENTITY, tmp_path)
    written = json.loads((tmp_path / "surrogate.json").read_text())
    (tmp_path / "surrogate.json").write_text(json.dumps(written | header))
    with pytest.raises(PreparationError, match="another format"):
        store.load_surrogate(tmp_path, IDENTITY, SPACE)


def identity(candidates: object = None, profiles: object = (), **changes: object) -> store.Identity:
    given = {"language": "free", "budget": store.Budget(8, 4, 2), **changes}
    return store.identify(
        CATALOG, SPACE, ScriptedModel(), candidates or LexiconCandidates(), profiles=profiles, **given
    )


@pytest.mark.parametrize(
    "other",
    [
        identity(LexiconCandidates(personalised=0.1)),
        identity(LexiconCandidates(macro=0.1)),
        identity(ModelCandidates(ScriptedModel(), language="free")),
        identity(profiles=["Likes trains."]),
        identity(temperature=0.7),
        identity(budget=store.Budget(9, 4, 2)),
        identity(language="plot_english"),
    ],
    ids=["personalised", "macro", "model", "users", "temperature", "budget", "language"],
)
def test_free_surrogates_are_told_apart_by_all_that_decides_their_edits(other: store.Identity) -> None:
    assert other.key != identity().key
    assert other.as_json() != identity().as_json()
    assert identity().key == identity().key


def test_in_plot_english_the_candidates_do_not_matter() -> None:
    one, other = (identity(LexiconCandidates(share), language="plot_english") for share in (0.1, 0.9))
    assert one.key == other.key


def test_broken_and_absent_files_are_said_to_be(fitted: PlotSurrogate, tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"surrogate\.json: expected a readable header"):
        store.load_surrogate(tmp_path / "nowhere", IDENTITY, SPACE)
    store.save_surrogate(Surrogate(fitted, SPACE, {}, COST), IDENTITY, tmp_path)
    npz = tmp_path / "surrogate.npz"
    npz.write_bytes(npz.read_bytes()[:500])
    with pytest.raises(PreparationError, match="its checksum is not that"):
        store.load_surrogate(tmp_path, IDENTITY, SPACE)


def test_edited_numbers_are_noticed(fitted: PlotSurrogate, tmp_path: Path) -> None:
    store.save_surrogate(Surrogate(fitted, SPACE, {"r2": 0.2}, COST), IDENTITY, tmp_path)
    header = tmp_path / "surrogate.json"
    header.write_text(header.read_text().replace('"r2": 0.2', '"r2": 0.9'))
    with pytest.raises(PreparationError, match="the header is not the one that was saved"):
        store.load_surrogate(tmp_path, IDENTITY, SPACE)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("content", [b"", b"[]", b'{"calls": 1}', b'{"calls": "x", "seconds": 0}'])
def test_a_broken_count_of_earlier_attempts_is_typed(tmp_path: Path, content: bytes) -> None:
    record = store.rollouts_file(IDENTITY, tmp_path).with_suffix(".cost.json")
    record.parent.mkdir()
    record.write_bytes(content)
    with pytest.raises(PreparationError, match="expected the cost of earlier attempts"):
        making.FitCost(ScriptedModel(), store.rollouts_file(IDENTITY, tmp_path))


SMALL = store.Budget(trials=120, checks=24, check_samples=2)


def prepare(
    tmp_path: Path, model: ScriptedModel, mode: str = "auto", language: str = "plot_english", **given: object
) -> Surrogate:
    arguments = {"space": SPACE, "candidates": LexiconCandidates()} | given
    return store.prepare_surrogate(
        CATALOG, model=model, language=language, prepare=mode, cache_dir=tmp_path, progress=False, **arguments
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EMBEDDED_BUDGET", SMALL)


@pytest.mark.usefixtures("small")
def test_first_use_fits_and_caches_and_never_raises_instead(tmp_path: Path) -> None:
    model = ScriptedModel()
    with pytest.raises(PreparationError, match="not prepared"):
        prepare(tmp_path, model, "never")
    made = prepare(tmp_path, model)
    assert {"r2", "r2_ceiling", "r2_unseen_edits", "r2_vague", "trials", "samples"} <= set(made.quality)
    calls = len(model.batches)
    again = prepare(tmp_path, model, "never")
    assert len(model.batches) == calls, "the second use fits nothing"
    assert (again.quality, again.cost) == (made.quality, made.cost)


@pytest.mark.usefixtures("small")
def test_another_budget_is_another_surrogate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedModel()
    prepare(tmp_path, model)
    monkeypatch.setattr(store, "EMBEDDED_BUDGET", store.Budget(trials=121, checks=24, check_samples=2))
    with pytest.raises(PreparationError, match="not prepared"):
        prepare(tmp_path, model, "never")


@pytest.mark.usefixtures("small")
def test_generations_are_counted(tmp_path: Path) -> None:
    model = ScriptedModel(garble=0.1)
    made = prepare(tmp_path, model)
    assert made.cost["calls"] == model.usage.calls == sum(model.batches)
    assert made.cost["calls"] - made.cost["retries"] == 120 + 3 * 24 * 2
    assert made.cost["retries"] > 0
    assert made.cost["prompt_tokens"] == model.usage.prompt_tokens
    assert made.cost["completion_tokens"] == model.usage.completion_tokens
    assert made.cost["recorded"] == 0
    assert made.cost["seconds"] >= 0


class SlowModel(ScriptedModel):
    """Says that a generation takes a hundredth of a second."""

    def generate(self, prompts, seeds, *, temperature=1.0):
        answers = super().generate(prompts, seeds, temperature=temperature)
        self.usage.seconds += 0.01 * len(answers)
        return answers


@pytest.mark.usefixtures("small")
def test_a_killed_fit_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = prepare(tmp_path / "whole", SlowModel())
    assert whole.cost["seconds"] == pytest.approx(0.01 * whole.cost["calls"], abs=0.1)
    model = SlowModel(fail_on=4)
    with pytest.raises(LanguageModelError, match="scripted failure"):
        prepare(tmp_path / "killed", model)
    done = sum(model.batches[:-1])
    assert done > 0
    again = SlowModel()
    resumed = prepare(tmp_path / "killed", again)
    assert sum(again.batches) == 120 + 3 * 24 * 2 - done
    assert resumed.cost["recorded"] == done
    assert resumed.cost["calls"] == whole.cost["calls"]
    assert resumed.quality == whole.quality
    assert resumed.cost["seconds"] == pytest.approx(0.01 * resumed.cost["calls"], abs=0.1), "of both tries"
    for name, array in whole.model.arrays().items():
        np.testing.assert_array_equal(resumed.model.arrays()[name], array)


@pytest.mark.usefixtures("small")
def test_rollouts_of_another_format_of_recordings_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = store.rollouts_file(IDENTITY, tmp_path)
    assert store.rollouts_file(IDENTITY, tmp_path) == now
    monkeypatch.setattr(store, "RECORDING", "another")
    assert store.rollouts_file(IDENTITY, tmp_path) != now


def test_another_latent_space_of_the_same_texts_asks_for_nothing_new(tmp_path: Path) -> None:
    model = ScriptedModel()
    prepare(tmp_path, model)
    calls = len(model.batches)
    wider = dataclasses.replace(make_space(CATALOG, n=12, scale=0.4, radius=5.0), fingerprint="wider")
    made = prepare(tmp_path, model, space=wider)
    assert len(model.batches) == calls
    assert made.cost["recorded"] == made.cost["calls"]
    assert made.model.correction.bias.shape == (12,)


@pytest.mark.filterwarnings("ignore:expected a surrogate that predicts effects")  # 120 trials are few
@pytest.mark.usefixtures("small")
def test_free_fits_of_proposed_edits_go_on_too(tmp_path: Path) -> None:
    def given(model: ScriptedModel) -> dict[str, object]:
        return {"language": "free", "candidates": ModelCandidates(model, language="plot_english")}

    model = ScriptedModel()
    prepare(tmp_path, model, **given(model))
    for folder in tmp_path.glob("effects/free-*/"):
        shutil.rmtree(folder)
    again = ScriptedModel()
    made = prepare(tmp_path, again, **given(again))
    assert again.batches == [], "proposals and rewrites come from the file"
    assert made.cost["recorded"] == made.cost["calls"] == sum(model.batches)


def test_start_texts_of_measurements_are_kept_from_the_fit_and_many() -> None:
    texts = [f"text {i}" for i in range(2000)]
    fresh, seen = making.split_texts(texts)
    assert len(fresh) == 200
    assert sorted(fresh + seen) == sorted(texts)
    assert [len(making.split_texts(texts[:n])[0]) for n in (1, 3, 30, 600)] == [1, 1, 10, 100]
    assert making.split_texts(["alone"]) == (["alone"], ["alone"])


def test_measurements_start_from_as_many_texts_as_they_can() -> None:
    plan = store.EMBEDDED_BUDGET.check()
    texts = make_catalog(200, 3).texts
    trials = fitting.collect(ScriptedModel(), texts, dataclasses.replace(plan, samples=1))
    assert len(trials.texts) == plan.trials
    assert len(set(trials.roots)) == plan.trials // making.ROUNDS
    starts = trials.texts[: plan.trials // making.ROUNDS]
    assert [texts[root] for root in trials.roots[: len(starts)]] == list(starts)


def test_vague_plans_try_only_vague_edits() -> None:
    trials = fitting.collect(ScriptedModel(), CATALOG.texts, fitting.Plan(40, vague=True))
    assert {change.operation for edit in trials.edits for change in plot_english.parse_edit(edit)} == {"vague"}


def test_fits_see_texts_of_the_language_alone() -> None:
    trials = fitting.collect(ScriptedModel(garble=0.3), CATALOG.texts, fitting.Plan(60, samples=2))
    for results in trials.results:
        for text in results:
            plot_english.parse(text)


def test_intervals_of_r_squared_cover_the_truth() -> None:
    """Ten trials to a start text share their error, so that only a bootstrap over start texts is wide enough."""
    rng = np.random.default_rng(0)
    covered, narrow = 0, 0
    for _ in range(60):
        roots = np.repeat(np.arange(40), 10)
        seen = rng.standard_normal((400, 2))
        predicted = seen + 0.5 * rng.standard_normal((40, 2))[roots]
        low, high = fitting.r_squared_interval(predicted, seen, roots, draws=300)
        covered += low <= 0.75 <= high
        low, high = fitting.r_squared_interval(predicted, seen, range(400), draws=300)
        narrow += low <= 0.75 <= high
    assert covered >= 51
    assert narrow < covered - 10


def test_intervals_hold_the_estimate() -> None:
    rng = np.random.default_rng(1)
    seen = rng.standard_normal((100, 3))
    predicted = seen + 0.3 * rng.standard_normal((100, 3))
    low, high = fitting.r_squared_interval(predicted, seen, range(100))
    assert low < fitting.r_squared(predicted, seen) < high
    assert fitting.r_squared_interval(seen, seen, range(100)) == (1.0, 1.0)


def test_the_command_says_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "load_plots", lambda: CATALOG)
    monkeypatch.setattr(command, "split_catalog", lambda catalog: None)
    monkeypatch.setattr(command, "prepare_space", lambda catalog, split: SPACE)
    monkeypatch.setattr(command, "load_language_model", lambda spec: ScriptedModel())
    command.main(["--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")], SMALL)
    printed = capsys.readouterr().out
    for word in (
        "fitted on 120 (text, edit) pairs",
        "vague edits only",
        "r2_low_vague",
        "95 % interval",
        "r2_ceiling_unseen_edits",
        "264 generations (0 of them recorded before",
        "prompt and",
    ):
        assert word in printed
    wanted = store.identify(CATALOG, SPACE, ScriptedModel(), LexiconCandidates(), language="plot_english", budget=SMALL)
    quality = store.load_surrogate(tmp_path / "out", wanted, SPACE).quality
    assert all(f"{name} " in printed for name in quality if name not in ("trials", "samples"))
    assert quality["r2_low"] < quality["r2"] < quality["r2_high"]


def test_a_shipped_surrogate_is_used_where_all_fits(
    fitted: PlotSurrogate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    shipped = store.identify(
        CATALOG, SPACE, ScriptedModel(), LexiconCandidates(), language="plot_english", budget=store.EMBEDDED_BUDGET
    )
    store.save_surrogate(Surrogate(fitted, SPACE, {"r2": 0.5}, COST), shipped, tmp_path / "shipped" / "tiny")
    assert prepare(tmp_path / "cache", ScriptedModel(), "never").quality == {"r2": 0.5}
    with pytest.raises(PreparationError, match="not prepared"):
        prepare(tmp_path / "cache", ScriptedModel(), "never", temperature=0.5)
    with pytest.raises(PreparationError, match="not prepared"):
        prepare(tmp_path / "cache", ScriptedModel(fingerprint="other"), "never")


@pytest.mark.filterwarnings("ignore:expected a surrogate that predicts effects")  # 120 trials are few
@pytest.mark.usefixtures("small")
def test_free_text_has_a_surrogate_too(tmp_path: Path) -> None:
    made = prepare(tmp_path, ScriptedModel(), language="free")
    z = SPACE.encoder.encode(CATALOG.texts[:2])
    expected = made.expected(CATALOG.texts[:2], [["Add robots.", "anything"], ["Make it so."]], z, [0, 0])
    assert [rows.shape for rows in expected] == [(2, 8), (1, 8)]
    assert np.isfinite(np.concatenate(expected)).all()
    assert {"r2", "r2_low", "r2_high", "r2_ceiling"} <= set(made.quality)
    assert "free" not in making.describe(made)
