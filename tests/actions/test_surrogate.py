"""The surrogate: symbolic effects are exact, corrections learn what a model adds, and files fit or are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym import plot_english
from eagle_gym.actions import surrogate_fit as fitting
from eagle_gym.actions import surrogate_store as store
from eagle_gym.actions import vocabulary
from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.actions.surrogate import (
    Correction,
    PlotSurrogate,
    Surrogate,
    Symbolic,
    gather_items,
    into_ball,
    linear_map,
    outcome_groups,
)
from eagle_gym.errors import PreparationError
from eagle_gym.language.prompts import Prompt
from tests.fake_worlds import ScriptedModel, make_catalog, make_space

CATALOG = make_catalog(60, 3)
SPACE = make_space(CATALOG, n=8, scale=0.4, radius=5.0)
LINEAR = linear_map(SPACE)
UNIFORM = np.ones(len(outcome_groups()[1]))


@pytest.fixture(scope="module")
def trials() -> fitting.Trials:
    return fitting.collect(ScriptedModel(fidelity=0.85, invent=0.2), CATALOG.texts, fitting.Plan(1500))


@pytest.fixture(scope="module")
def fitted(trials: fitting.Trials) -> PlotSurrogate:
    return PlotSurrogate(LINEAR, *fitting.fit(trials, SPACE, LINEAR))


def encode_linear(attributes: plot_english.Attributes) -> np.ndarray:
    columns = [vocabulary.feature_index()[pair] for pair in attributes.pairs()]
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
    held = vocabulary.one_hot([text])
    effect = Symbolic(LINEAR, UNIFORM).effect(held, np.zeros(24, np.intp), gather_items([pool]))
    for prompt, change in zip(pool, effect.change, strict=True):
        (edit,) = plot_english.parse_edit(prompt)
        ways = range(len(plot_english.outcomes(before, edit)))
        ends = [encode_linear(plot_english.apply(before, edit, Always(way))) for way in ways]
        np.testing.assert_allclose(change, np.mean(ends, axis=0) - encode_linear(before), atol=1e-9)


def test_edits_that_change_nothing_have_no_effect() -> None:
    text = "A dark western film set on a train."
    pool = ["Make the tone dark.", "Leave the ending open.", "Replace comedy with drama.", "Leave out robots."]
    effect = Symbolic(LINEAR, UNIFORM).effect(vocabulary.one_hot([text]), np.zeros(4, np.intp), gather_items([pool]))
    np.testing.assert_array_equal(effect.change, 0.0)


def test_macro_prompts_add_their_edits_up() -> None:
    text = "A dark western film set on a train."
    prompts = ["Set it in New York.", "Blend in comedy.", "Set it in New York; blend in comedy."]
    z = SPACE.encoder.encode([text])
    moved = PlotSurrogate(LINEAR, UNIFORM, Correction.zero(8)).displacements([text], [prompts], z)
    np.testing.assert_allclose(moved[2], moved[0] + moved[1], atol=1e-9)


def test_prompts_that_cannot_be_read_move_nothing_without_a_correction() -> None:
    moved = PlotSurrogate(LINEAR, UNIFORM, Correction.zero(8)).displacements(
        ["A drama film."], [["qwerty"]], SPACE.encoder.encode(["A drama film."])
    )
    np.testing.assert_array_equal(moved, 0.0)


@pytest.mark.parametrize("held_out", [False, True])
def test_r_squared_on_states_and_prompts_never_seen(fitted: PlotSurrogate, held_out: bool) -> None:
    fresh = make_catalog(30, 3).texts
    plan = fitting.Plan(150, samples=8, held_out=held_out, seed=9)
    checks = fitting.collect(ScriptedModel(fidelity=0.85, invent=0.2), fresh, plan)
    z, seen = fitting.observed(SPACE, checks)
    pools = [[prompt] for prompt in checks.prompts]
    bare = PlotSurrogate(LINEAR, UNIFORM, Correction.zero(8)).displacements(checks.texts, pools, z)
    full = fitted.displacements(checks.texts, pools, z)
    assert fitting.r_squared(full, seen) >= 0.85
    assert fitting.r_squared(full, seen) > fitting.r_squared(bare, seen)
    assert fitting.r_squared(full, seen) < fitting.noise_ceiling(SPACE, checks) + 0.02


def test_no_trial_has_a_held_out_edit(trials: fitting.Trials) -> None:
    assert not any(fitting.is_held_out(prompt) for prompt in trials.prompts)
    plan = fitting.Plan(40, held_out=True)
    assert all(map(fitting.is_held_out, fitting.collect(ScriptedModel(), CATALOG.texts, plan).prompts))


def test_choices_of_vague_edits_are_learnt() -> None:
    """A model that answers "darker" with one tone alone is found out."""

    class OneTone(ScriptedModel):
        def _answer(self, prompt, rng, temperature):
            before = plot_english.read(prompt.text)
            if plot_english.parse_edit(prompt.instruction)[0].value == "darker":
                return plot_english.render(before.with_values("tone", ["gritty"]))
            return super()._answer(prompt, rng, temperature)

    texts = ["A drama film.", "A comedy film set on a train."]
    prompts = ("Make it darker.",) * 80
    chosen = tuple(texts[i % 2] for i in range(80))
    asked = [Prompt("rewrite", text=text, instruction=prompt) for text, prompt in zip(chosen, prompts, strict=True)]
    answers = OneTone().generate(asked, range(80))
    results = fitting.Trials(chosen, prompts, tuple((answer.text,) for answer in answers))
    rate = fitting.fit_choice(fitting.count_choices(results))
    start, columns = outcome_groups()
    row = len(plot_english.FEATURES) + [e.value for e in vocabulary.edit_table().edits].index("darker")
    entries = slice(start[row], start[row + 1])
    best = columns[entries][np.argmax(rate[entries])]
    assert plot_english.FEATURES[best] == ("tone", "gritty")
    assert rate[entries].max() > 3 * np.median(rate[entries])


def test_a_row_has_the_same_bits_in_any_batch(fitted: PlotSurrogate) -> None:
    texts = CATALOG.texts[:9]
    pools = LexiconCandidates(macro=0.2).propose(texts, [""] * 9, 16, range(9))
    z = SPACE.encoder.encode(texts)
    effects = Surrogate(fitted, SPACE, {})
    together = effects.expected(texts, pools, z, [0] * 9)
    for row in range(9):
        alone = effects.expected(texts[row : row + 1], pools[row : row + 1], z[row : row + 1], [0])[0]
        np.testing.assert_array_equal(alone, together[row])
        single = effects.expected(texts[row : row + 1], [pools[row][3:4]], z[row : row + 1], [0])[0]
        np.testing.assert_array_equal(single[0], together[row][3])


def test_expected_embeddings_lie_in_the_ball(fitted: PlotSurrogate) -> None:
    texts = CATALOG.texts
    pools = LexiconCandidates().propose(texts, [""] * len(texts), 16, range(len(texts)))
    expected = Surrogate(fitted, SPACE, {}).expected(texts, pools, SPACE.encoder.encode(texts), [0] * len(texts))
    assert np.linalg.norm(np.concatenate(expected), axis=1).max() <= SPACE.radius * (1 + 1e-12)
    np.testing.assert_allclose(into_ball(np.array([[30.0, 40.0]]), 5.0), [[3.0, 4.0]])


def test_perfect_and_constant_predictions_have_r_squared_one_and_zero() -> None:
    seen = np.random.default_rng(0).standard_normal((50, 3))
    assert fitting.r_squared(seen, seen) == 1.0
    assert fitting.r_squared(np.broadcast_to(seen.mean(0), seen.shape), seen) == pytest.approx(0.0)


IDENTITY = store.Identity("plot_english", SPACE.fingerprint, "scripted", 1.0)


def test_saved_and_loaded_surrogates_agree(fitted: PlotSurrogate, tmp_path: Path) -> None:
    store.save_surrogate(Surrogate(fitted, SPACE, {"r2": 0.9}), IDENTITY, tmp_path)
    again = store.load_surrogate(tmp_path, IDENTITY, SPACE)
    assert again.quality == {"r2": 0.9}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["surrogate.json", "surrogate.npz"]
    z = SPACE.encoder.encode(CATALOG.texts[:2])
    pools = [["Make it darker.", "Add robots."]] * 2
    for one, other in zip(
        Surrogate(fitted, SPACE, {}).expected(CATALOG.texts[:2], pools, z, [0, 0]),
        again.expected(CATALOG.texts[:2], pools, z, [0, 0]),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"space": "other"}, "another space"),
        ({"model": "other"}, "another model"),
        ({"kind": "free"}, "another kind"),
        ({"temperature": 0.5}, "temperature 0.5"),
        ({"format": 99}, "another format"),
    ],
)
def test_a_surrogate_of_something_else_is_refused(
    fitted: PlotSurrogate, tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    store.save_surrogate(Surrogate(fitted, SPACE, {}), IDENTITY, tmp_path)
    header = json.loads((tmp_path / "surrogate.json").read_text())
    (tmp_path / "surrogate.json").write_text(json.dumps(header | change))
    with pytest.raises(PreparationError, match=complaint):
        store.load_surrogate(tmp_path, IDENTITY, SPACE)


def test_broken_and_absent_files_are_said_to_be(fitted: PlotSurrogate, tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="no surrogate"):
        store.load_surrogate(tmp_path / "nowhere", IDENTITY, SPACE)
    store.save_surrogate(Surrogate(fitted, SPACE, {}), IDENTITY, tmp_path)
    npz = tmp_path / "surrogate.npz"
    npz.write_bytes(npz.read_bytes()[:500])
    with pytest.raises(PreparationError, match="broken"):
        store.load_surrogate(tmp_path, IDENTITY, SPACE)


def test_first_use_fits_and_caches_and_never_raises_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EMBEDDED_BUDGET", store.Budget(trials=120, checks=20, check_samples=2))
    model, candidates = ScriptedModel(), LexiconCandidates()

    def prepare(mode: str) -> Surrogate:
        return store.prepare_surrogate(
            CATALOG, SPACE, model, candidates, kind="plot_english", prepare=mode, cache_dir=tmp_path, progress=False
        )

    with pytest.raises(PreparationError, match="not prepared"):
        prepare("never")
    made = prepare("auto")
    assert {"r2", "r2_ceiling", "r2_unseen_edits", "trials"} <= set(made.quality)
    calls = len(model.batches)
    again = prepare("never")
    assert len(model.batches) == calls, "the second use fits nothing"
    assert again.quality == made.quality


def test_free_text_has_a_surrogate_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EMBEDDED_BUDGET", store.Budget(trials=200, checks=40, check_samples=2))
    made = store.prepare_surrogate(
        CATALOG, SPACE, ScriptedModel(), LexiconCandidates(), kind="free", cache_dir=tmp_path, progress=False
    )
    z = SPACE.encoder.encode(CATALOG.texts[:2])
    expected = made.expected(CATALOG.texts[:2], [["Add robots.", "anything"], ["Make it so."]], z, [0, 0])
    assert [rows.shape for rows in expected] == [(2, 8), (1, 8)]
    assert np.isfinite(np.concatenate(expected)).all()
