"""The two turns of a rewrite: the language model writes an edit for the user, then the text as that edit asks.

Both turns are prompts that the base model was trained on. The profile is read in the first turn only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.worlds import utilities
from eagle_gym import plot_english
from eagle_gym.envs import transition
from eagle_gym.envs.transition import score
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.language.codes import ByCodes, ByTokens, CodeModel, Written, write
from eagle_gym.language.codes.model import Codes
from eagle_gym.language.codes.writing import Chooser
from eagle_gym.language.formats import PromptFormat
from eagle_gym.language.model import Completion
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.rewriting import carried_tags, visible
from eagle_gym.language.sampling import row_uniforms

EDIT_TOKENS = 40  # longest edit
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt in token ids, and what was written as its answer."""

    prompt: list[int]
    written: Written


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A text that the language model wrote in two turns.

    Attributes:
        edit: What it asked itself for.
        text: What it wrote; the text before if it asked for nothing or did not finish.
        turns: The turns; one if it asked for nothing.
        parses: Whether the text is finished and, from a model of plot English, parses.
    """

    edit: str
    text: str
    turns: tuple[Turn, ...]
    parses: bool

    @property
    def passes(self) -> int:
        """Tokens that the base model wrote, one forward pass each."""
        return sum(turn.written.passes for turn in self.turns)

    def completions(self) -> list[Completion]:
        """What is counted as use of the language model."""
        return [
            Completion("", len(turn.prompt), len(turn.written.tokens), "stop" if turn.written.stopped else "length")
            for turn in self.turns
        ]


ChooserMaker = Callable[[int, NDArray[np.int64]], Chooser]
"""Makes the chooser of a turn (0 or 1) for some rows."""


def by_codes(
    model: CodeModel, seeds: Sequence[int], max_tokens: int, temperature: float, forced: Sequence[Codes] | None = None
) -> ChooserMaker:
    """Choosers that draw codes; at temperature 0 they take the most probable ones.

    Args:
        model: The code model.
        seeds: `[B]` seeds of the rows.
        max_tokens: Longest rewrite.
        temperature: Temperature of the codes.
        forced: For each turn `[B, T]` codes to take instead, -1 where the policy chooses.
    """
    draws = row_uniforms(seeds, EDIT_TOKENS + max_tokens) if temperature > 0 else None

    def make(turn: int, rows: NDArray[np.int64]) -> Chooser:
        own = None if draws is None else (draws[:, :EDIT_TOKENS], draws[:, EDIT_TOKENS:])[turn][rows]
        given = None if forced is None else forced[turn][rows]
        return ByCodes(model, own, temperature=temperature, forced=given)

    return make


def by_tokens(base: Any, seeds: Sequence[int], max_tokens: int, temperature: float) -> ChooserMaker:  # noqa: ANN401
    """Choosers that draw tokens; arguments as for `by_codes`."""
    draws = row_uniforms(seeds, EDIT_TOKENS + max_tokens)

    def make(turn: int, rows: NDArray[np.int64]) -> Chooser:
        own = (draws[:, :EDIT_TOKENS], draws[:, EDIT_TOKENS:])[turn][rows]
        return ByTokens(base, own, temperature=temperature)

    return make


def rewrites(
    base: Any,  # noqa: ANN401 - a causal language model of transformers
    form: PromptFormat,
    texts: Sequence[str],
    profiles: Sequence[str],
    make: ChooserMaker,
    max_tokens: int,
) -> list[Rewrite]:
    """Rewrite texts for users.

    Args:
        base: The language model.
        form: How it is asked.
        texts: `[B]` texts.
        profiles: `[B]` profiles of their users, "" where none is shown.
        make: Makes the chooser of each turn.
        max_tokens: Longest rewrite.
    """
    stop = sorted(form.ending.stop)
    seen = [visible(text, form.language) for text in texts]
    proposals = [Prompt("propose", text=text, profile=who) for text, who in zip(seen, profiles, strict=True)]
    asked = [form.encode(prompt)[0] for prompt in proposals]
    everyone = np.arange(len(texts))
    edits = write(base, asked, make(0, everyone), stop, EDIT_TOKENS)
    first = [Turn(ids, written) for ids, written in zip(asked, edits, strict=True)]
    said = [_text_of(form, turn.written) for turn in first]
    rows = np.array([row for row in everyone if said[row]], np.int64)
    prompts = [form.encode(Prompt("rewrite", text=seen[row], edit=said[row]))[0] for row in rows]
    answers = write(base, prompts, make(1, rows), stop, max_tokens) if len(rows) else []
    second = {int(row): Turn(ids, answer) for row, ids, answer in zip(rows, prompts, answers, strict=True)}
    return [_rewrite(form, texts[row], said[row], first[row], second.get(row)) for row in range(len(texts))]


def _text_of(form: PromptFormat, written: Written) -> str:
    tokens = written.tokens[:-1] if written.stopped else written.tokens
    return form.read(tokens)[0].strip()


def _rewrite(form: PromptFormat, before: str, edit: str, first: Turn, second: Turn | None) -> Rewrite:
    turns = (first,) if second is None else (first, second)
    text = "" if second is None else _text_of(form, second.written)
    if second is None or not text:
        return Rewrite(edit, before, turns, parses=False)
    parses = second.written.stopped and (form.language != "plot_english" or plot_english.parses(text))
    return Rewrite(edit, plot_english.with_tags(text, carried_tags(before, form.language)), turns, parses)


def profile_of(world: World, user: int) -> str:
    """The user's profile, "" if the taste is hidden."""
    return world.resources.profile(user) if world.settings.shows_taste else ""


def first_states(world: World, count: int, rng: np.random.Generator) -> list[RawState]:
    """Texts and users with which episodes start."""
    return [transition.sample_start(world, rng) for _ in range(count)]


def gains(world: World, before: Sequence[RawState | State], after: Sequence[Rewrite]) -> Floats:
    """What rewrites gain, `[B]`; one that is not proper gains nothing, as in the environment."""
    z = np.asarray(world.space.encoder.encode([state.text for state in before]), np.float64)
    starts = [row if state.start is None else state.start for state, row in zip(before, z, strict=True)]
    totals = score(world, z, before, starts).total
    following = [
        RawState(new.text, old.user, old.item, old.step + 1, new.parses, start)
        for old, new, start in zip(before, after, starts, strict=True)
    ]
    reached = utilities(world, following)
    proper = np.array([is_proper(world, old.text, new) for old, new in zip(before, after, strict=True)])
    capped = np.where(proper, reached, np.minimum(totals - world.priced.edit_cost, reached))
    gained: Floats = capped - totals
    return gained


def is_proper(world: World, before: str, after: Rewrite) -> bool:
    """Whether a rewrite is finished, and proper as the environment sees it."""
    return after.parses and transition.is_proper(world, before, after.text)


def next_state(world: World, state: State, after: Rewrite) -> RawState:
    """The state that follows one; a rewrite that is not finished is not proper, and an empty one leaves the text."""
    raw = transition.next_text(world, state, after.text)
    return RawState(raw.text, raw.user, raw.item, raw.step, raw.valid and after.parses, raw.start, raw.rewrite)


def is_followed(before: str, after: Rewrite) -> bool:
    """Plot English: whether the text parses, does what its edit asks and changes nothing else; inventions may pass."""
    if not after.parses:
        return False
    try:
        changes = plot_english.parse_edit(after.edit)
    except ValueError:
        return False
    old, new = plot_english.read(before), plot_english.read(after.text)
    return plot_english.fulfilled(old, changes, new) and not plot_english.unasked(old, changes, new)
