"""Memory: the guess of the taste starts as the sum of reward times change, and stands where a taste would."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from baselines.agent import uniform_latent_space
from baselines.memory import Feedback, RememberingFeatures, RememberingScores, start_as_sums
from baselines.sb3 import RecurrentPPOConfig, make_policy
from eagle_gym.envs.spaces import LatentLayout

N, K = 3, 4
HIDDEN = LatentLayout(n=N, actions=K, width=2 * N + 2, effects=False, user=False, reward=True)


def batch(rows: int, layout: LatentLayout = HIDDEN) -> dict[str, torch.Tensor]:
    """Random observations of a hidden taste, all actions offered."""
    rng = np.random.default_rng(0)
    drawn = {
        key: torch.as_tensor(rng.normal(size=(rows, *shape)), dtype=torch.float32)
        for key, shape in layout.shapes.items()
    }
    return drawn | {"mask": torch.ones(rows, layout.actions)}


def test_the_memory_reads_reward_times_change_last() -> None:
    seen = batch(2)
    read = Feedback(uniform_latent_space(HIDDEN))(seen)
    torch.testing.assert_close(read[:, -N:], seen["reward"] * seen["change"])


@pytest.mark.parametrize("hidden", [2, 8])
def test_cells_start_as_running_sums(hidden: int) -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(5, hidden)
    start_as_sums(lstm, N)
    steps = 0.2 * torch.randn(6, 1, 5)
    _, (_, cells) = lstm(steps)
    kept = min(N, hidden)
    gate = torch.sigmoid(torch.tensor(3.0))
    wanted = torch.zeros(kept)
    for step in steps[:, 0]:
        wanted = gate * wanted + gate * torch.tanh(0.3 * step[5 - N : 5 - N + kept])
    torch.testing.assert_close(cells[0, 0, :kept], wanted)


def test_the_first_guess_points_along_the_taste() -> None:
    torch.manual_seed(0)
    policy = make_policy(RecurrentPPOConfig(hidden=16), HIDDEN)
    taste = torch.tensor([2.0, -1.0, 0.5])
    seen = batch(200)
    state = (torch.zeros(1, 20, 16), torch.zeros(1, 20, 16))
    seen["reward"] = (seen["change"] @ taste)[:, None]  # rewards of 20 episodes of 10 steps
    output, _ = policy.remember(policy.lstm_actor, seen, state, torch.zeros(200))  # type: ignore[operator, union-attr]
    guesses = policy.action_net.features.features.taste(output)[9::10]  # type: ignore[union-attr, operator]
    cosines = torch.nn.functional.cosine_similarity(guesses, taste[None])
    assert cosines.mean() > 0.8


def test_moves_start_as_what_is_asked_for_less_what_is_taken_out() -> None:
    seen = batch(1)
    moves = RememberingFeatures(HIDDEN, 8).features.moves
    assert moves is not None
    rows = seen["actions"].reshape(K, -1)
    torch.testing.assert_close(moves(rows), rows[:, :N] - 2 * rows[:, N : 2 * N])


def test_what_is_remembered_changes_which_action_is_best() -> None:
    torch.manual_seed(0)
    scores = RememberingScores(HIDDEN, 8, 16)
    one, other = (scores(batch(2), sign * torch.ones(2, 8)) for sign in (-1, 1))
    assert ((one - other).std(dim=1) > 0).all()
