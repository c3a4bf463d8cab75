"""The surrogate for free text: it sees what the encoder reads, tells how good it is, and advises when it is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.actions.surrogate import fit as fitting
from eagle_gym.actions.surrogate import free, make, store
from eagle_gym.errors import PreparationWarning
from eagle_gym.latent.encoder import Encoder
from eagle_gym.latent.features import WordFeatures
from tests.fake_worlds import ScriptedModel, make_catalog, make_space

VOCABULARY = tuple(f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(60))
FEATURES = WordFeatures(VOCABULARY, (1.0,) * len(VOCABULARY))


def make_encoder(rng: np.random.Generator, seen: int = 60) -> Encoder:
    """An encoder of three dimensions that sees only the first words."""
    weights = rng.normal(size=(60, 3)) * (np.arange(60) < seen)[:, None]
    return Encoder(FEATURES, weights, np.zeros(3), 10.0)


def sentences(rng: np.random.Generator, count: int, words: int) -> list[str]:
    return [" ".join(rng.choice(VOCABULARY, words)) for _ in range(count)]


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def effects(edits: list[str], weights: np.ndarray) -> np.ndarray:
    """What edits do: a linear function of their words, whatever the encoder makes of them."""
    return np.array([np.array(values) @ weights[list(numbers)] for numbers, values in FEATURES.bags(edits)])


def test_it_learns_what_embeddings_do_not_tell(rng: np.random.Generator) -> None:
    space = SimpleNamespace(encoder=make_encoder(rng, seen=0))  # every edit has the same embedding
    weights = rng.normal(size=(60, 3))
    texts, edits = sentences(rng, 400, 12), sentences(rng, 400, 4)
    made = free.fit_free(texts, edits, space.encoder.encode(texts), effects(edits, weights), space)
    fresh_texts, fresh = sentences(rng, 100, 12), sentences(rng, 100, 4)
    predicted = made.displacements(fresh_texts, [[edit] for edit in fresh], space.encoder.encode(fresh_texts))
    assert fitting.r_squared(predicted, effects(fresh, weights)) > 0.95


def test_it_learns_products_of_text_and_edit(rng: np.random.Generator) -> None:
    space = SimpleNamespace(encoder=make_encoder(rng))
    texts, edits = sentences(rng, 400, 6), sentences(rng, 400, 3)
    z, asked = space.encoder.encode(texts), space.encoder.encode(edits)
    made = free.fit_free(texts[:300], edits[:300], z[:300], (z * asked)[:300], space)
    predicted = made.displacements(texts[300:], [[edit] for edit in edits[300:]], z[300:])
    assert fitting.r_squared(predicted, (z * asked)[300:]) > 0.9


def test_a_block_that_tells_nothing_is_left_out(rng: np.random.Generator) -> None:
    blocks = {name: rng.normal(size=(200, 30)) for name in ("good", "noise")}
    kernels = {name: free.Kernel(rows @ rows.T / 30, 30.0) for name, rows in blocks.items()}
    target = blocks["good"] @ rng.normal(size=(30, 3))
    weights, noise = free.choose(kernels, target, np.arange(200))
    assert weights["good"] == 1.0
    assert weights["noise"] < 1.0
    assert noise < free.NOISE[-1]


def test_a_prediction_does_not_depend_on_its_batch(rng: np.random.Generator) -> None:
    space = SimpleNamespace(encoder=make_encoder(rng))
    texts, edits = sentences(rng, 60, 8), sentences(rng, 60, 3)
    z = space.encoder.encode(texts)
    made = free.fit_free(texts, edits, z, rng.normal(size=(60, 3)), space)
    pools = [edits[:5], edits[5:7], edits[:1]]
    together = made.displacements(texts[:3], pools, z[:3])
    single = [made.displacements([text], [pool], row[None]) for text, pool, row in zip(texts, pools, z, strict=False)]
    np.testing.assert_array_equal(together, np.concatenate(single))
    assert made.displacements(texts[:1], [[]], z[:1]).shape == (0, 3)
    again = free.FreeSurrogate.restore(made.arrays(), space)
    np.testing.assert_array_equal(again.displacements(texts[:3], pools, z[:3]), together)


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        ({"r2": 0.5}, None),
        ({"r2": 0.3}, None),
        ({}, None),
        ({"r2": 0.2, "r2_ceiling": 0.7}, r"got 0\.20 \(a perfect prediction would have 0\.70\).*effects='rollout'"),
        ({"r2": 0.5, "r2_unseen_edits": 0.1}, r"got 0\.10: "),
        ({"r2": 0.1, "r2_unseen_edits": 0.4}, None),
    ],
)
def test_advice(quality: dict[str, float], said: str | None) -> None:
    found = make.advice(quality)
    if said is None:
        assert found is None
    else:
        with pytest.raises(ValueError, match=said):
            raise ValueError(found)


def test_a_surrogate_that_predicts_little_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "EMBEDDED_BUDGET", store.Budget(trials=60, checks=30, check_samples=2))
    monkeypatch.setattr(make, "LEAST_R2", 0.99)
    catalog = make_catalog(40, 3)
    arguments = (catalog, make_space(catalog, n=8, scale=0.4, radius=5.0), ScriptedModel(), LexiconCandidates())
    for _ in range(2):  # fitted, then read from the cache
        with pytest.warns(PreparationWarning, match=r"R² of at least 0\.99, got .* effects='rollout'"):
            found = store.prepare_surrogate(*arguments, language="free", cache_dir=tmp_path, progress=False)
    assert {"r2", "r2_low", "r2_high", "r2_ceiling", "r2_unseen_edits", "r2_ceiling_unseen_edits"} <= set(found.quality)
    assert found.quality["pairs_unseen_edits"] <= found.quality["pairs"]
    assert "edits unseen in the fit" in make.describe(found)
