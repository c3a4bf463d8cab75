"""Record what a language model answers, and replay it later: bit for bit, offline, without the model.

A recording is an append-only file of JSON lines: a header that names the model, then one line per answer with all that
determines it (prompt, seed, temperature). Lines are written whole, so a process that dies loses at most its last one.

While recording, a question that has been recorded is answered from the file. So a recorded environment is
deterministic even where its server is not, and an interrupted run picks up where it stopped.
"""

from __future__ import annotations

import difflib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language.metering import load_inner
from eagle_gym.language.model import Completion, LanguageModel, Usage, check_request
from eagle_gym.language.prompts import Prompt

FORMAT = "eagle_gym recording 1"
NEAREST_AMONG = 2000  # recorded questions that a miss is compared with


@dataclass(frozen=True, slots=True)
class Question:
    """All that determines an answer of one model: a prompt, and how it is sampled or what it is scored on."""

    prompt: Prompt
    seed: int | None = None
    temperature: float | None = None
    continuation: str | None = None

    def __str__(self) -> str:
        about = f"{self.prompt.task} {self.prompt.instruction!r} of {_short(self.prompt.text)}".replace(" '' of", " of")
        profile = f" for {_short(self.prompt.profile)}" if self.prompt.profile else ""
        if self.continuation is not None:
            return f"score of {_short(self.continuation)} as {about}{profile}"
        return f"{about}{profile} with seed {self.seed} at temperature {self.temperature}"


Answer = Completion | float


class Recording:
    """The answers in a recording file, and the name and fingerprint of the model that gave them.

    Args:
        path: The file.
        name: The model's name; None takes the one in the file.
        fingerprint: Its fingerprint.

    Raises:
        PreparationError: The file is absent (where no model is given), is no recording, or has a broken line before
            its last.
        ConfigurationError: The file belongs to another model.
    """

    def __init__(self, path: str | Path, name: str | None = None, fingerprint: str = "") -> None:
        self.path = Path(path).expanduser()
        self.answers: dict[Question, Answer] = {}
        self._written = self.path.is_file() and self._read()
        if not self._written:
            if name is None:
                found = "is empty" if self.path.is_file() else "does not exist"
                raise PreparationError(f"the recording {self.path} {found}: make it with record={str(path)!r}")
            self.name, self.fingerprint = name, fingerprint
        elif name is not None and self.fingerprint != fingerprint:
            raise ConfigurationError(
                f"{self.path} holds answers of {self.name!r} ({self.fingerprint}), not of {name!r} ({fingerprint}): "
                "record into another file"
            )

    def add(self, items: Iterable[tuple[Question, Answer]]) -> None:
        """Append answers to the file, each as one whole line."""
        fresh = dict(items)
        self.answers.update(fresh)
        lines = [_dump({"question": _plain(question), "answer": _plain(answer)}) for question, answer in fresh.items()]
        if not self._written:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lines.insert(0, _dump({"format": FORMAT, "model": self.name, "fingerprint": self.fingerprint}))
        # One write to a file opened for appending: recorders that share a file do not cut each other's lines.
        with self.path.open("ab+", buffering=0) as file:
            _drop_cut_line(file)
            file.write("".join(lines).encode("ascii"))
        self._written = True

    def find(self, question: Question) -> Answer:
        """The recorded answer.

        Raises:
            LanguageModelError: It was not recorded; the message shows the nearest question that was.
        """
        try:
            return self.answers[question]
        except KeyError:
            nearest = self._nearest(question)
            raise LanguageModelError(
                f"{self.path} has no answer to: {question}; the nearest of {len(self.answers)} recorded is: {nearest}"
            ) from None

    def _read(self) -> bool:
        """Read the whole lines; whether there is at least a header."""
        *lines, _ = self.path.read_bytes().split(b"\n")
        if not lines:
            return False
        self.name, self.fingerprint = self._header(self._parse(lines[0], 1), 1)
        for number, line in enumerate(lines[1:], start=2):
            record = self._parse(line, number)
            if "format" in record:  # two recorders began the file at once
                self._same_model(self._header(record, number), number)
            else:
                self._take(record, number)
        return True

    def _header(self, record: dict[str, Any], number: int) -> tuple[str, str]:
        if record.get("format") != FORMAT or not {"model", "fingerprint"} <= set(record):
            raise PreparationError(f"{self.path}, line {number}: expected the header of a recording ({FORMAT!r})")
        return str(record["model"]), str(record["fingerprint"])

    def _same_model(self, header: tuple[str, str], number: int) -> None:
        if header[1] != self.fingerprint:
            raise PreparationError(f"{self.path}, line {number}: a second model, {header[0]!r}; expected {self.name!r}")

    def _take(self, record: dict[str, Any], number: int) -> None:
        try:
            question, answer = _question(record["question"]), record["answer"]
            self.answers[question] = Completion(**answer) if isinstance(answer, dict) else float(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise PreparationError(f"{self.path}, line {number}: not a recorded answer ({error!r})") from error

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise PreparationError(f"{self.path}, line {number}: not a JSON object ({error})") from error

    def _nearest(self, question: Question) -> str:
        if not self.answers:
            return "none"

        def likeness(other: Question) -> tuple[float, ...]:
            same_kind = (other.continuation is None) == (question.continuation is None)
            matcher = difflib.SequenceMatcher(a=_flat(question.prompt), b=_flat(other.prompt), autojunk=False)
            close = 1.0 if other.prompt == question.prompt else matcher.quick_ratio()
            return (same_kind, close, other.temperature == question.temperature, other.seed == question.seed)

        return str(max(list(self.answers)[:NEAREST_AMONG], key=likeness))


class RecordedModel:
    """A model whose every answer is kept (see :class:`~eagle_gym.language.model.LanguageModel`).

    Args:
        inner: The model that answers what has not been recorded.
        path: The recording file; made where it is absent.
    """

    def __init__(self, inner: LanguageModel, path: str | Path) -> None:
        self.inner = inner
        self.name, self.fingerprint, self.deterministic = inner.name, inner.fingerprint, inner.deterministic
        self._recording = Recording(path, inner.name, inner.fingerprint)

    @property
    def usage(self) -> Usage:
        """The inner model's count: what came from the file costs nothing."""
        return self.inner.usage

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer from the file what it holds, the rest in one batched call; see the protocol."""
        questions = _questions(prompts, seeds, temperature)
        new = [question for question in dict.fromkeys(questions) if question not in self._recording.answers]
        if new:
            own_seeds = [cast("int", question.seed) for question in new]
            answers = self.inner.generate([question.prompt for question in new], own_seeds, temperature=temperature)
            self._recording.add(zip(new, answers, strict=True))
        return [cast("Completion", self._recording.find(question)) for question in questions]

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Score from the file what it holds, the rest in one call; see the protocol."""
        questions = [Question(prompt, continuation=text) for text in continuations]
        new = [question for question in dict.fromkeys(questions) if question not in self._recording.answers]
        if new:
            scores = self.inner.score(prompt, [cast("str", question.continuation) for question in new])
            self._recording.add(zip(new, map(float, scores), strict=True))
        return np.array([self._recording.find(question) for question in questions], dtype=np.float64)

    def load(self) -> tuple[Any, Any]:
        """The inner model's ``(model, tokenizer)``, where it lives in this process."""
        return load_inner(self.inner)

    def close(self) -> None:
        """Close the inner model; the file is complete at any time."""
        self.inner.close()


class ReplayedModel:
    """Answers from a recording alone; goes by the recorded model's name and fingerprint.

    Raises:
        PreparationError: There is no recording at the path, or it is broken.
    """

    deterministic = True

    def __init__(self, path: str | Path) -> None:
        self._recording = Recording(path)
        self.name, self.fingerprint = self._recording.name, self._recording.fingerprint
        self.usage = Usage()

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """The recorded answers.

        Raises:
            LanguageModelError: A question was not recorded.
        """
        began = time.perf_counter()
        questions = _questions(prompts, seeds, temperature)
        answers = [cast("Completion", self._recording.find(question)) for question in questions]
        self.usage.add(answers, seconds=time.perf_counter() - began)
        return answers

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """The recorded log-probabilities; raises like :meth:`generate`."""
        found = [self._recording.find(Question(prompt, continuation=text)) for text in continuations]
        self.usage.calls += len(found)
        return np.array(found, dtype=np.float64)

    def close(self) -> None:
        """Nothing is held open."""


def _questions(prompts: Sequence[Prompt], seeds: Sequence[int], temperature: float) -> list[Question]:
    check_request(prompts, seeds, temperature)
    return [Question(prompt, int(seed), float(temperature)) for prompt, seed in zip(prompts, seeds, strict=True)]


def _question(fields: dict[str, Any]) -> Question:
    rest = dict(fields)
    return Question(Prompt(**rest.pop("prompt")), **rest)


def _drop_cut_line(file: BinaryIO) -> None:
    """Cut off what a killed process left of a line, so that the next line starts on its own."""
    end = file.seek(0, os.SEEK_END)
    whole = end
    while whole > 0:
        begin = max(0, whole - 4096)
        file.seek(begin)
        at = file.read(whole - begin).rfind(b"\n")
        if at >= 0:
            whole = begin + at + 1
            break
        whole = begin
    if whole < end:
        file.truncate(whole)


def _plain(item: Question | Answer) -> object:
    """What JSON can hold of a question or an answer; unset fields are left out."""
    if isinstance(item, float):
        return item
    fields = asdict(item)
    return {name: value for name, value in fields.items() if value is not None}


def _dump(record: object) -> str:
    # Escaped to ASCII: a lone surrogate in a text survives, and a line is a line to every reader.
    return json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n"


def _flat(prompt: Prompt) -> str:
    return f"{prompt.task} {prompt.instruction} {prompt.text} {prompt.profile}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
