"""How a world moves: start states, rewrites, rewards. Pure batched functions over a frozen :class:`World`.

- `sample_start` draws a user and an item; `make_states` turns texts into states (one encoder pass, one utility, one
  batched build of action sets)
- `rewrite` applies the chosen edits in one batched call of the language model
- `step` is a rewrite, its new states and their rewards

The single environment is the case of one row. Randomness comes in as seeds or as a generator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.envs.settings import SPLITS, suggest
from eagle_gym.envs.spaces import FreeText
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError, EpisodeError, TextError
from eagle_gym.language import rewriting
from eagle_gym.language.prompts import Prompt

if TYPE_CHECKING:
    from eagle_gym.latent import UtilityParts

OPTIONS: Final = ("user", "item", "text", "any_split")  # of reset


def sample_start(world: World, rng: np.random.Generator, options: Mapping[str, Any] | None = None) -> RawState:
    """Where an episode starts: a user and an item drawn from ``rng`` (in this order), or those named in ``options``.

    Both are drawn whether or not they are named, so that options do not shift the randomness that follows.

    Args:
        world: the world.
        rng: the environment's generator.
        options: may hold ``user`` (id), ``item`` (id), ``text`` (a text of the caller's own) and ``any_split`` (True
            where user and item may be of the other split).

    Raises:
        ConfigurationError: an unknown option, user or item, or one of the other split.
        TextError: a text that the environment's language does not know.
    """
    user = int(world.users[rng.integers(len(world.users))])
    item = int(world.items[rng.integers(len(world.items))])
    for name in options or {}:
        if name not in OPTIONS:
            raise ConfigurationError(f"unknown reset option {name!r}{suggest(name, OPTIONS)}; options: {list(OPTIONS)}")
    options = {name: value for name, value in (options or {}).items() if value is not None}
    if not isinstance(options.get("any_split", False), bool):
        raise ConfigurationError(f"the reset option any_split must be True or False, got {options['any_split']!r}")
    if "user" in options:
        user = world.catalog.user_index(str(options["user"]))
        _check_split(world, "user", world.users, user, options)
    if "item" in options:
        item = world.catalog.item_index(str(options["item"]))
        _check_split(world, "item", world.items, item, options)
    if "text" in options:
        return RawState(check_text(world, options["text"]), user, item if "item" in options else -1)
    return RawState(world.catalog.items[item].text, user, item)


def _check_split(world: World, what: str, rows: NDArray[np.int64], row: int, options: Mapping[str, Any]) -> None:
    if row in rows or options.get("any_split"):
        return
    own = world.settings.split
    other = next(split for split in SPLITS if split != own)
    raise ConfigurationError(
        f"{what} {options[what]!r} belongs to the {other} split, and this environment to the {own} split: make it with "
        f"split={other!r}, or add the option any_split=True where the two are to be mixed"
    )


def check_text(world: World, text: object) -> str:
    """A text of the caller's own, or an error that says why it cannot be a state.

    Raises:
        TextError: not a string, blank, not Unicode, or outside plot English where the model speaks only that.
    """
    if not isinstance(text, str) or not text.strip():
        raise TextError(f"the start text must be a non-empty string, got {text!r}")
    if text not in FreeText():
        raise TextError(f"the start text must be Unicode, got lone surrogates in {text!r}")
    if world.resources.speaks_plot_english:
        plot_english.parse(text)
    return text


def make_states(world: World, arrivals: Sequence[RawState]) -> list[State]:
    """Texts become states: one encoder pass, one utility, one batched build of action sets.

    Args:
        world: the world.
        arrivals: [B] texts with their users, items and steps.

    Returns:
        [B] states.
    """
    if not arrivals:
        return []
    parts = world.resources
    texts = [arrival.text for arrival in arrivals]
    users = np.array([arrival.user for arrival in arrivals])
    items = np.array([arrival.item for arrival in arrivals])
    z = np.asarray(parts.space.encoder.encode(texts), np.float64)
    scores = utility_rows(parts.utility(z, parts.space.users[users], items))
    action_sets = parts.action_sets.build(texts, [parts.profile(int(user)) for user in users], z)
    return [
        State(a.text, a.user, a.item, a.step, row, score, action_set, a.valid)
        for a, row, score, action_set in zip(arrivals, z, scores, action_sets, strict=True)
    ]


def utility_rows(parts: UtilityParts) -> list[dict[str, float]]:
    """[B] dicts of floats from the utility's parts, each an array [B]."""
    columns = {f.name: getattr(parts, f.name) for f in dataclasses.fields(parts)}
    return [dict(zip(columns, row, strict=True)) for row in np.stack(list(columns.values()), 1).tolist()]


def rewrite(world: World, states: Sequence[State], actions: Sequence[int], seeds: Sequence[int]) -> list[RawState]:
    """Chosen edits become new texts, in one batched call of the language model.

    Where texts are plot English, those of the batch that do not parse are drawn again; see
    :mod:`eagle_gym.language.rewriting`.

    Args:
        world: the world.
        states: [B] states.
        actions: [B] indices into the states' action sets.
        seeds: [B] generation seeds.

    Raises:
        EpisodeError: an action that its state does not offer.
        LanguageModelError: a generation that failed.
    """
    if not states:
        return []
    edits = [
        Prompt("rewrite", text=state.text, edit=state.action_set.edits[check_action(state, action)])
        for state, action in zip(states, actions, strict=True)
    ]
    texts = rewriting.rewrite(world.model, edits, seeds, temperature=world.settings.temperature)
    return [
        RawState(text, state.user, state.item, state.step + 1, is_proper(world, state.text, text))
        for text, state in zip(texts, states, strict=True)
    ]


def is_proper(world: World, before: str, after: str) -> bool:
    """Whether a text is a proper rewrite of another, as :class:`State` says of ``valid``."""
    if world.resources.speaks_plot_english:
        return plot_english.parses(after)
    return after != before and len(after) <= 2 * world.resources.longest


def check_action(state: State, action: int) -> int:
    """The action as an int.

    Raises:
        EpisodeError: it is not one of the actions that the state offers.
    """
    mask = state.action_set.mask
    if not 0 <= action < len(mask) or not mask[action]:
        offered = np.flatnonzero(mask)
        raise EpisodeError(
            f"action {action} is not offered: this state offers {len(offered)} of {len(mask)} actions "
            f"({offered[0]} to {offered[-1]}); see info['action_mask'] or action_masks()"
        )
    return int(action)


def step(
    world: World, states: Sequence[State], actions: Sequence[int], seeds: Sequence[int]
) -> tuple[list[State], list[float]]:
    """One step of every episode: [B] next states and [B] rewards."""
    after = make_states(world, rewrite(world, states, actions, seeds))
    return after, rewards(world, states, after)


def rewards(world: World, before: Sequence[State], after: Sequence[State]) -> list[float]:
    """[B] rewards of the steps from ``before`` to ``after``."""
    if world.settings.reward == "improvement":
        return [new.total - old.total for old, new in zip(before, after, strict=True)]
    return [new.total if is_over(world, new) else 0.0 for new in after]


def is_over(world: World, state: State) -> bool:
    """Whether the episode has reached its horizon."""
    return state.step >= world.settings.horizon


def expected_utility(world: World, states: Sequence[State]) -> NDArray[np.float64]:
    """[B, K] utility of each action's expected next embedding; -inf where no action is offered."""
    parts = world.resources
    k = world.settings.actions
    z = np.concatenate([state.action_set.expected for state in states])  # [B*K, n]
    users = parts.space.users[np.repeat([state.user for state in states], k)]
    totals = parts.utility(z, users, np.repeat([state.item for state in states], k)).total.reshape(len(states), k)
    return np.where(np.stack([state.action_set.mask for state in states]) > 0, totals, -np.inf)
