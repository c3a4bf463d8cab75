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
    """One moment of an episode: the state, and the prompt and reward that led to it."""

    state: State
    prompt: str = ""
    reward: float = 0.0


def draw(world: World, frames: Sequence[Frame]) -> str:
    """The whole episode: reader, texts, prompts and rewards, and the prompts now offered."""
    if not frames:
        return "No episode yet."
    lines = _head(world, frames[0].state)
    for frame in frames:
        lines += _moment(frame)
    last = frames[-1].state
    if last.step >= world.settings.horizon:
        gain = last.total - frames[0].state.total
        lines += ["", f"The end: utility {frames[0].state.total:+.2f} -> {last.total:+.2f}, a gain of {gain:+.2f}."]
    else:
        lines += ["", f"Step {last.step} of {world.settings.horizon}. Prompts:", *offers(last)]
    return "\n".join(lines)


def offers(state: State) -> list[str]:
    """The prompts that a state offers, numbered, with the design's weights."""
    chosen = state.action_set
    rows = zip(range(len(chosen.prompts)), chosen.prompts, chosen.weights, chosen.mask, strict=True)
    return [f"  {i:>2}  {prompt}  ({weight:.0%})" for i, prompt, weight, offered in rows if offered]


def _head(world: World, first: State) -> list[str]:
    origin = world.catalog.entities[first.entity].title if first.entity >= 0 else "a text of your own"
    reader = f"Reader {world.catalog.users[first.user]}: {world.resources.profile(first.user)}"
    return [*_wrapped(reader, ""), f"Start: {origin}"]


def _moment(frame: Frame) -> list[str]:
    state = frame.state
    asked = [f"  > {frame.prompt}   reward {frame.reward:+.3f}"] if frame.prompt else []
    parts = state.utility
    scores = (
        f"    utility {parts['total']:+.2f} (affinity {parts['affinity']:+.2f}, novelty {parts['novelty']:+.2f}); "
        f"predicted to be liked better than {parts['percentile']:.0f}% of the catalog"
    )
    doubt = [] if state.valid else ["    (no proper rewrite: unchanged, or far too long)"]
    return ["", *asked, *_wrapped(state.text, "    "), scores, *doubt]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) or [indent]
