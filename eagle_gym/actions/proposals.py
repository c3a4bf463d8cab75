"""Edits that a language model proposes.

A general model is asked for lists: a call asks for up to `LIST` different edits. What is missing after that, such as
duplicates and edits that would change nothing, is asked for by further lists, at most `FURTHER` in addition to those
that would hold the pool. A model that does not write lists is asked for one edit a call, and so is a model of plot
English, which knows no lists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from eagle_gym import plot_english
from eagle_gym.actions.candidates import LexiconCandidates
from eagle_gym.errors import ConfigurationError, LanguageModelError, TextError
from eagle_gym.language.model import LanguageModel
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.rewriting import visible
from eagle_gym.seeding import stable_seed

LIST: Final = 16  # most edits that a call asks for
FURTHER: Final = 2  # lists beyond those that would hold a pool
ROUNDS: Final = 4  # most times that a model is asked for single edits that are missing
LONGEST: Final = 40  # words of an edit of free text; what is longer is a text
REPEATED: Final = 8  # words of a text that an edit does not repeat in a row


@dataclass(slots=True)
class Tally:
    """What became of the questions of a `ModelCandidates`.

    Attributes:
        pools: Pools asked for.
        lists: Calls that asked for a list.
        singles: Calls that asked for one edit.
        proposed: Edits in the answers.
        usable: Those that a pool took: neither duplicates nor without effect.
    """

    pools: int = 0
    lists: int = 0
    singles: int = 0
    proposed: int = 0
    usable: int = 0


@dataclass(slots=True)
class _Pool:
    """The edits of one state, as far as they are known.

    Attributes:
        text: The state's text.
        profile: The user's profile, as text.
        seed: The state's seed.
        size: Edits wanted.
        personal: How many of them are to be proposed with the profile.
        edits: Folded edit -> edit.
        own: How many of them were proposed with the profile.
        lists: Lists that may still be asked for.
        asked: Edits asked for by lists.
        listed: Edits in these lists.
    """

    text: str
    profile: str
    seed: int
    size: int
    personal: int
    lists: int
    edits: dict[str, str] = field(default_factory=dict)
    own: int = 0
    asked: int = 0
    listed: int = 0

    @property
    def missing(self) -> int:
        return self.size - len(self.edits)

    @property
    def writes_lists(self) -> bool:
        """Whether the model wrote at least half of the edits that lists were to hold."""
        return 2 * self.listed >= self.asked

    def take(self, edit: str, *, own: bool) -> bool:
        """Add an edit, and say whether it is a new one."""
        key = folded(edit)
        if not key or key in self.edits or not self.missing:
            return False
        self.edits[key] = edit
        self.own += own
        return True

    def requests(self, turn: int) -> list[tuple[bool, int]]:
        """The lists to ask for: whether each is for the user, and its length."""
        own = min(self.missing, max(0, self.personal - self.own))
        wanted = [(True, own), (False, self.missing - own)]
        found = [(whose, length) for whose, count in wanted for length in _lengths(_asked(count, turn))]
        return found[: self.lists]


class ModelCandidates:
    """Edits that the language model proposes: generic ones and, given the profile, personalised ones.

    Each round asks for all missing edits in one batched call. Duplicates are dropped, and so are edits that change
    nothing and, in plot English, edits that cannot be read. In plot English, the lexicon fills the remaining places.

    Args:
        model: Language model that answers prompts of the task "propose".
        language: "plot_english" or "free": the language of the edits, which is that of the model.
        personalised: Share of edits asked for with the profile.
        temperature: Sampling temperature, above 0: otherwise all proposals would be equal.

    Attributes:
        tally: What became of the questions.

    Raises:
        ConfigurationError: An argument is out of range.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        language: Literal["plot_english", "free"],
        personalised: float = 0.5,
        temperature: float = 1.0,
    ) -> None:
        if temperature <= 0.0:
            raise ConfigurationError(f"expected a temperature above 0, got {temperature!r}: proposals would not differ")
        self._lexicon = LexiconCandidates(personalised)
        self.model = model
        self.language = language
        self.personalised = personalised
        self.temperature = temperature
        self.tally = Tally()

    @property
    def settings(self) -> dict[str, str | float]:
        """See `Candidates`."""
        return {
            "candidates": "model",
            "model": self.model.fingerprint,
            "language": self.language,
            "personalised": self.personalised,
            "temperature": self.temperature,
            "list": LIST,
        }

    def asking(self, model: LanguageModel) -> ModelCandidates:
        """The same candidates with another handle on the model."""
        return ModelCandidates(
            model, language=self.language, personalised=self.personalised, temperature=self.temperature
        )

    def propose(self, texts: Sequence[str], profiles: Sequence[str], n: int, seeds: Sequence[int]) -> list[list[str]]:
        """See `Candidates`; a free-text model may propose fewer than `n`."""
        pools = [
            _Pool(text, profile, seed, n, round(n * self.personalised) if profile else 0, -(-n // LIST) + FURTHER)
            for text, profile, seed in zip(texts, profiles, seeds, strict=True)
        ]
        self.tally.pools += len(pools)
        if self.language == "free":
            self._ask_for_lists(pools)
            self._ask_singly([pool for pool in pools if not pool.writes_lists])
        else:
            self._ask_singly(pools)
            self._fill_up(pools)
        return [list(pool.edits.values()) for pool in pools]

    def _ask_for_lists(self, pools: Sequence[_Pool]) -> None:
        turn = 0
        while wanted := [
            (pool, *request) for pool in pools if pool.writes_lists for request in pool.requests(turn)
        ]:
            prompts, seeds = [], []
            for pool, own, count in wanted:
                prompts.append(self._prompt(pool, own=own, count=count))
                seeds.append(stable_seed(pool.seed, "list", pool.lists))
                pool.lists -= 1
            self.tally.lists += len(prompts)
            for (pool, own, count), lines in zip(wanted, self._answers(prompts, seeds), strict=True):
                pool.asked += count
                # One line is no list: the model's remark, or one edit where several were asked for.
                edits = lines if len(lines) > 1 or count == 1 else []
                pool.listed += len(edits)
                self._take(pool, edits, own=own)
            turn += 1

    def _ask_singly(self, pools: Sequence[_Pool]) -> None:
        for turn in range(ROUNDS):
            wanted = [(pool, j) for pool in pools for j in range(_asked(pool.missing, turn))]
            if not wanted:
                break
            # Multiples of the golden ratio spread any share evenly over the prompts.
            personal = [(j * 0.6180339887498949 + turn * 0.5) % 1.0 < self.personalised for _, j in wanted]
            prompts = [self._prompt(pool, own=own) for (pool, _), own in zip(wanted, personal, strict=True)]
            seeds = [stable_seed(pool.seed, "propose", turn, j) for pool, j in wanted]
            self.tally.singles += len(prompts)
            answers = self._answers(prompts, seeds)
            for (pool, _), own, lines in zip(wanted, personal, answers, strict=True):
                self._take(pool, lines, own=own)

    def _prompt(self, pool: _Pool, *, own: bool, count: int = 1) -> Prompt:
        text = visible(pool.text, self.language)
        return Prompt("propose", text=text, profile=pool.profile if own else "", count=count)

    def _answers(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[list[str]]:
        """The lines of each answer; a prompt that was not answered where others were has none.

        Raises:
            LanguageModelError: Nothing was answered.
        """
        try:
            answers = dict(enumerate(self.model.generate(prompts, seeds, temperature=self.temperature)))
        except LanguageModelError as error:
            if not error.answered:
                raise
            answers = dict(error.answered)
        texts = [answers[row].text if row in answers else "" for row in range(len(prompts))]
        return [[line.strip() for line in text.splitlines() if line.strip()] for text in texts]

    def _take(self, pool: _Pool, edits: Sequence[str], *, own: bool) -> None:
        self.tally.proposed += len(edits)
        self.tally.usable += sum(self._usable(pool.text, edit) and pool.take(edit, own=own) for edit in edits)

    def _usable(self, text: str, edit: str) -> bool:
        if self.language == "free":
            return not changes_nothing(text, edit)
        try:
            changes = plot_english.parse_edit(edit)
        except TextError:
            return False
        return not plot_english.is_noop(plot_english.read(text), changes)

    def _fill_up(self, pools: Sequence[_Pool]) -> None:
        short = [pool for pool in pools if pool.missing]
        if not short:
            return
        extra = self._lexicon.propose(
            [pool.text for pool in short],
            [pool.profile for pool in short],
            short[0].size,
            [pool.seed for pool in short],
        )
        for pool, edits in zip(short, extra, strict=True):
            for edit in edits:
                pool.take(edit, own=False)


def changes_nothing(text: str, edit: str) -> bool:
    """Whether an edit of free text plainly asks for no change, or is no edit but a text.

    It says so, replaces a quotation by itself, repeats a good part of the text, or is longer than edits are.
    """
    words = edit.split()
    if not 1 < len(words) <= LONGEST or _NO_CHANGE.search(edit):
        return True
    quoted = [folded(inside) for inside in _QUOTED.findall(edit)]
    return len(quoted) != len(set(quoted)) or _repeats(folded(text), folded(edit))


def _repeats(text: str, edit: str) -> bool:
    """Whether an edit of some length, or `REPEATED` words of it in a row, stand in the text."""
    words = edit.split()
    runs = [" ".join(words[begin : begin + REPEATED]) for begin in range(max(1, len(words) - REPEATED + 1))]
    return len(words) > 3 and any(run in text for run in runs)


def folded(edit: str) -> str:
    """What two wordings of an edit that differ only in case, space and final punctuation have in common."""
    return " ".join(edit.casefold().split()).strip(" .!\"'")


_NO_CHANGE: Final = re.compile(
    r"\bno (?:changes?|edits?)\b|\b(?:do|change) nothing\b|\b(?:leave|keep) (?:it|everything|the (?:text|description)) "
    r"(?:as (?:it )?is|unchanged|the same)\b|\b(?:do not|don't) change\b",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"[\"“]([^\"“”]+)[\"”]")


def _asked(missing: int, turn: int) -> int:
    """Number of edits to ask for: after the first round more than are missing, since some are duplicates."""
    return 0 if missing <= 0 else missing + (missing + 1) // 2 * (turn > 0)


def _lengths(count: int) -> list[int]:
    """Lengths of the lists that hold so many edits, as equal as possible."""
    lists = -(-count // LIST)
    return [(count + number) // lists for number in range(lists)]
