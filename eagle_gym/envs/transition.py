"""How episodes move: start states, rewrites and rewards, as pure batched functions over a frozen `World`.

- `sample_start` draws a user and an item.
- `make_states` computes states from texts: one encoder pass, one call of the utility, one batch of action sets.
- `rewrite` applies the chosen edits in one batched call of the language model.
- `step` is `rewrite`, `make_states` and `rewards`.

A single environment is a batch of one. Randomness is passed in as seeds or as a generator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.actions.action_set import DECIMALS, ActionSet
from eagle_gym.envs.settings import SPLITS
from eagle_gym.envs.spaces import FreeText
from eagle_gym.envs.world import Pays, RawState, State, World
from eagle_gym.errors import ConfigurationError, EpisodeError, TextError, suggest
from eagle_gym.language import rewriting
from eagle_gym.language.change import CUT_OFF, change
from eagle_gym.language.prompts import Prompt

if TYPE_CHECKING:
    from eagle_gym.latent import PricedParts

OPTIONS: Final = ("user", "item", "text", "any_split")  # of reset
LONGEST_EDIT: Final = 200  # characters of an edit of the caller's own


def sample_start(world: World, rng: np.random.Generator, options: Mapping[str, Any] | None = None) -> RawState:
    """Draw the user and the item with which an episode starts, or take those named in `options`.

    User and item are always drawn, in this order, so that options do not shift the randomness that follows.

    Args:
        world: The world.
        rng: The environment's generator.
        options: May hold `user` (id), `item` (id), `text` (a text of the caller's own) and `any_split` (True allows
            users and items of the other split).

    Raises:
        ConfigurationError: Options that are not a dict, an unknown option, user or item, or a user or item of the other
            split.
        TextError: A text outside the environment's language.
    """
    user = int(world.users[rng.integers(len(world.users))])
    item = int(world.items[rng.integers(len(world.items))])
    options = _checked_options(options)
    if "user" in options:
        user = world.catalog.user_index(str(options["user"]))
        _check_split(world, "user", world.users, user, options)
    if "item" in options:
        item = world.catalog.item_index(str(options["item"]))
        _check_split(world, "item", world.items, item, options)
    if "text" in options:
        return RawState(check_text(world, options["text"]), user, item if "item" in options else -1)
    return RawState(world.catalog.items[item].text, user, item)


def _checked_options(options: object) -> dict[str, Any]:
    """The options of a reset that were given."""
    if not isinstance(options, Mapping | None):
        raise ConfigurationError(f"expected reset options as a dict such as {{'user': 'u1'}}, got {options!r}")
    for name in options or {}:
        if name not in OPTIONS:
            raise ConfigurationError(
                f"expected reset options among {', '.join(OPTIONS)}, got {name!r}{suggest(name, OPTIONS)}"
            )
    given = {name: value for name, value in (options or {}).items() if value is not None}
    if not isinstance(given.get("any_split", False), bool):
        raise ConfigurationError(f"the reset option any_split must be True or False, got {given['any_split']!r}")
    return given


def _check_split(world: World, what: str, rows: NDArray[np.int64], row: int, options: Mapping[str, Any]) -> None:
    if row in rows or options.get("any_split"):
        return
    own = world.settings.split
    other = next(split for split in SPLITS if split != own)
    raise ConfigurationError(
        f"{what} {options[what]!r} belongs to the {other} split, and this environment to the {own} split: make it with "
        f"split={other!r}, or add the option any_split=True to mix the two"
    )


def check_text(world: World, text: object) -> str:
    """Check a text of the caller's own and return it.

    Raises:
        TextError: It is blank, not a Unicode string, or not plot English in a world of plot English.
    """
    if not isinstance(text, str) or not text.strip():
        raise TextError(f"expected the start text to be a non-empty string, got {text!r}")
    if text not in FreeText():
        raise TextError(f"expected the start text to be Unicode, got lone surrogates in {text!r}")
    if world.resources.speaks_plot_english:
        plot_english.parse(text)
    return text


def make_states(world: World, raw: Sequence[RawState]) -> list[State]:
    """Compute embeddings, utilities and action sets of texts.

    Args:
        world: The world.
        raw: [B] Texts with their users, items and steps.

    Returns:
        [B] States.
    """
    if not raw:
        return []
    with world.resources.lock:
        return _make_states(world, raw)


def _make_states(world: World, raw: Sequence[RawState]) -> list[State]:
    parts = world.resources
    texts = [state.text for state in raw]
    z = np.asarray(parts.space.encoder.encode(texts), np.float64)
    starts = [row if state.start is None else state.start for state, row in zip(raw, z, strict=True)]
    scores = score(world, z, raw, starts).rows()
    users = [state.user for state in raw]
    profiles = [parts.profile(user) if world.settings.shows_taste else "" for user in users]
    subjects = None if world.settings.pools is None else [_first_text(world, state) for state in raw]
    action_sets = parts.action_sets.build(texts, profiles, z, subjects)
    if world.settings.order == "match":
        action_sets = [_by_match(world, *row) for row in zip(action_sets, users, strict=True)]
    still = np.zeros(z.shape[1])
    return [
        State(s.text, s.user, s.item, s.step, row, parts_of, action_set, s.valid, start, still, 0.0, s.rewrite)
        for s, row, parts_of, action_set, start in zip(raw, z, scores, action_sets, starts, strict=True)
    ]


def _first_text(world: World, state: RawState) -> str:
    """The text of the item that the episode started from; for a text of the caller's own, the state's text."""
    return state.text if state.item < 0 else world.catalog.items[state.item].text


def _by_match(world: World, chosen: ActionSet, user: int) -> ActionSet:
    """An action set with the edits that go with the user's taste first, then those that have nothing to do with it."""
    scores = np.where(chosen.mask > 0, match(world, chosen, user), -np.inf)
    return chosen.taken(np.argsort(-np.sign(np.round(scores, DECIMALS)), kind="stable"))


def match(world: World, chosen: ActionSet, user: int) -> NDArray[np.float64]:
    """[K] How far what each action does, or asks for, points in the direction of a user's taste."""
    if world.settings.action_features == "effect":
        towards = chosen.features
    else:
        towards = world.resources.edit_features.asked(chosen.edits)
    return along_taste(world, towards, user)


def along_taste(world: World, towards: NDArray[np.float64], user: int) -> NDArray[np.float64]:
    """[K] How far displacements [K, n] point in the direction of a user's taste."""
    return np.asarray((towards * world.resources.tastes[user, :-1]).sum(axis=1))


def score(
    world: Pays, z: NDArray[np.float64], states: Sequence[RawState | State], starts: Sequence[NDArray[np.float64]]
) -> PricedParts:
    """What embeddings would be paid in episodes.

    Args:
        world: The world.
        z: [B, n] Embeddings.
        states: [B] Say the user, the item and the steps taken; their texts are not read.
        starts: [B] Embeddings of the episodes' first texts.
    """
    user, item, step = np.array([(state.user, state.item, state.step) for state in states]).reshape(-1, 3).T
    return world.priced(z, user, item, np.reshape(starts, z.shape), step)


def rewrite(world: World, states: Sequence[State], actions: Sequence[int], seeds: Sequence[int]) -> list[RawState]:
    """Let the language model rewrite the texts as the chosen edits ask, in one batched call.

    Plot English that does not parse is drawn again, as `eagle_gym.language.rewriting` describes. Where every answer was
    cut off at the limit of tokens, the text stays, and is not valid.

    Args:
        world: The world.
        states: [B] States.
        actions: [B] Indices into the states' action sets.
        seeds: [B] Generation seeds.

    Returns:
        [B] The next texts.

    Raises:
        EpisodeError: A state does not offer its action.
        LanguageModelError: A generation failed.
    """
    return rewrite_with(world, states, chosen_edits(states, actions), seeds)


def chosen_edits(states: Sequence[State], actions: Sequence[int]) -> list[str]:
    """[B] The edits that actions stand for.

    Raises:
        EpisodeError: A state does not offer its action.
    """
    return [state.action_set.edits[check_action(state, action)] for state, action in zip(states, actions, strict=True)]


def rewrite_with(world: World, states: Sequence[State], edits: Sequence[str], seeds: Sequence[int]) -> list[RawState]:
    """Do what `rewrite` does, with [B] edits that the states need not offer."""
    texts = texts_with(world, states, edits, seeds)
    return [next_text(world, state, text) for state, text in zip(states, texts, strict=True)]


def texts_with(world: World, states: Sequence[State], edits: Sequence[str], seeds: Sequence[int]) -> list[str | None]:
    """[B] The language model's rewrites of states by edits; None where every answer was cut off."""
    if not states:
        return []
    prompts = [Prompt("rewrite", text=state.text, edit=edit) for state, edit in zip(states, edits, strict=True)]
    with world.resources.asking:
        return rewriting.rewrite(world.model, prompts, seeds, temperature=world.settings.temperature)


def next_text(world: World, state: State, text: str | None) -> RawState:
    """A text that follows another in its episode; the same text where the answer was cut off (None)."""
    if text is None:
        found = "" if world.resources.speaks_plot_english else CUT_OFF
        return RawState(state.text, state.user, state.item, state.step + 1, False, state.start, found)
    proper = is_proper(world, state.text, text)
    found = "" if world.resources.speaks_plot_english else change(state.text, text)
    return RawState(text, state.user, state.item, state.step + 1, proper, state.start, found)


def is_proper(world: World, before: str, after: str) -> bool:
    """Whether a text is a proper rewrite of another.

    Plot English is proper if it parses; texts that do not are drawn again, so they are rare. Free text is proper unless
    it is the text before the edit, or over twice as long as the catalog's longest.
    """
    if world.resources.speaks_plot_english:
        return plot_english.parses(after)
    return after != before and len(after) <= 2 * world.resources.longest


def check_edit(world: World, edit: object) -> str:
    """Check an edit of the caller's own and return it on one line.

    Raises:
        TextError: It is blank, not a Unicode string, longer than `LONGEST_EDIT`, or not plot English in a world of plot
            English.
    """
    if not isinstance(edit, str) or not edit.strip():
        raise TextError(f"expected an edit such as 'Add a robot.', got {edit!r}")
    line = " ".join(edit.split())
    if line not in FreeText() or len(line) > LONGEST_EDIT:
        raise TextError(f"expected an edit of at most {LONGEST_EDIT} Unicode characters, got {line[:LONGEST_EDIT]!r}…")
    if world.resources.speaks_plot_english:
        plot_english.parse_edit(line)
    return line


def check_action(state: State, action: int) -> int:
    """Check an action and return it as an int.

    Raises:
        EpisodeError: The state does not offer it.
    """
    mask = state.action_set.mask
    if not 0 <= action < len(mask) or not mask[action]:
        offered = np.flatnonzero(mask)
        raise EpisodeError(
            f"expected an action that is offered, got {action}: this state offers {len(offered)} of {len(mask)} "
            f"actions ({offered[0]} to {offered[-1]}); see info['action_mask'] or action_masks()"
        )
    return int(action)


def step(
    world: World, states: Sequence[State], actions: Sequence[int], seeds: Sequence[int]
) -> tuple[list[State], list[float]]:
    """Take one step in every episode and return [B] next states and [B] rewards."""
    return step_with(world, states, chosen_edits(states, actions), seeds)


def step_with(
    world: World, states: Sequence[State], edits: Sequence[str], seeds: Sequence[int]
) -> tuple[list[State], list[float]]:
    """Do what `step` does, with [B] edits that the states need not offer."""
    after = make_states(world, rewrite_with(world, states, edits, seeds))
    after = with_rewards(world, states, after)
    return after, [state.reward for state in after]


def with_rewards(world: Pays, before: Sequence[State], after: Sequence[State]) -> list[State]:
    """[B] The states of `after`, with what they are paid, and what the steps that led there earned and moved."""
    paid = [with_paid_total(world, old, new) for old, new in zip(before, after, strict=True)]
    earned, moved = rewards(world, before, paid), movements(world, before, paid)
    return [
        dataclasses.replace(new, reward=reward, change=new.z - old.z, movement=moved[row])
        for row, (old, new, reward) in enumerate(zip(before, paid, earned, strict=True))
    ]


def movements(world: Pays, before: Sequence[State], after: Sequence[State]) -> list[float]:
    """[B] How far the encoder's features of free texts have moved. The texts are encoded already."""
    free = [row for row, state in enumerate(after) if state.rewrite]
    encoder = world.space.encoder
    moved = encoder.movement([before[row].text for row in free], [after[row].text for row in free]) if free else ()
    found = dict(zip(free, map(float, moved), strict=True))
    return [found.get(row, 0.0) for row in range(len(after))]


def with_paid_total(world: Pays, before: State, after: State) -> State:
    """`after`, with the total that it is paid: everything that follows, gains included, counts from that."""
    total = capped(world, before, after.total, after.valid)
    if total == after.total:
        return after
    return dataclasses.replace(after, utility={**after.utility, "total": total})


def capped(world: Pays, before: State, total: float, valid: bool) -> float:
    """What a text is paid: one that is no proper rewrite gets at most what the text before it got, less the cost."""
    return total if valid else min(before.total - world.priced.edit_cost, total)


def rewards(world: Pays, before: Sequence[State], after: Sequence[State]) -> list[float]:
    """[B] Rewards of the steps from `before` to `after`, whose totals are what they are paid."""
    if world.settings.reward == "improvement":
        return [new.total - old.total for old, new in zip(before, after, strict=True)]
    return [new.total if is_over(world, new) else 0.0 for new in after]


def is_over(world: Pays, state: State) -> bool:
    """Whether the episode has reached its horizon."""
    return state.step >= world.settings.horizon


def expected_utility(world: World, states: Sequence[State]) -> NDArray[np.float64]:
    """[B, K] What each action's expected next embedding would be paid; -inf where no action is offered."""
    k = world.settings.actions
    z = np.concatenate([state.action_set.expected for state in states])  # [B*K, n]
    user, item, step = np.repeat([(state.user, state.item, state.step + 1) for state in states], k, axis=0).T
    starts = np.repeat([state.start for state in states], k, axis=0)
    totals = world.priced(z, user, item, starts, step).total.reshape(len(states), k)
    return np.where(np.stack([state.action_set.mask for state in states]) > 0, totals, -np.inf)
