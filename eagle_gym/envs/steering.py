"""Rewrites that are written under codes, step by step: what the wrappers of `latent_actions` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eagle_gym import plot_english
from eagle_gym.envs import transition
from eagle_gym.envs.eagle import EagleEnv, as_index
from eagle_gym.envs.episode import SEEDS
from eagle_gym.envs.observation import make_info, make_observation
from eagle_gym.envs.render import Frame
from eagle_gym.envs.spaces import FreeText
from eagle_gym.envs.world import RawState, State, World
from eagle_gym.errors import ConfigurationError, EpisodeError, TextError
from eagle_gym.language import rewriting
from eagle_gym.language.codes import CodeModel, load_codes
from eagle_gym.language.codes.model import Reader
from eagle_gym.language.model import Completion
from eagle_gym.language.prompts import Prompt

EDIT_TOKENS: Final = 40  # longest edit
TEXT_TOKENS: Final = 120  # longest text
STEERED: Final = ("edit", "both")
Floats = NDArray[np.float32]


@dataclass
class Draft:
    """A rewrite that is being written.

    Attributes:
        prompt: Token ids of the present turn's prompt.
        edit: The edit of the first turn, None while it is being written.
        tokens: Tokens of the present turn so far.
        hidden: `[t, D]` hidden states from which they were read.
        code: The code that holds.
        done: Whether the present turn has ended.
    """

    prompt: list[int]
    edit: str | None = None
    tokens: list[int] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)
    code: int = 0
    done: bool = False


class Steering:
    """What the single and the vector wrapper share: the drafts of some environments, moved on together.

    Args:
        envs: The single environments.
        model: The code model.
        every: Tokens for which an action's code holds.
        steer: One of `STEERED`.
    """

    def __init__(self, envs: Sequence[EagleEnv], model: CodeModel, every: int, steer: str) -> None:
        if steer not in STEERED:
            raise ConfigurationError(f"expected steer among {', '.join(STEERED)}, got {steer!r}")
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
        self.drafts: dict[int, Draft] = {}
        self._reader: tuple[list[int], Reader] | None = None

    @property
    def world(self) -> World:
        """The world of the environments."""
        return self.envs[0].world

    def begin(self, rows: Sequence[int]) -> None:
        """Begin a rewrite in some environments."""
        for row in rows:
            state = self.envs[row].state
            text, profile = rewriting.visible(state.text, self.model.format.language), ""
            if self.world.settings.shows_taste:
                profile = self.world.resources.profile(state.user)
            self.drafts[row] = Draft(self.model.format.encode(Prompt("propose", text=text, profile=profile))[0])
        self._reader = None

    @torch.no_grad()
    def advance(self, codes: Mapping[int, int]) -> dict[int, tuple[State, float]]:
        """Write the next tokens of some environments; returns the states and rewards of finished rewrites."""
        rows = list(codes)
        reader = self._read(rows)
        own = self.model.settings.every
        for number in range(self.every):
            x = reader.hidden
            if number % own == 0:
                chosen = [codes[row] if number == 0 else self._likely(row, x[i]) for i, row in enumerate(rows)]
            tokens = self.model.tokens_under(x, torch.as_tensor(chosen, device=x.device))
            for place, row in enumerate(rows):
                self._append(self.drafts[row], int(tokens[place]), x[place])
            if all(self.drafts[row].done for row in rows):
                break
            reader.add(tokens)
        ended = [row for row in rows if self.drafts[row].done]
        if ended:
            self._reader = None
        return self._finish(ended)

    def _append(self, draft: Draft, token: int, x: Tensor) -> None:
        if draft.done:
            return
        draft.tokens.append(token)
        draft.hidden.append(x)
        longest = EDIT_TOKENS if draft.edit is None else TEXT_TOKENS
        draft.done = token in self.model.stop or len(draft.tokens) >= longest

    def _likely(self, row: int, x: Tensor) -> int:
        return int(self._priors([row], x[None])[0].argmax())

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
            stopped = draft.tokens[-1] in self.model.stop
            said = self.model.format.read(draft.tokens[:-1] if stopped else draft.tokens)[0].strip()
            self._count(draft, stopped)
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
            said = written.get(row) or (plot_english.with_tags(text, tags) if text else state.text)
            after = transition.next_text(world, state, said)
            raw.append(RawState(said, state.user, state.item, after.step, after.valid and proper, state.start))
        states = transition.with_rewards(world, before, transition.make_states(world, raw))
        for row, state in zip(rows, states, strict=True):
            self.envs[row].append(Frame(state, texts[row][0], state.reward))
        self.begin([row for row, state in zip(rows, states, strict=True) if not transition.is_over(world, state)])
        return {row: (state, state.reward) for row, state in zip(rows, states, strict=True)}

    def _rewritten(self, edits: Mapping[int, str]) -> dict[int, str]:
        """Rewrites by the environment's own language model, as edits ask."""
        if not edits:
            return {}
        world = self.world
        prompts = [Prompt("rewrite", text=self.envs[row].state.text, edit=edit) for row, edit in edits.items()]
        seeds = [int(self.envs[row].np_random.integers(SEEDS)) for row in edits]
        texts = rewriting.rewrite(world.model, prompts, seeds, temperature=world.settings.temperature)
        return dict(zip(edits, texts, strict=True))

    def _count(self, draft: Draft, stopped: bool) -> None:
        said = Completion("", len(draft.prompt), len(draft.tokens), "stop" if stopped else "length")
        self.world.model.usage.add([said])

    def space(self, single: gym.Space[Any]) -> gym.Space[Any]:
        """The observation space, given that of the environment."""
        if not isinstance(single, gym.spaces.Dict):
            return FreeText()
        width, codes = self.model.width, self.model.settings.codes
        return gym.spaces.Dict(
            {
                **single.spaces,
                "hidden": gym.spaces.Box(-(width**0.5), width**0.5, (width,), np.float32),
                "prior": gym.spaces.Box(0.0, 1.0, (codes,), np.float32),
                "turn": gym.spaces.Box(0.0, 1.0, (2,), np.float32),
            }
        )

    @torch.no_grad()
    def observe(self, rows: Sequence[int]) -> list[Any]:
        """The observations of some environments."""
        latent = self.world.settings.observation == "latent"
        seen: dict[int, Any] = {row: make_observation(self.world, self.envs[row].state) for row in rows}
        if not latent:
            return [f"{seen[row]}\n{self._so_far(row)}" for row in rows]
        open_rows = [row for row in rows if not transition.is_over(self.world, self.envs[row].state)]
        reader = self._read(open_rows) if open_rows else None
        for row in rows:
            seen[row].update(self._nothing())
        if reader is not None:
            priors = self._priors(open_rows, reader.hidden)
            for row, x, prior in zip(open_rows, reader.hidden, priors, strict=True):
                seen[row].update(self._parts(row, x, prior))
        return [seen[row] for row in rows]

    def _so_far(self, row: int) -> str:
        draft = self.drafts[row]
        said = self.model.format.read(draft.tokens)[0] if draft.tokens else ""
        return f"Edit so far: {said}" if draft.edit is None else f"Edit: {draft.edit}\nText so far: {said}"

    def _nothing(self) -> dict[str, Floats]:
        sizes = {"hidden": self.model.width, "prior": self.model.settings.codes, "turn": 2}
        return {name: np.zeros(size, np.float32) for name, size in sizes.items()}

    def _priors(self, rows: Sequence[int], x: Tensor) -> Floats:
        """The policy's probabilities of the codes, `[B, N]`, at hidden states `[B, D]`."""
        paths = [torch.stack([*self.drafts[row].hidden, own]) for row, own in zip(rows, x, strict=True)]
        scores = self.model.policy(torch.nn.utils.rnn.pad_sequence(paths, batch_first=True))
        last = torch.tensor([len(path) - 1 for path in paths], device=x.device)
        found: Floats = scores[torch.arange(len(rows), device=x.device), last].softmax(dim=-1).float().cpu().numpy()
        return found

    def _parts(self, row: int, x: Tensor, prior: Floats) -> dict[str, Floats]:
        draft = self.drafts[row]
        longest = EDIT_TOKENS if draft.edit is None else TEXT_TOKENS
        return {
            "hidden": of_unit_size(x.float().cpu().numpy()),
            "prior": prior,
            "turn": np.array([draft.edit is not None, len(draft.tokens) / longest], np.float32),
        }

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


def of_unit_size(x: Floats) -> Floats:
    """A vector `[D]` with a mean square of 1; 0 stays 0."""
    bound = np.float32(len(x) ** 0.5)
    found: Floats = np.clip(x / np.maximum(np.sqrt(np.mean(x**2)), 1e-6), -bound, bound)
    return found


def as_codes(model: CodeModel | str) -> CodeModel:
    """A code model, read from its folder if it is a path."""
    return load_codes(model) if isinstance(model, str) else model
