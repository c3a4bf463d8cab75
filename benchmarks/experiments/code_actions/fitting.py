"""What a choice can change in one rewrite, and how much of that an observation tells.

Every code, and every edit, is tried in the first rewrite of the same episodes. A network is then fitted to the gains of
some states and tested on others: what it cannot predict, PPO with the same network cannot learn either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.evaluate import FIRST_SEED, make_envs
from baselines.networks import ActionValues, mlp
from benchmarks.experiments.code_actions.playing import EDITS, ENV_ID, Size, coded
from eagle_gym.envs.spaces import LatentLayout

SHARES = (0.6, 0.75)  # of the states: fitted, then chosen by, then tested on
BATCH = 32  # states in an update
EPOCHS = 80
RATE = 1e-3
Parts = dict[str, NDArray[Any]]
Net = Callable[[dict[str, Tensor]], Tensor]


@dataclass(frozen=True, eq=False)
class Tried:
    """All choices in one rewrite of S episodes.

    Attributes:
        users: `[S]` Users.
        seen: Observations, `[S, ...]` each part.
        gains: `[S, N]` gain of a rewrite by choice.
        edits: `[S][N]` edits.
    """

    users: list[str]
    seen: Parts
    gains: NDArray[np.float64]
    edits: list[list[str]]


def tried(envs: VectorEnv, seed: int) -> Tried:
    """Try every action in the first rewrite of the episodes that a seed starts."""
    base: Any = envs.unwrapped
    gains, edits = [], []
    for action in range(int(envs.single_action_space.n)):  # type: ignore[attr-defined]
        seen, _ = envs.reset(seed=seed)
        users = [str(base.world.catalog.users[state.user]) for state in base.states]
        gains.append(envs.step(np.full(envs.num_envs, action))[1])
        edits.append([env.frames[-1].edit for env in base.envs])
    return Tried(users, seen, np.array(gains).T, [list(own) for own in zip(*edits, strict=True)])


def places(count: int, split: str) -> dict[str, VectorEnv]:
    """Environments of single rewrites, whose actions are codes or edits."""
    mode = AutoresetMode.NEXT_STEP
    kwargs = {"split": split, "horizon": 1, "autoreset_mode": mode, **EDITS}
    return {"codes": coded(count, split, mode, words=False, horizon=1), "edits": make_envs(ENV_ID, count, **kwargs)}


def reach(size: Size, seed: int) -> dict[str, Any]:
    """What a choice can change for test users.

    Returns:
        For `codes` and `edits`, for each test episode: `users`, and over the choices the `mean` gain of a rewrite, the
        `best` one, its standard deviation `spread`, and `distinct`, the number of different edits.
    """
    found = {}
    for name, envs in places(size["reached"], "test").items():
        own = tried(envs, FIRST_SEED * (1 + seed))
        columns = {"mean": own.gains.mean(axis=1), "best": own.gains.max(axis=1), "spread": own.gains.std(axis=1)}
        distinct = [float(len(set(edits))) for edits in own.edits]
        found[name] = {"users": own.users, "distinct": distinct, **{key: c.tolist() for key, c in columns.items()}}
        envs.close()
    return found


def predictable(size: Size, seed: int) -> dict[str, Any]:
    """How well gains are predicted in unseen states of train users, by what the network is shown.

    Returns:
        For `codes` (everything but the words), `words` (codes with words) and `edits`: `explained`, the share of the
        gains' variance within states; and for each unseen state `users`, `chosen`, the gain of the choice that is
        predicted to be best, `mean` and `best`.
    """
    envs = places(size["envs"], "train")
    data = {name: gathered(own, size["fitted"], 1_000 * (1 + seed)) for name, own in envs.items()}
    features = envs["codes"].unwrapped.world.resources.edit_features  # type: ignore[attr-defined]
    words = with_words(data["codes"], features)
    shown = {"codes": data["codes"], "words": words, "edits": data["edits"]}
    for own in envs.values():
        own.close()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {
            name: fitted(own, flat_net(own) if name == "codes" else equivariant(own)) for name, own in shown.items()
        }


def gathered(envs: VectorEnv, states: int, first: int) -> Tried:
    """All choices in the first rewrite of some episodes."""
    parts = [tried(envs, first + number) for number in range(0, states, envs.num_envs)]
    seen = {name: np.concatenate([part.seen[name] for part in parts]) for name in parts[0].seen}
    users, edits = [one for part in parts for one in part.users], [one for part in parts for one in part.edits]
    return Tried(users, seen, np.concatenate([part.gains for part in parts]), edits)


def with_words(data: Tried, features: Any) -> Tried:  # noqa: ANN401 - EditFeatures
    """Observations in which every code has the words of the edit to which it leads, and every code is offered.

    The parts are those that `ActionValues` reads, as `VectorLatentActions` shows them with `action_features="edit"`,
    but for the mask. It is 1 everywhere here, since the gains of all codes are to be predicted.
    """
    words = np.stack([features.of(edits).reshape(-1) for edits in data.edits]).astype(np.float32)
    asked = np.stack([features.asked(edits) for edits in data.edits])
    match = (asked * data.seen["user"][:, None, :-1]).sum(axis=2).astype(np.float32)
    prior = data.seen["prior"]
    kept = {
        name: part for name, part in data.seen.items() if name not in ("weights", "mask", "hidden", "prior", "turn")
    }
    seen = kept | {"actions": words, "match": match, "weights": prior, "mask": np.ones_like(prior)}
    return Tried(data.users, seen, data.gains, data.edits)


def equivariant(data: Tried) -> Net:
    """The network of PPO that scores every action alike."""
    return ActionValues(LatentLayout.of(data.seen), 64)


def flat_net(data: Tried) -> Net:
    """A network with an output for each action, such as that of SB3's own policy."""
    names = [name for name in data.seen if name not in ("weights", "mask")]
    width = sum(data.seen[name].shape[1] for name in names)
    net = mlp(width, 64, data.gains.shape[1])

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, seen: dict[str, Tensor]) -> Tensor:
            out: Tensor = self.net(torch.cat([seen[name] for name in names], dim=1))
            return out

    return Flat()


def fitted(data: Tried, net: Any) -> dict[str, Any]:  # noqa: ANN401 - a module that is a Net
    """Fit a network to the gains, and test it on unseen states."""
    seen = {name: torch.as_tensor(part).float() for name, part in data.seen.items()}
    gains = torch.as_tensor(data.gains).float()
    first, second = (int(share * len(gains)) for share in SHARES)
    rng, adam = np.random.default_rng(0), torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    best, kept = np.inf, np.zeros(0)
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(first), max(1, first // BATCH)):
            loss = (net(part_of(seen, rows)) - gains[rows]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        with torch.no_grad():
            predicted = net(part_of(seen, np.arange(first, len(gains)))).double().numpy()
        error = float(np.square(predicted[: second - first] - data.gains[first:second]).mean())
        if error < best:
            best, kept = error, predicted[second - first :]
    return scored(data.users[second:], data.gains[second:], kept)


def part_of(seen: Mapping[str, Tensor], rows: NDArray[Any]) -> dict[str, Tensor]:
    """Some rows of observations."""
    return {name: part[rows] for name, part in seen.items()}


def scored(users: list[str], gains: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, Any]:
    """What predictions `[S, N]` explain of gains within states, and what their best choices gain."""
    within, guessed = (x - x.mean(axis=1, keepdims=True) for x in (gains, predicted))
    chosen = gains[np.arange(len(gains)), predicted.argmax(axis=1)]
    columns = {"chosen": chosen, "mean": gains.mean(axis=1), "best": gains.max(axis=1)}
    explained = 1 - np.square(within - guessed).sum() / np.square(within).sum()
    return {"explained": float(explained), "users": users, **{name: own.tolist() for name, own in columns.items()}}
