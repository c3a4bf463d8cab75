"""`GrammarModel`: applies edits to descriptions itself, with the measured shares of a trained model.

It differs from the embedded model in what was not measured: its choices depend on the kind of a change, not on the
whole text, and values that it invents are equally likely. Its temperature acts on these choices, not on tokens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from scipy.special import expit, logit, softmax

from eagle_gym import plot_english
from eagle_gym.errors import ConfigurationError, LanguageModelError, TextError
from eagle_gym.language.grammar.draws import Draws
from eagle_gym.language.grammar.shares import Shares, load_shares
from eagle_gym.language.model import Completion, Language, Usage, check_request
from eagle_gym.plot_english import PLAIN, SLOTS, Attributes, Change, Layout, Pair, arrays, lexicon
from eagle_gym.plot_english.edits import carry_out, directions, outcomes, put, slots_of
from eagle_gym.plot_english.propose import asking_for
from eagle_gym.plot_english.worded import wording_of
from eagle_gym.plot_english.wordings import LADDER
from eagle_gym.seeding import stable_seed

if TYPE_CHECKING:
    from eagle_gym.language.prompts import Prompt

VERSION: Final = 1  # of the code that writes: raise it whenever a text changes


class GrammarModel:
    """A language model of plot English without weights (see `LanguageModel`).

    Prompts and answers are counted in words, since there are no tokens.

    Args:
        shares: How it rewrites; by default as the embedded model was measured to.
    """

    name: Final = "grammar"
    language: Final[Language] = "plot_english"
    deterministic: Final = True

    def __init__(self, shares: Shares | None = None) -> None:
        self.shares = shares or load_shares()
        self.usage = Usage()
        self.fingerprint = _fingerprint(self.shares)
        self._hands: dict[float, _Hand] = {}
        self._closed = False

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer all prompts; see `LanguageModel`.

        Raises:
            ConfigurationError: The arguments do not match, or a prompt asks for a rating.
            LanguageModelError: The model is closed.
            TextError: An edit or a listing of attributes is not plot English.
        """
        if self._closed:
            raise LanguageModelError("the grammar was closed: open it again with load_language_model('grammar')")
        check_request(prompts, seeds, temperature)
        began = time.perf_counter()
        if temperature not in self._hands:
            self._hands[temperature] = _Hand(self.shares, temperature)
        hand = self._hands[temperature]
        completions = [
            _completion(prompt, hand.answer(prompt, int(seed))) for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        self.usage.add(completions, seconds=time.perf_counter() - began)
        self.usage.tell(prompts, seeds, temperature, completions)
        return completions

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Refuse: a grammar has no probabilities of tokens.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            "expected a language model with weights to score texts, got 'grammar', which has none: choose 'embedded'"
        )

    def close(self) -> None:
        """Answer no more."""
        self._closed = True


def _completion(prompt: Prompt, text: str) -> Completion:
    asked = (prompt.text, prompt.edit, prompt.profile, prompt.rewrite)
    return Completion(text, sum(map(_words, asked)), _words(text), "stop")


def _words(text: str) -> int:
    return text.count(" ") + 1 if text else 0


def _fingerprint(shares: Shares) -> str:
    templates = [[d.head, d.plot, d.content, d.close] for d in plot_english.DIALECTS.values()]
    vague = {name: direction.pairs for name, direction in directions().items()}
    parts = [VERSION, arrays.fingerprint(), templates, vague, dict(LADDER), shares.as_json()]
    written = json.dumps(parts, sort_keys=True, default=dict)
    return blake2b(written.encode(), digest_size=16).hexdigest()


class _Hand:
    """Writes at one temperature.

    Args:
        shares: How it rewrites, at temperature 1.
        temperature: 0 takes the likeliest of every choice.
    """

    def __init__(self, shares: Shares, temperature: float) -> None:
        self._is_greedy = temperature == 0
        self._failures = {kind: _failing(how, temperature) for kind, how in shares.failures.items()}
        self._first = {name: _tempered(share, temperature) for name, share in shares.first.items()}
        for name in ("same_slot", "twice", "lost", "swapped", "invented", "reworded"):
            setattr(self, f"_{name}", _tempered(getattr(shares, name), temperature))

    _same_slot: float
    _twice: float
    _lost: float
    _swapped: float
    _invented: float
    _reworded: float

    def answer(self, prompt: Prompt, seed: int) -> str:
        """The answer to a prompt, from its own draws."""
        match prompt.task:
            case "rewrite":
                return self._rewrite(prompt.text, prompt.edit, Draws(seed))
            case "propose":
                return self._propose(prompt, seed)
            case "write":
                layout = Layout() if self._is_greedy else Layout.random(np.random.default_rng(seed))
                return plot_english.render(_listed(prompt.text), layout=layout)
        raise ConfigurationError("the grammar judges no texts: name a general language model as the judge")

    def _rewrite(self, text: str, edit: str, draws: Draws) -> str:
        before, changes = plot_english.read(text), arrays.changes_in(edit)
        after = before
        for change in changes:
            kind = "macro" if len(changes) > 1 else change.operation
            after = self._changed(after, change, kind, draws)
        after = self._disturbed(before, after, changes, draws)
        return plot_english.render(after, layout=self._layout(text, draws))

    def _layout(self, text: str, draws: Draws) -> Layout:
        wording = wording_of(text)
        if not wording.within(PLAIN) or draws.random() < self._reworded:
            wording = wording_of("")
        return wording.layout(PLAIN, None if self._is_greedy else draws)

    def _changed(self, attributes: Attributes, change: Change, kind: str, draws: Draws) -> Attributes:
        """The attributes after one change, which may fail."""
        possible = outcomes(attributes, change)
        if not possible:
            return attributes
        if kind == "vague" and len(possible) < len(directions()[change.value].pairs):
            kind = "held"
        failure = self._failure(kind, draws)
        if failure == "missed":
            return attributes
        if failure == "mixed":
            change = _mixed(attributes, change, draws)
        outcome = self._outcome(possible, change, draws)
        if failure == "other" and outcome:
            return _instead(attributes, outcome[0][0], draws)
        if failure == "kept" and outcome:
            return put(attributes, *outcome[0])
        after = carry_out(attributes, change, outcome)
        if change.operation == "vague" and len(possible) > 1 and draws.random() < self._twice:
            others = [pair for (pair,) in possible if pair[0] != outcome[0][0] or pair[0] in lexicon.SET_SLOTS]
            after = put(after, *_choose(others, draws)) if others else after
        return after

    def _failure(self, kind: str, draws: Draws) -> str:
        draw = draws.random()
        for how, limit in self._failures[kind]:
            if draw < limit:
                return how
        return ""

    def _outcome(self, possible: Sequence[tuple[Pair, ...]], change: Change, draws: Draws) -> tuple[Pair, ...]:
        if len(possible) == 1 or draws.random() < self._first[change.value]:
            return possible[0]
        same_slot = [outcome for outcome in possible[1:] if outcome[0][0] == possible[0][0][0]]
        if same_slot and draws.random() < self._same_slot:
            return _choose(same_slot, draws)
        others = [outcome for outcome in possible[1:] if outcome[0][0] != possible[0][0][0]]
        return _choose(others or same_slot, draws)

    def _disturbed(
        self, before: Attributes, after: Attributes, changes: Sequence[Change], draws: Draws
    ) -> Attributes:
        """The attributes after what nobody asked for: values lost, swapped or invented."""
        draw = draws.random()
        if draw < self._lost + self._swapped:
            after = _without_one(after, changes, draws, swap=draw >= self._lost)
        if draws.random() < self._invented:
            empty = [slot for slot in SLOTS if not before.values(slot) and not after.values(slot)]
            after = _instead(after, _choose(empty, draws), draws) if empty else after
        return after

    def _propose(self, prompt: Prompt, seed: int) -> str:
        """An edit for the text; given a profile, one that asks for something liked or removes something disliked."""
        rng = np.random.default_rng(stable_seed(prompt.text, prompt.profile) if self._is_greedy else seed)
        attributes = plot_english.read(prompt.text)
        taste = _taste(prompt.profile)
        held = set(attributes.pairs())
        wanted = [pair for pair in taste.likes if pair not in held]
        edits = plot_english.propose(
            attributes, rng, 12 if wanted or taste.dislikes else 1, likes=wanted, dislikes=taste.dislikes
        )
        personal = {asking_for(pair) for pair in wanted}
        fitting = (edit for edit in edits if any(_fits(change, personal, taste) for change in arrays.changes_in(edit)))
        return next(fitting, edits[0])


def _tempered(share: float, temperature: float) -> float:
    """The share of one of two choices at another temperature."""
    if temperature == 0:
        return float(share > 0.5)
    if share in (0.0, 1.0) or temperature == 1:
        return share
    return float(expit(logit(share) / temperature))


def _failing(how: Mapping[str, float], temperature: float) -> tuple[tuple[str, float], ...]:
    """Failures with their cumulated shares at a temperature."""
    names, shares = list(how), np.array([*how.values(), 1.0 - sum(how.values())])
    if temperature == 0:
        shares = (np.arange(len(shares)) == shares.argmax()).astype(float)
    elif temperature != 1:
        with np.errstate(divide="ignore"):  # what never happens has the logarithm -inf
            shares = softmax(np.log(shares) / temperature)
    limits = np.cumsum(shares[:-1]).tolist()
    return tuple(zip(names, limits, strict=True)) if limits and limits[-1] > 0 else ()


T = TypeVar("T")


def _choose(options: Sequence[T], draws: Draws) -> T:
    return options[draws.integers(len(options))]


def _instead(attributes: Attributes, slot: str, draws: Draws) -> Attributes:
    """The attributes with any other value in a slot."""
    there = attributes.values(slot)
    return put(attributes, slot, _choose([value for value in lexicon.values(slot) if value not in there], draws))


def _mixed(attributes: Attributes, change: Change, draws: Draws) -> Change:
    """A change of a set that takes another value out than the one asked for, if the set has another."""
    gone = change.old or change.value
    others = [value for value in attributes.values(change.slot) if value != gone]
    if not others or change.operation not in ("remove", "replace") or change.slot not in lexicon.SET_SLOTS:
        return change
    other = _choose(others, draws)
    if change.operation == "remove":
        return Change("remove", change.slot, other)
    return Change("replace", change.slot, change.value, other)


def _without_one(attributes: Attributes, changes: Sequence[Change], draws: Draws, *, swap: bool) -> Attributes:
    """The attributes without one value that no change concerns, or with another one in its place."""
    touched = {slot for change in changes for slot in slots_of(change)}
    open_pairs = [pair for pair in attributes.pairs() if pair[0] not in touched]
    if not open_pairs:
        return attributes
    slot, value = _choose(open_pairs, draws)
    rest = attributes.with_values(slot, (kept for kept in attributes.values(slot) if kept != value))
    return _instead(rest, slot, draws) if swap else rest


def _taste(profile: str) -> plot_english.Profile:
    try:
        return plot_english.parse_profile(profile) if profile else plot_english.Profile()
    except TextError:
        return plot_english.Profile()


def _fits(change: Change, personal: set[Change], taste: plot_english.Profile) -> bool:
    return change in personal or (change.operation == "remove" and (change.slot, change.value) in taste.dislikes)


def _listed(listing: str) -> Attributes:
    """The attributes of a listing such as "genres: Comedy, Drama; tone: dark".

    Raises:
        TextError: It has another form, or names something outside the lexicon.
    """
    pairs = []
    for part in listing.split(";"):
        slot, _, named = (piece.strip() for piece in part.partition(":"))
        pairs += [(slot, value.strip()) for value in named.split(",")]
    unknown = next((pair for pair in pairs if pair not in arrays.feature_index()), None)
    if unknown is not None:
        raise TextError(
            f"expected attributes such as 'genres: Comedy, Drama; tone: dark', got {listing[:200]!r}: plot English has "
            f"no {unknown[0]} {unknown[1]!r}"
        )
    return Attributes.from_pairs(pairs)
