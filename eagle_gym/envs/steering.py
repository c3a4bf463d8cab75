"""Rewrites that are written under codes, step by step: what the wrappers of `latent_actions` share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from eagle_gym import plot_english
from eagle_gym.actions.edit_features import EditFeatures
from eagle_gym.envs import transition
from eagle_gym.envs.drafts import Draft, finished, priors, write_on
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
from eagle_gym.language.prompts import Prompt

STEERED: Final = ("edit", "both")
SHOWN: Final = ("none", "edit")  # of a code
OFFERED: Final = ("effects", "actions", "match", "weights", "mask")  # parts of an observation that describe actions
Floats = NDArray[np.float32]


class Steering:
    """What the single and the vector wrapper share: the drafts of some environments, moved on together.

    Args:
        envs: The single environments.
        model: The code model.
        every: Tokens for which an action's code holds.
        steer: One of `STEERED`.
        action_features: One of `SHOWN`.
    """

    def __init__(
        self, envs: Sequence[EagleEnv], model: CodeModel, every: int, steer: str, action_features: str = "none"
    ) -> None:
        if steer not in STEERED:
            raise ConfigurationError(f"expected steer among {', '.join(STEERED)}, got {steer!r}")
        if action_features not in SHOWN:
            raise ConfigurationError(f"expected action_features among {', '.join(SHOWN)}, got {action_features!r}")
        if action_features == "edit" and steer != "edit":
            raise ConfigurationError(
                f"expected steer='edit' with action_features='edit', got {steer!r}: codes of a text lead to no edit"
            )
        if every < 1 or every % model.settings.every:
            raise ConfigurationError(
                f"expected every to be a multiple of {model.settings.every}, the tokens for which the model's codes "
                f"hold, got {every}"
            )
        if model.format.language != envs[0].world.model.language:
            raise ConfigurationError(
                f"expected a code model of {envs[0].world.model.language!r}, as the environment's language model, got "
                f"one of {model.format.language!r}"
            )
        self.envs, self.model, self.every, self.steer = envs, model, every, steer
        self.looks_ahead = action_features == "edit"
        self.drafts: dict[int, Draft] = {}
        self._ahead: dict[int, list[Draft]] = {}  # row -> the whole edit that each code leads to
        self._reader: tuple[list[int], Reader] | None = None

    @property
    def world(self) -> World:
        """The world of the environments."""
        return self.envs[0].world

    def begin(self, rows: Sequence[int]) -> None:
        """Begin a rewrite in some environments."""
        for row in rows:
            self._ahead.pop(row, None)
            state = self.envs[row].state
            text, profile = rewriting.visible(state.text, self.model.format.language), ""
            if self.world.settings.shows_taste:
                profile = self.world.resources.profile(state.user)
            self.drafts[row] = Draft(self.model.format.encode(Prompt("propose", text=text, profile=profile))[0])
        self._reader = None

    def advance(self, codes: Mapping[int, int]) -> dict[int, tuple[State, float]]:
        """Write the next tokens of some environments; returns the states and rewards of finished rewrites."""
        rows = list(codes)
        if self.looks_ahead:
            self._reader = None
            for row, code in codes.items():
                self.drafts[row] = self._ahead.pop(row)[code].cut(len(self.drafts[row].tokens) + self.every)
        else:
            reader = self._read(rows)
            chosen = torch.tensor(list(codes.values()), device=self.model.device)
            write_on(self.model, reader, [self.drafts[row] for row in rows], chosen, self.every)
        ended = [row for row in rows if self.drafts[row].done]
        if ended:
            self._reader = None
        return self._finish(ended)

    def _look_ahead(self, rows: list[int]) -> None:
        """Write the edit that each code leads to where the model's own policy goes on; every one is counted."""
        if not rows:
            return
        count = self.model.settings.codes
        drafts = [self.drafts[row].copy() for row in rows for _ in range(count)]
        ahead = finished(self.model, Branches(self._read(rows)), drafts, count)
        self._ahead |= {row: ahead[place * count :][:count] for place, row in enumerate(rows)}
        begun = [len(self.drafts[row].tokens) for row in rows for _ in range(count)]
        self.world.model.usage.add([one.completion(self.model, t) for one, t in zip(ahead, begun, strict=True)])

    def _read(self, rows: list[int]) -> Reader:
        """A reader of the drafts of some rows; the last one if it is of these rows."""
        if self._reader is None or self._reader[0] != rows:
            asked = [[*self.drafts[row].prompt, *self.drafts[row].tokens] for row in rows]
            with torch.no_grad():
                self._reader = rows, Reader(self.model.base, asked, self.model.stop[0])
        return self._reader[1]

    def _finish(self, ended: Sequence[int]) -> dict[int, tuple[State, float]]:
        """Go on where a turn has ended: to the second turn, or to the next state."""
        texts: dict[int, tuple[str, str, bool]] = {}  # row -> edit, text, whether it was finished
        for row in ended:
            draft = self.drafts[row]
            stopped, said = draft.tokens[-1] in self.model.stop, draft.said(self.model)
            if not self.looks_ahead:
                self.world.model.usage.add([draft.completion(self.model)])
            if draft.edit is not None:
                texts[row] = draft.edit, said, stopped
            elif not self._is_edit(said):
                texts[row] = said, "", False
            elif self.steer == "both":
                text = rewriting.visible(self.envs[row].state.text, self.model.format.language)
                prompt = Prompt("rewrite", text=text, edit=said)
                self.drafts[row] = Draft(self.model.format.encode(prompt)[0], edit=said)
            else:
                texts[row] = said, "", True
        return self._arrive(texts)

    def _is_edit(self, said: str) -> bool:
        """Whether an edit can be asked for. Codes may write words that plot English does not have."""
        if self.model.format.language != "plot_english":
            return bool(said)
        try:
            plot_english.parse_edit(said)
        except TextError:
            return False
        return True

    def _arrive(self, texts: Mapping[int, tuple[str, str, bool]]) -> dict[int, tuple[State, float]]:
        if not texts:
            return {}
        world, rows = self.world, list(texts)
        before = [self.envs[row].state for row in rows]
        written = self._rewritten({row: edit for row, (edit, text, proper) in texts.items() if proper and not text})
        raw = []
        for row, state in zip(rows, before, strict=True):
            _, text, proper = texts[row]
            tags = rewriting.carried_tags(state.text, self.model.format.language)
            said = written[row] if row in written else plot_english.with_tags(text, tags) if text else state.text
            after = transition.next_text(world, state, said)
            raw.append(dataclasses.replace(after, valid=after.valid and proper, rewrite=""))
        states = transition.with_rewards(world, before, transition.make_states(world, raw))
        for row, state in zip(rows, states, strict=True):
            self.envs[row].append(Frame(state, texts[row][0], state.reward))
        self.begin([row for row, state in zip(rows, states, strict=True) if not transition.is_over(world, state)])
        return {row: (state, state.reward) for row, state in zip(rows, states, strict=True)}

    def _rewritten(self, edits: Mapping[int, str]) -> dict[int, str | None]:
        """Rewrites by the environment's own language model, as edits ask; None for one that was cut off."""
        if not edits:
            return {}
        world = self.world
        prompts = [Prompt("rewrite", text=self.envs[row].state.text, edit=edit) for row, edit in edits.items()]
        seeds = [int(self.envs[row].np_random.integers(SEEDS)) for row in edits]
        texts = rewriting.rewrite(world.model, prompts, seeds, temperature=world.settings.temperature)
        return dict(zip(edits, texts, strict=True))

    def space(self, single: gym.Space[Any]) -> gym.Space[Any]:
        """The observation space, given that of the environment."""
        if not isinstance(single, gym.spaces.Dict):
            return FreeText()
        width, codes = self.model.width, self.model.settings.codes
        parts = dict(single.spaces)
        if self.looks_ahead:
            low, high = (np.tile(end, codes).astype(np.float32) for end in self._words.bounds)
            parts = {name: part for name, part in parts.items() if name not in OFFERED}
            parts |= {"actions": gym.spaces.Box(low, high, dtype=np.float32)}
            parts |= {name: gym.spaces.Box(0.0, 1.0, (codes,), np.float32) for name in ("weights", "mask")}
            if self.world.settings.shows_taste:
                reach = 2.0 * self.world.space.radius
                parts["match"] = gym.spaces.Box(-reach, reach, (codes,), np.float32)
        return gym.spaces.Dict(
            {
                **parts,
                "hidden": gym.spaces.Box(-(width**0.5), width**0.5, (width,), np.float32),
                "prior": gym.spaces.Box(0.0, 1.0, (codes,), np.float32),
                "turn": gym.spaces.Box(0.0, 1.0, (2,), np.float32),
            }
        )

    @property
    def _words(self) -> EditFeatures:
        return self.world.resources.edit_features

    @torch.no_grad()
    def observe(self, rows: Sequence[int]) -> list[Any]:
        """The observations of some environments."""
        latent = self.world.settings.observation == "latent"
        seen: dict[int, Any] = {row: make_observation(self.world, self.envs[row].state) for row in rows}
        open_rows = [row for row in rows if not transition.is_over(self.world, self.envs[row].state)]
        if self.looks_ahead:
            self._look_ahead([row for row in open_rows if row not in self._ahead])
        if not latent:
            return [f"{seen[row]}\n{self._so_far(row)}" for row in rows]
        for row in rows:
            seen[row] = {name: part for name, part in seen[row].items() if name not in self._left_out}
            seen[row] |= self._nothing()
        if open_rows:
            reader = self._read(open_rows)
            drafts = [self.drafts[row] for row in open_rows]
            own = priors(self.model, drafts, reader.hidden).cpu().numpy()
            for row, x, prior in zip(open_rows, reader.hidden, own, strict=True):
                seen[row] |= self._parts(row, x.float().cpu().numpy(), prior)
        return [seen[row] for row in rows]

    def _so_far(self, row: int) -> str:
        draft = self.drafts[row]
        said = draft.said(self.model)
        written = f"Edit so far: {said}" if draft.edit is None else f"Edit: {draft.edit}\nText so far: {said}"
        offered = [f"{code}. {ahead.said(self.model)}" for code, ahead in enumerate(self._ahead.get(row, []))]
        return "\n".join([written, "Codes:", *offered]) if offered else written

    @property
    def _left_out(self) -> tuple[str, ...]:
        return OFFERED if self.looks_ahead else ()

    def _nothing(self) -> dict[str, Floats]:
        codes = self.model.settings.codes
        sizes = {"hidden": self.model.width, "prior": codes, "turn": 2}
        if self.looks_ahead:
            sizes |= {"actions": codes * self._words.width, "weights": codes, "mask": codes}
            sizes |= {"match": codes} if self.world.settings.shows_taste else {}
        return {name: np.zeros(size, np.float32) for name, size in sizes.items()}

    def _parts(self, row: int, x: Floats, prior: Floats) -> dict[str, Floats]:
        draft = self.drafts[row]
        turn = np.array([draft.edit is not None, len(draft.tokens) / draft.longest], np.float32)
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
        found = self._words.asked(edits) @ self.world.resources.tastes[user, :-1]
        reach = 2.0 * self.world.space.radius
        return np.clip(found, -reach, reach).astype(np.float32)

    def info(self, row: int) -> dict[str, Any]:
        """The info of an environment, with what is written so far as `draft`."""
        found = make_info(self.world, self.envs[row].state)
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


def as_codes(model: CodeModel | str) -> CodeModel:
    """A code model, read from its folder if it is a path."""
    return load_codes(model) if isinstance(model, str) else model
