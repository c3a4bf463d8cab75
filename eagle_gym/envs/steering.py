"""Rewrites that are written under codes, step by step: what the wrappers of `latent_actions` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.actions.edit_features import EditFeatures
from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv, as_index
from eagle_gym.envs.episode import SEEDS
from eagle_gym.envs.observation import make_info, make_observation
from eagle_gym.envs.render import Frame
from eagle_gym.envs.spaces import FreeText
from eagle_gym.envs.world import State, World
from eagle_gym.errors import ConfigurationError, EpisodeError, TextError
from eagle_gym.language import rewriting
from eagle_gym.language.codes import CodeModel, load_codes
from eagle_gym.language.codes.branches import Branches
from eagle_gym.language.codes.model import Reader
from eagle_gym.language.codes.partial import PartialAnswer, finished, priors, write_on
from eagle_gym.language.prompts import Prompt

STEERED: Final = ("edit", "both")
SHOWN: Final = ("none", "edit")  # of a code
OFFERED: Final = ("effects", "actions", "match", "weights", "mask")  # parts of an observation that describe actions
Floats = NDArray[np.float32]


class Steering:
    """What the single and the vector wrapper share: the rewrites of some environments, written on together.

    Args:
        envs: The single environments.
        model: The code model.
        every: Tokens for which an action's code holds; None for as many as in the model's training.
        steer: One of `STEERED`.
        action_features: One of `SHOWN`.
        limit: Rewrites after which an episode is truncated; None for no limit.

    Raises:
        ConfigurationError: An argument does not fit.
    """

    def __init__(
        self,
        envs: Sequence[EagleEnv],
        model: CodeModel,
        every: int | None,
        steer: str,
        action_features: str = "none",
        limit: int | None = None,
    ) -> None:
        if steer not in STEERED:
            raise ConfigurationError(f"expected steer among {', '.join(STEERED)}, got {steer!r}")
        if action_features not in SHOWN:
            raise ConfigurationError(f"expected action_features among {', '.join(SHOWN)}, got {action_features!r}")
        if action_features == "edit" and steer != "edit":
            raise ConfigurationError(
                f"expected steer='edit' with action_features='edit', got {steer!r}: codes of a text lead to no edit"
            )
        held = model.settings.every
        span = held if every is None else every
        if not isinstance(span, int | np.integer) or isinstance(span, bool) or span < 1 or span % held:
            raise ConfigurationError(
                f"expected every to be a positive integer and a multiple of {held}, the tokens for which the model's "
                f"codes hold, got {every!r}: choose such a number, or None for {held}"
            )
        if model.format.language != envs[0].world.model.language:
            raise ConfigurationError(
                f"expected a code model of {envs[0].world.model.language!r}, as the environment's language model, got "
                f"one of {model.format.language!r}"
            )
        self.envs, self.model, self.every, self.steer, self.limit = envs, model, int(span), steer, limit
        self.looks_ahead = action_features == "edit"
        self.answers: dict[int, PartialAnswer] = {}  # row -> the present turn's answer
        self._ahead: dict[int, list[PartialAnswer]] = {}  # row -> the whole edit that each code leads to
        self._begun_at: dict[int, tuple[State, np.random.Generator]] = {}  # row -> where its rewrite began
        self._reader: tuple[list[int], Reader] | None = None

    @property
    def world(self) -> World:
        """The world of the environments."""
        return self.envs[0].world

    def begin(self, rows: Sequence[int]) -> None:
        """Begin a rewrite in some environments."""
        for row in rows:
            self._ahead.pop(row, None)
            self.answers[row] = self._begun(row)
            self._begun_at[row] = self._place(row)
        self._reader = None

    def _place(self, row: int) -> tuple[State, np.random.Generator]:
        """Objects of an environment that `set_state` replaces: a snapshot may hold the same state, but no generator."""
        return self.envs[row].state, self.envs[row].np_random

    def _follow(self, rows: Sequence[int]) -> None:
        """Begin afresh where an episode was moved in between, as by `set_state`: the answer was to another moment."""
        moved = [row for row in rows if not _are_same(self._begun_at.get(row, ()), self._place(row))]
        if moved:
            self.begin(moved)

    def ends(self, row: int) -> tuple[bool, bool]:
        """Whether an episode is at its horizon (terminated), and whether it is at the limit (truncated)."""
        state = self.envs[row].state
        return transition.is_over(self.world, state), self.limit is not None and state.step >= self.limit

    def _begun(self, row: int, edit: str | None = None) -> PartialAnswer:
        """The first turn of a rewrite, or the second one, which does what an edit asks."""
        state, shown = self.envs[row].state, self.world.settings.shows_taste
        text = rewriting.visible(state.text, self.model.format.language)
        if edit is None:
            prompt = Prompt("propose", text=text, profile=self.world.resources.profile(state.user) if shown else "")
        else:
            prompt = Prompt("rewrite", text=text, edit=edit)
        return PartialAnswer(self.model.format.encode(prompt)[0], edit)

    def advance(self, codes: Mapping[int, int]) -> dict[int, tuple[State, float]]:
        """Write the next tokens of some environments; returns the states and rewards of finished rewrites."""
        rows = list(codes)
        self._follow(rows)
        if self.looks_ahead:
            self._look_ahead(rows)
            self._reader = None
            for row, code in codes.items():
                self.answers[row] = self._ahead.pop(row)[code].cut(len(self.answers[row].tokens) + self.every)
        else:
            reader = self._read(rows)
            chosen = torch.tensor(list(codes.values()), device=self.model.device)
            write_on(self.model, reader, [self.answers[row] for row in rows], chosen, self.every)
        ended = [row for row in rows if self.answers[row].done]
        if ended:
            self._reader = None
        return self._finish(ended)

    @torch.no_grad()
    def _look_ahead(self, rows: Sequence[int]) -> None:
        """Write the edit that each code leads to where the model's own policy goes on; every one is counted."""
        rows = [row for row in rows if row not in self._ahead]
        if not rows:
            return
        count = self.model.settings.codes
        answers = [self.answers[row].copy() for row in rows for _ in range(count)]
        ahead = finished(self.model, Branches(self._read(rows)), answers, count)
        self._ahead |= {row: ahead[place * count :][:count] for place, row in enumerate(rows)}
        begun = [len(self.answers[row].tokens) for row in rows for _ in range(count)]
        self.world.model.usage.add([one.completion(self.model, t) for one, t in zip(ahead, begun, strict=True)])

    def _read(self, rows: list[int]) -> Reader:
        """A reader of the answers of some rows; the last one if it is of these rows."""
        if self._reader is None or self._reader[0] != rows:
            asked = [[*self.answers[row].prompt, *self.answers[row].tokens] for row in rows]
            with torch.no_grad():
                self._reader = rows, Reader(self.model.base, asked, self.model.stop[0])
        return self._reader[1]

    def _finish(self, rows: Sequence[int]) -> dict[int, tuple[State, float]]:
        """Go on where a turn has ended: to the second turn, or to the next state."""
        edits: dict[int, str] = {}  # of rewrites that have ended
        texts: dict[int, str | None] = {}  # of those that codes wrote or spoilt; None for no finished text
        for row in rows:
            answer = self.answers[row]
            said = answer.said(self.model)
            if not self.looks_ahead:
                self.world.model.usage.add([answer.completion(self.model)])
            if answer.edit is not None:
                edits[row] = answer.edit
                texts[row] = self._tagged(row, said) if said and answer.stopped(self.model) else None
            elif not self._is_edit(said):
                edits[row], texts[row] = said, None
            elif self.steer == "both":
                self.answers[row] = self._begun(row, said)
            else:
                edits[row] = said
        texts |= self._rewritten({row: edit for row, edit in edits.items() if row not in texts})
        return self._arrive(edits, texts)

    def _tagged(self, row: int, said: str) -> str:
        """A text that codes wrote, with the tags of the text before it."""
        tags = rewriting.carried_tags(self.envs[row].state.text, self.model.format.language)
        return plot_english.with_tags(said, tags)

    def _is_edit(self, said: str) -> bool:
        """Whether an edit can be asked for. Codes may write words that plot English does not have."""
        if self.model.format.language != "plot_english":
            return bool(said)
        try:
            plot_english.parse_edit(said)
        except TextError:
            return False
        return True

    def _arrive(self, edits: Mapping[int, str], texts: Mapping[int, str | None]) -> dict[int, tuple[State, float]]:
        """The next states, and their rewards; where there is no text, the text stays and is not valid."""
        if not edits:
            return {}
        world, before = self.world, {row: self.envs[row].state for row in edits}
        raw = [transition.next_text(world, state, texts[row]) for row, state in before.items()]
        states = transition.with_rewards(world, list(before.values()), transition.make_states(world, raw))
        for (row, edit), state in zip(edits.items(), states, strict=True):
            self.envs[row].append(Frame(state, edit, state.reward))
        self.begin([row for row, state in zip(edits, states, strict=True) if not transition.is_over(world, state)])
        return {row: (state, state.reward) for row, state in zip(edits, states, strict=True)}

    def _rewritten(self, edits: Mapping[int, str]) -> dict[int, str | None]:
        """Rewrites by the environment's own language model, as edits ask; None for one that was cut off."""
        states = [self.envs[row].state for row in edits]
        seeds = [int(self.envs[row].np_random.integers(SEEDS)) for row in edits]
        texts = transition.texts_with(self.world, states, list(edits.values()), seeds)
        return dict(zip(edits, texts, strict=True))

    def space(self, single: gym.Space[Any]) -> gym.Space[Any]:
        """The observation space, given that of the environment."""
        if not isinstance(single, gym.spaces.Dict):
            return FreeText()
        kept = {name: part for name, part in single.spaces.items() if name not in self._left_out}
        return gym.spaces.Dict({**kept, **self._boxes})

    @cached_property
    def _boxes(self) -> dict[str, gym.spaces.Box]:
        """The parts of the latent observation that are about codes, the offered ones as those of K edits."""
        world, codes, width = self.world, self.model.settings.codes, self.model.width
        boxes: dict[str, Any] = {  # of `Box`
            "hidden": gym.spaces.Box(-(width**0.5), width**0.5, (width,), np.float32),
            "prior": gym.spaces.Box(0.0, 1.0, (codes,), np.float32),
            "turn": gym.spaces.Box(0.0, 1.0, (2,), np.float32),
        }
        if self.looks_ahead:
            shown: dict[str, Any] = {"width": self._words.width, "effects": False, "match": world.settings.shows_taste}
            parts = world.latent_space(replace(world.layout, actions=codes, **shown), self._words.bounds)
            boxes |= {name: part for name, part in parts.spaces.items() if name in OFFERED}
        return boxes

    @property
    def _words(self) -> EditFeatures:
        return self.world.resources.edit_features

    @torch.no_grad()
    def observe(self, rows: Sequence[int]) -> list[Any]:
        """The observations of some environments."""
        latent = self.world.settings.observation == "latent"
        seen: dict[int, Any] = {row: make_observation(self.world, self.envs[row].state) for row in rows}
        open_rows = [row for row in rows if not transition.is_over(self.world, self.envs[row].state)]
        self._follow(open_rows)
        if self.looks_ahead:
            self._look_ahead(open_rows)
        if not latent:
            return [f"{seen[row]}\n{self._so_far(row)}" for row in rows]
        for row in rows:
            seen[row] = {name: part for name, part in seen[row].items() if name not in self._left_out}
            seen[row] |= self._nothing()
        if open_rows:
            reader = self._read(open_rows)
            answers = [self.answers[row] for row in open_rows]
            own = priors(self.model, answers, reader.hidden).cpu().numpy()
            for row, x, prior in zip(open_rows, reader.hidden, own, strict=True):
                seen[row] |= self._parts(row, x.float().cpu().numpy(), prior)
        return [seen[row] for row in rows]

    def _so_far(self, row: int) -> str:
        answer = self.answers[row]
        said = answer.said(self.model)
        written = f"Edit so far: {said}" if answer.edit is None else f"Edit: {answer.edit}\nText so far: {said}"
        offered = [f"{code}. {ahead.said(self.model)}" for code, ahead in enumerate(self._ahead.get(row, []))]
        return "\n".join([written, "Codes:", *offered]) if offered else written

    @property
    def _left_out(self) -> tuple[str, ...]:
        return OFFERED if self.looks_ahead else ()

    def _nothing(self) -> dict[str, Floats]:
        return {name: np.zeros(box.shape, np.float32) for name, box in self._boxes.items()}

    def _parts(self, row: int, x: Floats, prior: Floats) -> dict[str, Floats]:
        answer = self.answers[row]
        turn = np.array([answer.edit is not None, len(answer.tokens) / answer.longest], np.float32)
        parts = {"hidden": of_unit_size(x), "prior": prior, "turn": turn}
        if self.looks_ahead:
            edits = [ahead.said(self.model) for ahead in self._ahead[row]]
            words = self._words.of(edits).astype(np.float32)
            parts |= {"actions": words.reshape(-1), "weights": prior, "mask": self._changing(edits, row)}
            if self.world.settings.shows_taste:
                parts["match"] = self._match(edits, self.envs[row].state.user)
        return parts

    def _changing(self, edits: Sequence[str], row: int) -> Floats:
        """1 for edits that can change the text, `[N]`, as all of K edits can; 1 for every edit if none can."""
        if self.model.format.language != "plot_english":
            return np.ones(len(edits), np.float32)
        now = plot_english.read(self.envs[row].state.text)
        found = np.array([self._is_edit(edit) and not _is_noop(now, edit) for edit in edits])
        return (found if found.any() else ~found).astype(np.float32)

    def _match(self, edits: Sequence[str], user: int) -> Floats:
        """How far what edits ask for points in the direction of a user's taste, `[N]`, as the environment shows it."""
        found = transition.along_taste(self.world, self._words.asked(edits), user)
        box = self._boxes["match"]
        return np.clip(found.astype(np.float32), box.low, box.high)

    def mask(self, row: int) -> NDArray[np.bool_]:
        """Which codes are offered, `[N]`: as the observation shows it, or all of them.

        Raises:
            EpisodeError: There was no `reset` yet.
        """
        terminated, _ = self.ends(row)
        if terminated or not self.looks_ahead:
            return np.ones(self.model.settings.codes, np.bool_)
        self._follow([row])
        self._look_ahead([row])
        return self._changing([ahead.said(self.model) for ahead in self._ahead[row]], row).astype(np.bool_)

    def info(self, row: int) -> dict[str, Any]:
        """The info of an environment, with the mask of the codes, and with what is written so far as `draft`."""
        found = make_info(self.world, self.envs[row].state)
        found["action_mask"] = self.mask(row).astype(np.int8)
        return found if self.world.settings.infos == "arrays" else {**found, "draft": self._so_far(row)}

    def check(self, action: Any) -> int:  # noqa: ANN401
        """An action as a code.

        Raises:
            EpisodeError: It is none.
        """
        code = as_index(action)
        if not 0 <= code < self.model.settings.codes:
            raise EpisodeError(f"expected a code from 0 to {self.model.settings.codes - 1}, got {code}")
        return code


def _is_noop(now: plot_english.Attributes, edit: str) -> bool:
    return plot_english.is_noop(now, plot_english.parse_edit(edit))


def of_unit_size(x: Floats) -> Floats:
    """A vector `[D]` with a mean square of 1; 0 stays 0."""
    bound = np.float32(len(x) ** 0.5)
    found: Floats = np.clip(x / np.maximum(np.sqrt(np.mean(x**2)), 1e-6), -bound, bound)
    return found


def _are_same(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether both hold the same objects."""
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def as_codes(model: CodeModel | str | Path) -> CodeModel:
    """A code model, read from its folder if it is a path.

    Raises:
        ConfigurationError: It is neither.
        PreparationError: It cannot be read.
    """
    if isinstance(model, str | Path):
        return load_codes(model)
    if not isinstance(model, CodeModel):
        raise ConfigurationError(
            f"expected a code model, its folder or 'plain', got {model!r}: make one with python -m baselines train cola"
        )
    return model
