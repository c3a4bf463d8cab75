"""Expected effects by rollout: means over real generations, in one batched call."""

from __future__ import annotations

import numpy as np
import pytest

from eagle_gym.actions.edit_features import EditFeatures
from eagle_gym.actions.effects import EditWords, Rollout, encode_distinct
from eagle_gym.errors import ConfigurationError, LanguageModelError
from tests.fake_worlds import ScriptedModel, make_catalog, make_space

CATALOG = make_catalog()
SPACE = make_space(CATALOG)
TEXT = "A dark western film set on a train."


def test_greedy_rollouts_are_the_embeddings_of_the_rewritten_texts() -> None:
    model = ScriptedModel()
    z = SPACE.encoder.encode([TEXT])
    (expected,) = Rollout(model, SPACE, samples=1, temperature=0.0).expected(
        [TEXT], [["Make the tone eerie.", "Leave the place open."]], z, [0]
    )
    wanted = SPACE.encoder.encode(["An eerie western film set on a train.", "A dark western film."])
    np.testing.assert_allclose(expected, wanted)


def test_everything_goes_into_one_call_and_means_are_taken_per_candidate() -> None:
    model = ScriptedModel(fidelity=0.5)
    edits = [["Make the tone eerie.", "Add robots."], ["Blend in comedy."]]
    texts = [TEXT, CATALOG.texts[0]]
    z = SPACE.encoder.encode(texts)
    expected = Rollout(model, SPACE, samples=64).expected(texts, edits, z, [1, 2])
    assert model.batches == [3 * 64]
    assert [len(rows) for rows in expected] == [2, 1]
    done = SPACE.encoder.encode(["An eerie western film set on a train."])[0]
    # Half of the rewrites make the edit: the mean lies about half way.
    share = (expected[0][0] - z[0]) @ (done - z[0]) / np.sum((done - z[0]) ** 2)
    assert 0.3 < share < 0.7


def test_a_row_does_not_depend_on_its_batch_or_on_the_pool_around_it() -> None:
    texts, edits = [TEXT, CATALOG.texts[1]], [["Make it darker.", "Add robots."], ["Make it sadder."]]
    z = SPACE.encoder.encode(texts)
    rollout = Rollout(ScriptedModel(), SPACE, samples=3)
    together = rollout.expected(texts, edits, z, [5, 6])
    alone = rollout.expected(texts[:1], [["Add robots.", "Make it darker."]], z[:1], [5])
    np.testing.assert_array_equal(together[0], alone[0][::-1])


def test_a_failed_generation_is_no_effect() -> None:
    with pytest.raises(LanguageModelError):
        Rollout(ScriptedModel(fail_on=0), SPACE).expected([TEXT], [["Add robots."]], np.zeros((1, 4)), [0])


def test_rollouts_need_a_sample() -> None:
    with pytest.raises(ConfigurationError, match="samples"):
        Rollout(ScriptedModel(), SPACE, samples=0)


def test_equal_texts_are_encoded_once() -> None:
    class Counting:
        calls: list[int]

        def __init__(self) -> None:
            self.calls = []
            self.encoder = self

        def encode(self, texts):
            self.calls.append(len(texts))
            return np.arange(len(texts), dtype=float)[:, None]

    space = Counting()
    assert encode_distinct(space, ["a", "b", "a", "a"])[:, 0].tolist() == [0, 1, 0, 0]
    assert space.calls == [2]


def test_texts_outside_the_language_are_drawn_again_as_in_the_environment() -> None:
    """Half of the answers are garbled, and the estimate is the same mean over those that are not."""
    model = ScriptedModel(fidelity=1.0, invent=0.0, garble=0.5)
    z = SPACE.encoder.encode([TEXT])
    (expected,) = Rollout(model, SPACE, samples=8).expected([TEXT], [["Make the tone eerie."]], z, [0])
    np.testing.assert_allclose(expected, SPACE.encoder.encode(["An eerie western film set on a train."]))
    assert model.usage.retries > 0


def test_free_text_is_taken_as_it_comes() -> None:
    model = ScriptedModel(garble=1.0)
    model.language = "free"
    z = SPACE.encoder.encode([TEXT])
    Rollout(model, SPACE, samples=2).expected([TEXT], [["Make the tone eerie."]], z, [0])
    assert model.batches == [2]


def test_edits_are_expected_to_add_their_own_words_inside_the_ball() -> None:
    features = EditFeatures(SPACE.encoder, SPACE.dim, "plot_english")
    z = SPACE.encoder.encode([TEXT, CATALOG.texts[0]])
    edits = [["Add robots.", "Make it darker."], ["Add robots."]]
    expected = EditWords(features, SPACE.radius).expected([TEXT, CATALOG.texts[0]], edits, z, [0, 0])
    assert [rows.shape for rows in expected] == [(2, SPACE.dim), (1, SPACE.dim)]
    moved = z[0] + features.asked(["Add robots."])[0]
    np.testing.assert_allclose(expected[0][0], moved * min(1.0, SPACE.radius / np.linalg.norm(moved)))
    assert max(np.linalg.norm(rows, axis=1).max() for rows in expected) <= SPACE.radius * (1 + 1e-9)
