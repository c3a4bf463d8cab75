"""An episode as a conversation: what a chat model reads, and what becomes of its answers.

The user of the conversation is the environment: it shows the text observation. The chat model answers with the number
of an edit or, where edits of its own are allowed, with one in words. An episode has `horizon` turns. An answer that
names no edit uses up its turn: nothing is rewritten, the turn pays 0, and the chat model is told why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import gymnasium as gym

import eagle_gym
from eagle_gym.catalogs import CATALOGS
from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv
from eagle_gym.envs.world import State
from eagle_gym.errors import ConfigurationError, EpisodeError, TextError, suggest

_TASK: Final = (
    "You improve a text for one user, one edit at a time. A writer rewrites the text as you ask. A good text suits the "
    "taste of the user and resembles nothing that exists. Each message shows the text and numbered edits. "
)
CHOOSE: Final = _TASK + "Answer with the number of one edit and nothing else."
CHOOSE_OR_WRITE: Final = (
    _TASK
    + "Answer with the number of one edit, or with one short edit of your own in the same style, and nothing else."
)

PARTS: Final = ("affinity", "novelty", "drift", "cost")  # of the utility

_THOUGHT = re.compile(r"^.*</think>", re.DOTALL)
_NUMBERED = re.compile(
    r"""
    ^(?:[^\w-]|-(?!\d))*                    # marks such as * or #, and a dash that is no minus
    (?:(?:edit|option|number|action)\W*)?
    (\d{1,6})
    \s*(?:$|\n|[.,:;)\]*-](?!\d))          # a word may follow only after a mark: "3 years later" names no edit
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NUMBER = re.compile(r"(?<![\w.,-])\d{1,6}(?![\w-]|[.,]\d)")
_LISTED = re.compile(r"^\W*(\d{1,6})[.):]?(?:\s|$)", re.MULTILINE)


class UnreadableAnswerError(EpisodeError):
    """An answer of a chat model that names no edit."""


@dataclass(frozen=True)
class Turn:
    """What became of one answer.

    Attributes:
        observation: What the chat model reads next.
        reward: The gain in utility.
        gains: The gain of each part of the utility, by name: `affinity`, `novelty`, `drift` and `cost`, of which the
            last two are subtracted.
        edit: The edit that was applied; empty if the answer named none.
        valid: Whether an edit was applied and the text is a proper rewrite.
        over: Whether this was the last turn.
    """

    observation: str
    reward: float
    gains: Mapping[str, float]
    edit: str
    valid: bool
    over: bool


@dataclass
class Chat:
    """An environment whose agent is a chat model.

    Args:
        task: Name of the task, such as `"plan"`.
        catalog: Name of the catalog: `"plots"`, `"movielens"`, `"amazon"` or `"table"`.
        split: `"train"` or `"test"`: whose users and items episodes start from.
        free_edits: Whether answers may be edits in the chat model's own words.
        arguments: Further arguments of the environment.

    Raises:
        ConfigurationError: There is no such catalog, or an argument that does not fit.
    """

    task: str = "default"
    catalog: str = "plots"
    split: str = "train"
    free_edits: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        gym.register_envs(eagle_gym)
        # Gymnasium's checker of the first calls cannot go on after a reset that failed.
        self._env = gym.make(self._env_id(), disable_env_checker=True, **self._keywords())
        self._turns = self._missed = 0

    def _env_id(self) -> str:
        if self.catalog not in CATALOGS:
            raise ConfigurationError(
                f"expected a catalog among {', '.join(CATALOGS)}, got {self.catalog!r}{suggest(self.catalog, CATALOGS)}"
            )
        return CATALOGS[self.catalog].env_id

    def _keywords(self) -> dict[str, Any]:
        own = {"observation": "text", "reward": "improvement", "task": self.task, "split": self.split}
        for name in own:
            if name in self.arguments:
                raise ConfigurationError(f"expected other arguments than {', '.join(own)}, got {name!r} among them")
        return {**self.arguments, **own}

    @property
    def env(self) -> EagleEnv:
        """The environment."""
        env = self._env.unwrapped
        assert isinstance(env, EagleEnv)
        return env

    @property
    def state(self) -> State:
        """The environment's state.

        Raises:
            EpisodeError: There was no `reset` yet.
        """
        return self.env.state

    @property
    def instructions(self) -> str:
        """What a chat model should be told first, as its system prompt."""
        return CHOOSE_OR_WRITE if self.free_edits else CHOOSE

    @property
    def turns_taken(self) -> int:
        """The answers that the episode has taken."""
        return self._turns

    @property
    def turns_left(self) -> int:
        """The answers that the episode still takes."""
        return self.env.settings.horizon - self._turns

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> str:
        """Start an episode. Equal seeds and answers give equal episodes.

        Args:
            seed: Seed of the user, the text and every rewrite; None continues with the present generator.
            options: `user`, `item` and `text` set the start, as in the environment's `reset`.

        Returns:
            The text observation.
        """
        observation, _ = self._env.reset(seed=seed, options=options)
        self._turns = self._missed = 0
        return str(observation)

    def answer(self, said: str) -> Turn:
        """Take the chat model's answer.

        Raises:
            EpisodeError: There is no episode, or it is over.
            LanguageModelError: The rewrite failed; the episode is where it was before. It is not the chat model's
                fault, so it must not become a reward.
        """
        before = self.state
        if self.turns_left <= 0:
            raise EpisodeError(f"the episode is over after {self._turns} turns: call reset()")
        try:
            edit = self._read(said)
        except UnreadableAnswerError as error:
            self._turns += 1
            self._missed += 1
            return self._turn(before, "", f"{error}\n\n{self.env.read()}", price=self.env.settings.edit_cost)
        observation, *_ = self.env.step_with(edit) if isinstance(edit, str) else self._env.step(edit)
        self._turns += 1
        return self._turn(before, self.env.frames[-1].edit, str(observation))

    def _turn(self, before: State, edit: str, observation: str, *, price: float = 0.0) -> Turn:
        """The turn since a state. `price` is what a turn without a step costs: it is not cheaper than a step."""
        after = self.state
        if self._missed:  # the observation's own count is of rewrites
            observation += f"\nTurns left: {self.turns_left}."
        gains = {name: after.utility[name] - before.utility[name] for name in PARTS}
        gains["cost"] += price
        valid = bool(edit) and after.valid
        return Turn(observation, after.total - before.total - price, gains, edit, valid, over=self.turns_left <= 0)

    def _read(self, said: str) -> int | str:
        choice = read_answer(said, self.state.action_set.edits, free_edits=self.free_edits)
        if isinstance(choice, str):
            try:
                return transition.check_edit(self.env.world, choice)
            except TextError as error:
                raise UnreadableAnswerError(f"The edit cannot be used: {error}.") from error
        return choice

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def read_answer(said: str, edits: Sequence[str], *, free_edits: bool = False) -> int | str:
    """The edit that a chat model's answer names.

    Reasoning up to `</think>` is not part of the answer. An answer that starts with a number (`3`, `**3.** Add a
    robot.`, `Edit 3`) names the edit with this number, and so does one that repeats the edit's words. Otherwise it is
    an edit in the chat model's own words if `free_edits`, and else the only number that occurs in it. A numbered list
    names no edit.

    Args:
        said: The answer.
        edits: [K] The edits on offer; "" where none is.
        free_edits: Whether edits of its own are allowed.

    Returns:
        The number of an edit on offer, or the words of another.

    Raises:
        UnreadableAnswerError: It names no edit, or a number that is not on offer.
    """
    answer = _THOUGHT.sub("", said).strip()
    if len(set(_LISTED.findall(answer))) > 1:
        raise UnreadableAnswerError("Your answer is a list: answer with the number of one edit.")
    numbered = _NUMBERED.match(answer)
    if numbered:
        return _offered(int(numbered[1]), edits)
    words = {_plain(edit): number for number, edit in enumerate(edits) if edit}
    if _plain(answer) in words:
        return words[_plain(answer)]
    if free_edits and answer:
        return answer.splitlines()[0].strip(" \t\"'`*")
    numbers = {int(found) for found in _NUMBER.findall(answer)}
    if len(numbers) != 1:
        raise UnreadableAnswerError(
            f"Your answer names {'no edit' if not numbers else 'several numbers'}: answer with the number of one edit."
        )
    return _offered(numbers.pop(), edits)


def _offered(number: int, edits: Sequence[str]) -> int:
    offered = [index for index, edit in enumerate(edits) if edit]
    if number not in offered:
        first, last = offered[0], offered[-1]
        raise UnreadableAnswerError(f"There is no edit {number}: answer with a number from {first} to {last}.")
    return number


def _plain(words: str) -> str:
    return re.sub(r"\W+", " ", words).strip().casefold()
