"""What an agent sees of a state: the text observation, the latent observation, and `info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from eagle_gym.envs.world import State, World

TEXT_KEYS: Final = ("text", "user_id", "item_id", "profile", "edits")  # of info; infos="arrays" leaves them out


def make_observation(world: World, state: State) -> str | dict[str, NDArray[np.float32]]:
    """The observation of one environment."""
    if world.settings.observation == "text":
        return observe_text(world, state)
    return {name: rows[0] for name, rows in observe_latent(world, [state]).items()}


def observe_text(world: World, state: State) -> str:
    """The text observation: all that an agent that reads needs in order to act."""
    steps = f"Step {state.step} of {world.settings.horizon}."
    offered = [f"{i}. {edit}" for i, edit in enumerate(state.action_set.edits) if state.action_set.mask[i]]
    profile = world.resources.profile(state.user)
    return "\n".join([f"User: {profile}", f"Text: {state.text}", steps, "Edits:", *offered])


def observe_latent(world: World, states: Sequence[State]) -> dict[str, NDArray[np.float32]]:
    """The latent observation of a batch: new float32 arrays [B, ...] inside the boxes."""
    taste = world.space.users[[state.user for state in states], :-1]  # [B, n]
    strength = np.linalg.norm(taste, axis=1, keepdims=True)
    sets = [state.action_set for state in states]
    columns = {
        "state": np.stack([state.z for state in states]),
        "user": np.concatenate([taste / np.maximum(strength, 1e-12), strength], axis=1),
        "actions": np.stack([s.features.reshape(-1) for s in sets]),
        "weights": np.stack([s.weights for s in sets]),
        "mask": np.stack([s.mask for s in sets]),
        "time": np.array([[state.step / world.settings.horizon] for state in states]),
    }
    boxes = world.bounds
    return {name: _inside(boxes[name], rows) for name, rows in columns.items()}


def _inside(box: gym.Space[Any], rows: NDArray[Any]) -> NDArray[np.float32]:
    assert isinstance(box, gym.spaces.Box)
    return np.clip(rows.astype(np.float32), box.low, box.high)


def make_info(world: World, state: State) -> dict[str, Any]:
    """A new `info` of a state. It is equal in any two runs with one seed, so it holds no counts of calls or tokens."""
    chosen = state.action_set
    info = {
        "text": state.text,
        "user_id": world.catalog.users[state.user],
        "item_id": world.catalog.items[state.item].id if state.item >= 0 else None,
        "profile": world.resources.profile(state.user),
        "step": state.step,
        "valid": state.valid,
        "edits": chosen.edits,
        "action_mask": chosen.mask.copy(),
        "design": {"weights": chosen.weights.copy(), "gap": chosen.gap, "C": chosen.C},
        "utility": dict(state.utility),
    }
    if world.settings.infos == "full":
        return info
    return {key: value for key, value in info.items() if key not in TEXT_KEYS}
