"""What an agent sees of a state: the text observation, the latent observation, and `info`.

`taste="hidden"` means that an agent is told what it is paid and nothing else that depends on the user. Observations
hold the last reward, and `info` holds the parts of what is paid (affinity, novelty and prices): they are the feedback
from which a taste is to be inferred. The user's id, profile and vector are left out, and so is the percentile, which is
not paid and would tell the predicted rating of a text. Edits are not personalised, renderings (`render`, `picture`)
leave out the same things, and a snapshot can be continued in an environment that hides the taste as well. Only
objects for programs name the user: `state`, `frames` and snapshots, in which an agent does not look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from eagle_gym.envs.transition import match
from eagle_gym.envs.world import State, World

# Of info; infos="arrays" leaves them out.
TEXT_KEYS: Final = ("text", "user_id", "item_id", "profile", "edits", "rewrite")
HIDDEN_KEYS: Final = ("user_id", "profile")  # of info; taste="hidden" leaves them out
HIDDEN_PARTS: Final = ("percentile",)  # of info["utility"]; taste="hidden" leaves them out


def make_observation(world: World, state: State) -> str | dict[str, NDArray[np.float32]]:
    """The observation of one environment."""
    if world.settings.observation == "text":
        return observe_text(world, state)
    return {name: rows[0] for name, rows in observe_latent(world, [state]).items()}


def observe_text(world: World, state: State) -> str:
    """The text observation: all that an agent that reads needs in order to act."""
    lines = [f"Text: {state.text}", f"Step {state.step} of {world.settings.horizon}."]
    if world.settings.shows_taste:
        lines.insert(0, f"User: {world.resources.profile(state.user)}")
    else:
        lines.append(f"Last reward: {state.reward:.2f}.")
    offered = [f"{i}. {edit}" for i, edit in enumerate(state.action_set.edits) if state.action_set.mask[i]]
    return "\n".join([*lines, "Edits:", *offered])


def observe_latent(world: World, states: Sequence[State]) -> dict[str, NDArray[np.float32]]:
    """The latent observation of a batch: new float32 arrays [B, ...] inside the boxes."""
    boxes = world.bounds
    return {name: _inside(boxes[name], np.stack([_PARTS[name](world, s) for s in states])) for name in boxes.spaces}


def _words(world: World, state: State) -> NDArray[np.float64]:
    return world.resources.edit_features.of(state.action_set.edits).reshape(-1)


def _interests(world: World, state: State) -> NDArray[np.float64]:
    assert world.resources.interests is not None
    return np.asarray(world.resources.interests.centres[state.user]).reshape(-1)


# Part of the latent observation -> what it shows of a state.
_PARTS: Final[Mapping[str, Callable[[World, State], NDArray[Any]]]] = MappingProxyType(
    {
        "state": lambda world, state: state.z,
        "user": lambda world, state: world.resources.tastes[state.user],
        "interests": _interests,
        "effects": lambda world, state: state.action_set.features.reshape(-1),
        "actions": _words,
        "match": lambda world, state: match(world, state.action_set, state.user),
        "weights": lambda world, state: state.action_set.weights,
        "mask": lambda world, state: state.action_set.mask,
        "time": lambda world, state: np.array([state.step / world.settings.horizon]),
        "reward": lambda world, state: np.array([state.reward]),
        "change": lambda world, state: state.change,
    }
)


def _inside(box: gym.Space[Any], rows: NDArray[Any]) -> NDArray[np.float32]:
    assert isinstance(box, gym.spaces.Box)
    return np.clip(rows.astype(np.float32), box.low, box.high)


def make_info(world: World, state: State) -> dict[str, Any]:
    """A new `info` of a state. It is equal in any two runs with one seed, so it holds no counts of calls or tokens."""
    chosen = state.action_set
    info: dict[str, Any] = {
        "text": state.text,
        "user_id": world.catalog.users[state.user],
        "item_id": world.catalog.items[state.item].id if state.item >= 0 else None,
        "profile": world.resources.profile(state.user),
        "step": state.step,
        "valid": state.valid,
        "edits": chosen.edits,
        "action_mask": chosen.mask.copy(),
        "design": {"weights": chosen.weights.copy(), "gap": chosen.gap, "C": chosen.C},
        "utility": shown_utility(world, state),
    }
    if not world.resources.speaks_plot_english:
        info |= {"rewrite": state.rewrite, "movement": state.movement}
    left_out = () if world.settings.infos == "full" else TEXT_KEYS
    if not world.settings.shows_taste:
        left_out = (*left_out, *HIDDEN_KEYS)
    kept = {key: value for key, value in info.items() if key not in left_out}
    return kept if world.settings.infos == "full" else _as_arrays(kept)


def shown_utility(world: World, state: State) -> dict[str, float]:
    """What is paid and its parts; the percentile only where the taste is shown."""
    left_out = () if world.settings.shows_taste else HIDDEN_PARTS
    return {name: value for name, value in state.utility.items() if name not in left_out}


def _as_arrays(info: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as arrays without dimensions, for libraries that ask every value for its type and shape."""
    return {key: _as_arrays(value) if isinstance(value, dict) else np.asarray(value) for key, value in info.items()}
