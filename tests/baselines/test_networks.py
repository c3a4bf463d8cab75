"""Networks that treat actions alike: permutations permute, masked actions do not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.networks import MASKED, ActionScores, StateValue, action_features, pooled


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows, dim, count = 4, 3, 5
    mask = torch.ones(rows, count)
    mask[0, 3:] = 0
    return {
        "state": torch.randn(rows, dim, generator=generator),
        "user": torch.randn(rows, dim + 1, generator=generator),
        "actions": torch.randn(rows, count * dim, generator=generator),
        "weights": torch.rand(rows, count, generator=generator),
        "mask": mask,
        "time": torch.rand(rows, 1, generator=generator),
    }


@pytest.fixture
def networks() -> tuple[ActionScores, StateValue]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ActionScores(3, 16, gain=1.0), StateValue(3, 16)


def test_permutations(batch: dict[str, torch.Tensor], networks: tuple[ActionScores, StateValue]) -> None:
    order = torch.tensor([2, 0, 4, 1, 3])
    moved = dict(batch) | {key: batch[key][:, order] for key in ("weights", "mask")}
    moved["actions"] = batch["actions"].reshape(4, 5, 3)[:, order].reshape(4, 15)
    scores, value = networks
    with torch.no_grad():
        torch.testing.assert_close(scores(moved), scores(batch)[:, order])
        torch.testing.assert_close(value(moved), value(batch))
        assert scores(batch)[1:].std(dim=1).min() > 0.01


def test_masked_actions(batch: dict[str, torch.Tensor], networks: tuple[ActionScores, StateValue]) -> None:
    scores, value = networks
    other = batch | {"actions": batch["actions"].clone()}
    other["actions"][0, 9:] = 7.0  # features of the two actions that row 0 does not offer
    with torch.no_grad():
        torch.testing.assert_close(scores(other), scores(batch))
        torch.testing.assert_close(value(other), value(batch))
        assert (scores(batch)[0, 3:] == MASKED).all()


def test_features_by_hand() -> None:
    observation = {
        "state": torch.tensor([[1.0, 2.0]]),
        "user": torch.tensor([[0.6, 0.8, 3.0]]),
        "actions": torch.tensor([[3.0, 4.0]]),
        "weights": torch.tensor([[0.5]]),
        "mask": torch.tensor([[1.0]]),
        "time": torch.tensor([[0.2]]),
    }
    features, context, mask = action_features(observation)
    alone = [3, 4, 1.8, 3.2, 3, 8, 5, 11, 5, np.sqrt(16 + 36), 0.5]
    shared = [1, 2, 0.6, 0.8, 3, 0.2, 0.6, 1.6, 2.2, np.sqrt(5)]
    np.testing.assert_allclose(features[0, 0], alone + shared, rtol=1e-6)
    np.testing.assert_allclose(context[0], shared, rtol=1e-6)
    assert mask.all()


def test_pooling_by_hand() -> None:
    embedded = torch.tensor([[[1.0], [-2.0], [9.0]]])
    mean, top = pooled(embedded, torch.tensor([[True, True, False]]))[0].tolist()
    assert mean == pytest.approx((np.tanh(1) + np.tanh(-2)) / 2)
    assert top == pytest.approx(np.tanh(1))
