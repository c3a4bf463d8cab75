from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.latent import LatentSpace
from eagle_gym.latent.encoder import cosine_distance
from eagle_gym.latent.geometry import norms, project_to_ball


def test_a_text_is_the_sum_of_its_features(space: LatentSpace) -> None:
    encoder = space.encoder
    text = "A dark 1990s comedy film."
    ((numbers, _),) = encoder.features.bags([text])
    expected = encoder.intercept + encoder.weights[list(numbers)].sum(axis=0)
    np.testing.assert_allclose(encoder.encode([text])[0], project_to_ball(expected[None], encoder.radius)[0])


def test_an_embedding_does_not_depend_on_its_batch(space: LatentSpace, rng: np.random.Generator) -> None:
    texts = space_texts(rng)
    whole = space.encoder.encode(texts)
    alone = np.vstack([space.encoder.encode([text]) for text in texts])
    shuffle = rng.permutation(len(texts))
    shuffled = space.encoder.encode([texts[row] for row in shuffle])
    assert whole.tobytes() == alone.tobytes()
    assert whole[shuffle].tobytes() == shuffled.tobytes()


def space_texts(rng: np.random.Generator) -> list[str]:
    from eagle_gym import plot_english

    return [plot_english.render(plot_english.random_attributes(rng), rng) for _ in range(70)] + ["", "zzz", "A film."]


def test_what_is_encoded_twice_is_equal(space: LatentSpace) -> None:
    assert (
        space.encoder.encode(["A war film."] * 2).tobytes()
        == np.tile(space.encoder.encode(["A war film."]), (2, 1)).tobytes()
    )


def test_no_texts_give_no_rows(space: LatentSpace) -> None:
    assert space.encoder.encode([]).shape == (0, space.dim)


@given(st.lists(st.text(), max_size=5))
def test_any_text_has_an_embedding_in_the_ball(texts: list[str]) -> None:
    for encoder in ENCODERS:
        z = encoder.encode(texts)
        assert z.shape == (len(texts), encoder.dim)
        assert np.all(norms(z) <= encoder.radius * (1 + 1e-12))


def test_movement_is_the_angle_between_features() -> None:
    assert cosine_distance(((0, 3), (1.0, 2.0)), ((0, 3), (1.0, 2.0))) == 0.0
    assert cosine_distance(((0, 3), (1.0, 2.0)), ((0, 3), (2.0, 4.0))) == pytest.approx(0.0)
    assert cosine_distance(((0,), (1.0,)), ((1,), (5.0,))) == 1.0
    assert cosine_distance(((0, 1), (1.0, 0.0)), ((0, 1), (1.0, 1.0))) == pytest.approx(1 - 0.5**0.5)
    assert cosine_distance(((0,), (1.0,)), ((0,), (-2.0,))) == 2.0
    assert cosine_distance(((), ()), ((0,), (1.0,))) == 1.0, "a text without a known word has nothing in common"
    assert cosine_distance(((), ()), ((), ())) == 0.0


def test_movement_of_a_batch(space: LatentSpace) -> None:
    before = ["A drama film set in Paris.", "A comedy."]
    after = ["A drama film set in Paris.", "A horror film in space."]
    moved = space.encoder.movement(before, after)
    assert moved[0] == 0.0 < moved[1] <= 2.0
    assert space.encoder.movement(before[1:], after[1:])[0] == moved[1]
    assert space.encoder.movement([], []).shape == (0,)


ENCODERS: list = []


@pytest.fixture(autouse=True, scope="module")
def _encoders(space: LatentSpace) -> None:
    ENCODERS.append(space.encoder)
