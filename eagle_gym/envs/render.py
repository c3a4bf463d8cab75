"""Episodes drawn for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eagle_gym.envs.world import State, World

WIDTH: Final = 100


@dataclass(frozen=True)
class Frame:
    """One moment of an episode: the state, and the edit and reward that led to it."""

    state: State
    edit: str = ""
    reward: float = 0.0


def draw(world: World, frames: Sequence[Frame]) -> str:
    """The whole episode: user, texts, edits and rewards, and the edits now offered."""
    if not frames:
        return "No episode yet."
    lines = [_head(world, frames[0].state), *map(_moment, frames), _foot(world, frames)]
    return "\n\n".join(lines)


def draw_last(world: World, frames: Sequence[Frame]) -> str:
    """The last moment of an episode alone: what :func:`draw` has added since the step before."""
    return f"{_moment(frames[-1])}\n\n{_foot(world, frames)}"


def offers(state: State) -> list[str]:
    """The edits that a state offers, numbered, with the design's weights."""
    chosen = state.action_set
    rows = zip(range(len(chosen.edits)), chosen.edits, chosen.weights, chosen.mask, strict=True)
    return [f"  {i:>2}  {edit}  ({weight:.0%})" for i, edit, weight, offered in rows if offered]


def _foot(world: World, frames: Sequence[Frame]) -> str:
    """What may be done next, or how it ended."""
    first, last = frames[0].state, frames[-1].state
    if last.step >= world.settings.horizon:
        gain = last.total - first.total
        return f"The end: utility {first.total:+.2f} -> {last.total:+.2f}, a gain of {gain:+.2f}."
    return "\n".join([f"Step {last.step} of {world.settings.horizon}. Edits, with their weights:", *offers(last)])


def _head(world: World, first: State) -> str:
    origin = world.catalog.items[first.item].title if first.item >= 0 else "a text of your own"
    user = f"User {world.catalog.users[first.user]}: {world.resources.profile(first.user)}"
    return "\n".join([*_wrapped(user, ""), f"Start: {origin}"])


def _moment(frame: Frame) -> str:
    state = frame.state
    asked = [f"  > {frame.edit}   reward {frame.reward:+.3f}"] if frame.edit else []
    parts = state.utility
    scores = (
        f"    utility {parts['total']:+.2f} (affinity {parts['affinity']:+.2f}, novelty {parts['novelty']:+.2f}); "
        f"predicted to be liked better than {parts['percentile']:.0f}% of the catalog"
    )
    doubt = [] if state.valid else ["    (no proper rewrite)"]
    return "\n".join([*asked, *_wrapped(state.text, "    "), scores, *doubt])


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) or [indent]
