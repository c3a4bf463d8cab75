"""Networks over the latent observation that treat all offered actions alike.

The same small network scores every action, so a permutation of the actions permutes the scores. A state's value pools
over its actions and does not change. Actions outside the mask get a score so low that their probability is 0, and they
do not influence the value.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from baselines.agent import read_latent
from eagle_gym.envs.spaces import LatentLayout
from eagle_gym.errors import ConfigurationError

MASKED = -1e8  # a finite logit: with infinity the entropy's 0 * inf would be undefined


class ActionFeatures(nn.Module):
    """The inputs of the networks.

    They include products of an action's move in Z with the user's taste and with the state, and distances to the
    centres of the user's interests: utility is built from these, and a small network learns products and distances
    slowly. Where effects are shown, the move is the effect. Where the words of an edit are shown, it is a linear map of
    the edit's features, which is learnt.

    Args:
        layout: The parts of the latent observation.
        guess: Width of an input from which the taste is guessed where it is hidden; 0 without one.
        learns: Whether the map of edits is learnt; otherwise the move is the sum of the words.
    """

    def __init__(self, layout: LatentLayout, guess: int = 0, *, learns: bool = True) -> None:
        super().__init__()
        self.n = layout.n
        self.shown = "effects" if layout.effects else "actions"
        self.moves: nn.Linear | None = None
        if learns and layout.width and not layout.effects:
            self.moves = nn.Linear(layout.width, layout.n, bias=False)
        self.near = NearInterests(layout.n) if layout.interests and layout.width else None
        self.taste = nn.Linear(guess, layout.n) if guess and not layout.user and layout.width else None

    def forward(self, observation: dict[str, Tensor], known: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the inputs.

        Args:
            observation: Latent observations, `[B, ...]`; parts that a task does not show are left out.
            known: `[B, guess]` What the taste is guessed from.

        Returns:
            Features of each action `[B, K, F]`, features of state and user `[B, C]`, and the mask `[B, K]`.
        """
        mask = observation["mask"] > 0.5
        context = torch.cat(list(_context(observation)), dim=-1)
        shared = context[:, None].expand(-1, mask.shape[1], -1)
        return torch.cat([*self._of_actions(observation, known), shared], dim=-1), context, mask

    def _of_actions(self, observation: dict[str, Tensor], known: Tensor | None) -> Iterator[Tensor]:
        """What is known of each action, each `[B, K, ...]`."""
        state, weights = observation["state"], observation["weights"]
        count = weights.shape[1]
        yield (weights * count)[..., None]  # 1 where the design is uniform, whatever K is
        if "match" in observation:
            yield observation["match"][..., None]
        if self.shown not in observation:
            return
        actions = observation[self.shown].reshape(len(state), count, -1)
        moves = actions[..., : self.n] if self.moves is None else self.moves(actions)
        states = state[:, None]
        yield from (actions, moves * states, (moves * states).sum(-1, keepdim=True))
        yield from (moves.norm(dim=-1, keepdim=True), (moves + states).norm(dim=-1, keepdim=True))
        taste = observation["user"][:, : self.n] if "user" in observation else None
        if self.taste is not None and known is not None:
            taste = self.taste(known)
        if taste is not None:
            products = moves * taste[:, None]
            yield from (products, products.sum(-1, keepdim=True))
        if self.near is not None:
            yield distances(moves + states, observation["interests"])
            yield self.near(moves + states, observation["interests"], observation["time"])

    def widths(self, layout: LatentLayout, guess: int = 0) -> tuple[int, int]:
        """F and C for a layout."""
        observation = {key: torch.zeros(1, *shape) for key, shape in layout.shapes.items()}
        with torch.no_grad():
            features, context, _ = self(observation, torch.zeros(1, guess) if guess else None)
        return features.shape[-1], context.shape[-1]


class NearInterests(nn.Module):
    """What is near a point, as features of it: every interest is judged by itself, and the best one counts.

    A user is served by any one of several interests, so what a point is worth later depends on the interest that can be
    reached best in the steps that are left: not always the nearest one.

    Args:
        n: Dimension of the latent space.
        hidden: Width of the layers.
        features: D, the features of a point.
    """

    def __init__(self, n: int, hidden: int = 32, features: int = 8) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n + 3, hidden), nn.Tanh(), nn.Linear(hidden, features))

    def forward(self, points: Tensor, interests: Tensor, time: Tensor) -> Tensor:
        """Features `[B, K, D]` of points `[B, K, n]`, with centres `[B, c * n]` and the time `[B, 1]`."""
        centres = interests.reshape(len(interests), 1, -1, points.shape[-1])
        towards = centres - points[:, :, None]
        squares = towards.square().sum(-1, keepdim=True)
        passed = time[:, None, None].expand(*towards.shape[:-1], 1)
        judged: Tensor = self.net(torch.cat([towards, squares.sqrt(), torch.exp(-squares / 2), passed], dim=-1))
        return judged.amax(dim=2)


def _context(observation: dict[str, Tensor]) -> Iterator[Tensor]:
    """What is known of state and user, each `[B, ...]`."""
    state = observation["state"]
    yield from (state, observation["time"], state.norm(dim=-1, keepdim=True))
    if "user" in observation:
        taste = observation["user"][:, : state.shape[1]]
        yield from (observation["user"], state * taste, (state * taste).sum(-1, keepdim=True))
    if "interests" in observation:
        yield from (observation["interests"], distances(state[:, None], observation["interests"])[:, 0])
    if "reward" in observation:
        reward, change = observation["reward"], observation["change"]
        yield from (reward, change, reward * change)  # the last stays last: memory sums it up


def distances(points: Tensor, interests: Tensor) -> Tensor:
    """Distances of points `[B, K, n]` to the centres of a user's interests `[B, c * n]`, ascending, `[B, K, c]`."""
    centres = interests.reshape(len(interests), -1, points.shape[-1])
    ascending: Tensor = torch.linalg.vector_norm(points[:, :, None] - centres[:, None], dim=-1).sort(dim=-1).values
    return ascending


def mlp(inputs: int, hidden: int, outputs: int, gain: float | None = None) -> nn.Sequential:
    """Two hidden layers with tanh and SB3's orthogonal initialisation; `gain` scales the last layer, if given."""
    first, second, last = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)
    for layer in (first, second, last):
        nn.init.orthogonal_(layer.weight, gain=2**0.5)
        nn.init.zeros_(layer.bias)
    if gain is not None:
        nn.init.orthogonal_(last.weight, gain=gain)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), last)


def mean_over_offered(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the offered actions, `[B, D]`, of `values` `[B, K, D]`."""
    weights = mask.to(values.dtype)[..., None]
    return (values * weights).sum(1) / weights.sum(1).clamp_min(1)


def pooled(embedded: Tensor, mask: Tensor) -> Tensor:
    """Mean and maximum over the offered actions, `[B, 2 D]`, of `embedded` `[B, K, D]` after a tanh."""
    embedded = torch.tanh(embedded)
    return torch.cat([mean_over_offered(embedded, mask), embedded.masked_fill(~mask[..., None], -1).amax(1)], dim=-1)


class ActionScores(nn.Module):
    """A score for each offered action.

    Args:
        layout: The parts of the latent observation.
        hidden: Width of the hidden layers.
        gain: Scale of the last layer at the start; it is small, so that a policy starts nearly uniform.
    """

    def __init__(self, layout: LatentLayout, hidden: int, gain: float = 0.01) -> None:
        super().__init__()
        self.features = ActionFeatures(layout)
        self.net = mlp(self.features.widths(layout)[0], hidden, 1, gain)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Scores `[B, K]`, `MASKED` where no action is offered."""
        features, _, mask = self.features(observation)
        scores: Tensor = self.net(features).squeeze(-1).masked_fill(~mask, MASKED)
        return scores


class StateValue(nn.Module):
    """A value for each state, computed from its context and from all the actions it offers.

    Args:
        layout: The parts of the latent observation.
        hidden: Width of the hidden layers.
    """

    def __init__(self, layout: LatentLayout, hidden: int) -> None:
        super().__init__()
        self.features = ActionFeatures(layout)
        features, context = self.features.widths(layout)
        self.embed = mlp(features, hidden, hidden)
        self.net = mlp(context + 2 * hidden, hidden, 1)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Values `[B]`."""
        features, context, mask = self.features(observation)
        value: Tensor = self.net(torch.cat([context, pooled(self.embed(features), mask)], dim=-1)).squeeze(-1)
        return value


class ActionValues(nn.Module):
    """A value for each offered action: the state's value plus what the action adds.

    Args:
        layout: The parts of the latent observation.
        hidden: Width of the hidden layers.
    """

    def __init__(self, layout: LatentLayout, hidden: int) -> None:
        super().__init__()
        self.scores, self.value = ActionScores(layout, hidden), StateValue(layout, hidden)

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Values `[B, K]`, near `MASKED` where no action is offered."""
        values: Tensor = self.scores(observation) + self.value(observation)[:, None]
        return values


def latent_tensors(observation: object, layout: LatentLayout, device: str) -> dict[str, Tensor]:
    """Latent observations as tensors `[B, ...]`, for an agent that was trained with this layout.

    Raises:
        ConfigurationError: It is another kind of observation, or has other parts or sizes.
    """
    latent = read_latent(observation)
    if latent.layout != layout:
        raise ConfigurationError(
            f"expected {layout}, as in training, got {latent.layout}: "
            "make the environment with the settings of the training"
        )
    return {key: torch.as_tensor(part, device=device) for key, part in latent.parts.items()}
