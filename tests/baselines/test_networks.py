"""Networks that treat actions alike: permutations permute, masked actions do not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.networks import (
    MASKED,
    ActionFeatures,
    ActionScores,
    ActionValues,
    StateValue,
    distances,
    latent_tensors,
    pooled,
)
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.errors import ConfigurationError

LAYOUT = LatentLayout(n=3, actions=5, width=3)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows, dim, count = 4, 3, 5
    mask = torch.ones(rows, count)
    mask[0, 3:] = 0
    return {
        "state": torch.randn(rows, dim, generator=generator),
        "user": torch.randn(rows, dim + 1, generator=generator),
        "effects": torch.randn(rows, count * dim, generator=generator),
        "weights": torch.rand(rows, count, generator=generator),
        "mask": mask,
        "time": torch.rand(rows, 1, generator=generator),
    }


@pytest.fixture
def networks() -> tuple[ActionScores, StateValue]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ActionScores(LAYOUT, 16, gain=1.0), StateValue(LAYOUT, 16)


def test_permutations(batch: dict[str, torch.Tensor], networks: tuple[ActionScores, StateValue]) -> None:
    order = torch.tensor([2, 0, 4, 1, 3])
    moved = dict(batch) | {key: batch[key][:, order] for key in ("weights", "mask")}
    moved["effects"] = batch["effects"].reshape(4, 5, 3)[:, order].reshape(4, 15)
    scores, value = networks
    with torch.no_grad():
        torch.testing.assert_close(scores(moved), scores(batch)[:, order])
        torch.testing.assert_close(value(moved), value(batch))
        assert scores(batch)[1:].std(dim=1).min() > 0.01


def test_masked_actions(batch: dict[str, torch.Tensor], networks: tuple[ActionScores, StateValue]) -> None:
    scores, value = networks
    other = batch | {"effects": batch["effects"].clone()}
    other["effects"][0, 9:] = 7.0  # features of the two actions that row 0 does not offer
    with torch.no_grad():
        torch.testing.assert_close(scores(other), scores(batch))
        torch.testing.assert_close(value(other), value(batch))
        assert (scores(batch)[0, 3:] == MASKED).all()


def test_features_by_hand() -> None:
    observation = {
        "state": torch.tensor([[1.0, 2.0]]),
        "user": torch.tensor([[0.6, 0.8, 3.0]]),
        "effects": torch.tensor([[3.0, 4.0]]),
        "weights": torch.tensor([[0.5]]),
        "mask": torch.tensor([[1.0]]),
        "time": torch.tensor([[0.2]]),
    }
    features, context, mask = ActionFeatures(LatentLayout(n=2, actions=1, width=2))(observation)
    own = [0.5, 3, 4, 3, 8, 11, 5, np.sqrt(16 + 36), 1.8, 3.2, 5]
    shared = [1, 2, 0.2, np.sqrt(5), 0.6, 0.8, 3, 0.6, 1.6, 2.2]
    np.testing.assert_allclose(features[0, 0], own + shared, rtol=1e-6)
    np.testing.assert_allclose(context[0], shared, rtol=1e-6)
    assert mask.all()


@pytest.mark.parametrize("width", [2, 5])  # of free text and of plot English
def test_moves_of_edits_are_learnt_and_effects_are_moves(width: int) -> None:
    layout = LatentLayout(n=2, actions=1, width=width, effects=False)
    observation = {key: torch.ones(1, *shape) for key, shape in layout.shapes.items()}
    observation["actions"] = torch.tensor([[3.0, 4.0, 1.0, 0.0, 1.0]])[:, :width]
    made, plain = ActionFeatures(layout), ActionFeatures(LatentLayout(n=2, actions=1, width=2))
    assert sum(parameter.numel() for parameter in made.parameters()) == 2 * width
    assert not list(plain.parameters())
    assert made.moves is not None
    moves = made.moves(observation["actions"])
    expected = plain({**observation, "effects": moves})[0]
    features = made(observation)[0]
    torch.testing.assert_close(features[..., 0], expected[..., 0])
    torch.testing.assert_close(features[..., width + 1 :], expected[..., 3:])  # all but the edit's features themselves
    features.sum().backward()
    assert made.moves.weight.grad is not None
    assert (made.moves.weight.grad[:, 1] != 0).all()


def test_what_is_near_does_not_depend_on_the_order_of_the_interests() -> None:
    layout = LatentLayout(3, 4, 3, interests=2)
    generator = torch.Generator().manual_seed(0)
    seen = {key: torch.rand(2, *shape, generator=generator) for key, shape in layout.shapes.items()}
    near = ActionFeatures(layout).near
    assert near is not None
    points, interests = seen["effects"].reshape(2, 4, 3), seen["interests"]
    swapped = interests.reshape(2, 2, 3).flip(1).reshape(2, 6)
    found, late = (near(points, interests, time) for time in (seen["time"], seen["time"] + 1))
    torch.testing.assert_close(near(points, swapped, seen["time"]), found)
    assert not torch.allclose(found, late)
    assert not torch.allclose(found, near(points, interests + 1, seen["time"]))


def test_a_hidden_taste_is_guessed_where_there_is_something_to_guess_from() -> None:
    layout = LatentLayout(n=2, actions=3, width=5, effects=False, user=False, reward=True)
    observation = {key: torch.ones(1, *shape) for key, shape in layout.shapes.items()}
    made = ActionFeatures(layout, guess=4)
    one, other = (made(observation, torch.full((1, 4), value))[0] for value in (0.0, 1.0))
    assert one.shape[-1] == made.widths(layout, guess=4)[0]
    assert not torch.equal(one, other)
    assert ActionFeatures(LatentLayout(n=2, actions=3, width=5, effects=False), guess=4).taste is None


def test_pooling_by_hand() -> None:
    embedded = torch.tensor([[[1.0], [-2.0], [9.0]]])
    mean, top = pooled(embedded, torch.tensor([[True, True, False]]))[0].tolist()
    assert mean == pytest.approx((np.tanh(1) + np.tanh(-2)) / 2)
    assert top == pytest.approx(np.tanh(1))


@given(
    width=st.sampled_from([0, 3, 11]),
    interests=st.integers(0, 2),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_networks_read_whatever_a_task_shows_and_treat_actions_alike(width: int, interests: int, flags: tuple) -> None:
    effects, user, match, reward = flags
    effects = effects and width == 3
    layout = LatentLayout(3, 4, width, effects or width == 0, user, match, interests, reward)
    generator = torch.Generator().manual_seed(0)
    seen = {key: torch.rand(2, *shape, generator=generator) for key, shape in layout.shapes.items()}
    seen["mask"] = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 0]])
    order = [2, 0, 3, 1]
    moved = dict(seen)
    for key in {"weights", "mask", "match", "actions", "effects"} & set(seen):
        moved[key] = seen[key].reshape(2, 4, -1)[:, order].reshape(seen[key].shape)
    values = ActionValues(layout, 8)
    made = ActionFeatures(layout)
    features, context, _ = made(seen)
    assert (features.shape[-1], context.shape[-1]) == made.widths(layout)
    with torch.no_grad():
        torch.testing.assert_close(values(moved), values(seen)[:, order])


def test_distances_to_interests_are_sorted() -> None:
    centres = torch.tensor([[0.0, 0.0, 3.0, 4.0]])
    found = distances(torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]), centres)
    np.testing.assert_allclose(found[0], [[0, 5], [0, 5]])


def test_an_agent_of_another_task_is_refused(batch: dict[str, torch.Tensor]) -> None:
    seen = {key: part.numpy() for key, part in batch.items()}
    assert set(latent_tensors(seen, LAYOUT, "cpu")) == set(batch)
    hidden, edits = LatentLayout(3, 5, 3, user=False, reward=True), LatentLayout(3, 5, 9, effects=False, match=True)
    for other in (LatentLayout(3, 5, 0), hidden, edits):
        with pytest.raises(ConfigurationError, match="make the environment with the settings of the training"):
            latent_tensors(seen, other, "cpu")
