"""Episodes as text for a terminal. For pictures see `eagle_gym.envs.picture`."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eagle_gym.envs.world import State, World

WIDTH: Final = 100
# Characters that move the cursor, reorder a line or cannot be encoded.
_CONTROLS: Final = ("Cc", "Cs", "Zl", "Zp")
_DIRECTIONS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Frame:
    """One moment of an episode: the state, and the edit and reward that led to it."""

    state: State
    edit: str = ""
    reward: float = 0.0


def draw(world: World, frames: Sequence[Frame]) -> str:
    """The whole episode: user, texts, edits and rewards, and the edits that may be chosen now."""
    if not frames:
        return "No episode yet."
    moments = [_moment(world, frame) for frame in frames]
    lines = [_head(world, frames[0].state), *moments, _foot(world, frames)]
    return "\n\n".join(lines)


def draw_last(world: World, frames: Sequence[Frame]) -> str:
    """The last moment of an episode: what `draw` shows in addition since the step before."""
    return f"{_moment(world, frames[-1])}\n\n{_foot(world, frames)}"


def shown_parts(state: State) -> list[tuple[str, float]]:
    """The parts of a state's utility that are shown; prices are negative and shown where there are any."""
    parts = state.utility
    prices = [(name, -parts[name]) for name in ("drift", "cost") if parts[name]]
    return [("affinity", parts["affinity"]), ("novelty", parts["novelty"]), *prices]


def offers(state: State) -> list[str]:
    """The edits that a state offers, numbered, with the design's weights."""
    chosen = state.action_set
    rows = zip(range(len(chosen.edits)), chosen.edits, chosen.weights, chosen.mask, strict=True)
    return [f"  {i:>2}  {printable(edit)}  ({weight:.0%})" for i, edit, weight, offered in rows if offered]


def printable(text: Any) -> str:  # noqa: ANN401
    r"""The text on one line, with control characters written out: the character ESC becomes the four of `\x1b`.

    Texts come from language models and data files, and a terminal obeys control characters. White space becomes
    blanks.
    """
    return "".join(map(_printable, str(text)))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    if character.isspace() and character not in "\x1c\x1d\x1e\x1f\x85\u2028\u2029":
        return " "
    if unicodedata.category(character) in _CONTROLS or character in _DIRECTIONS:
        return character.encode("unicode_escape").decode()
    return character


def _foot(world: World, frames: Sequence[Frame]) -> str:
    """What can be chosen next, or how the episode ended."""
    first, last = frames[0].state, frames[-1].state
    if last.step >= world.settings.horizon:
        gain = last.total - first.total
        return f"The end: utility {first.total:+.2f} -> {last.total:+.2f}, a gain of {gain:+.2f}."
    return "\n".join([f"Step {last.step} of {world.settings.horizon}. Edits, with their weights:", *offers(last)])


def _head(world: World, first: State) -> str:
    origin = world.catalog.items[first.item].title if first.item >= 0 else "a text of your own"
    return "\n".join([*_wrapped(_user(world, first), ""), f"Start: {printable(origin)}"])


def _user(world: World, state: State) -> str:
    if not world.settings.shows_taste:
        return "User: hidden"
    return f"User {world.catalog.users[state.user]}: {world.resources.profile(state.user)}"


def _moment(world: World, frame: Frame) -> str:
    state = frame.state
    asked = [f"  > {printable(frame.edit)}   reward {frame.reward:+.3f}"] if frame.edit else []
    parts = ", ".join(f"{name} {value:+.2f}" for name, value in shown_parts(state))
    scores = f"    utility {state.total:+.2f} ({parts})"
    if world.settings.shows_taste:
        scores += f"; predicted to be liked better than {state.utility['percentile']:.0f}% of the catalog"
    doubt = [] if state.valid else ["    (no proper rewrite)"]
    return "\n".join([*asked, *_wrapped(state.text, "    "), scores, *doubt])


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, initial_indent=indent, subsequent_indent=indent) or [indent]
