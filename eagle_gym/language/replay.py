"""Records the answers of a language model, and replays them later without the model.

A recording is an append-only file of JSON lines. A header names the model; each further line holds an answer and all
that determines it (prompt, seed, temperature), with a checksum over both. Lines are written whole, so a process that
dies loses at most its last line.

While a model is recorded, questions that the file holds are answered from the file, and several processes can share
one file. A recorded environment is therefore deterministic even if its server is not, and an interrupted run continues
where it stopped.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from filelock import FileLock

from eagle_gym.cache import drop_cut_line
from eagle_gym.errors import ConfigurationError, CutOffError, LanguageModelError, PreparationError
from eagle_gym.language.metering import load_inner
from eagle_gym.language.model import Completion, Language, LanguageModel, Tokens, Usage, check_request
from eagle_gym.language.prompts import Prompt
from eagle_gym.language.sampling import is_finished

FORMAT = "eagle_gym recording 5"
NEAREST_AMONG = 2000  # at most so many recorded questions are compared with one that was not recorded


@dataclass(frozen=True, slots=True)
class Question:
    """All that determines a model's answer: a prompt with a seed and a temperature, or with a text to score."""

    prompt: Prompt
    seed: int | None = None
    temperature: float | None = None
    continuation: str | None = None

    def __str__(self) -> str:
        about = f"{self.prompt.task} {self.prompt.edit!r} of {_short(self.prompt.text)}".replace(" '' of", " of")
        profile = f" for {_short(self.prompt.profile)}" if self.prompt.profile else ""
        if self.continuation is not None:
            return f"score of {_short(self.continuation)} as {about}{profile}"
        return f"{about}{profile} with seed {self.seed} at temperature {self.temperature}"


RecordedAnswer = Completion | float


@dataclass(frozen=True, slots=True)
class Origin:
    """The recorded model: its name, its fingerprint, what it writes, and the options that it was opened with."""

    model: str
    fingerprint: str
    language: Language
    opened: dict[str, Any] = field(default_factory=dict)


class Recording:
    """The answers in a recording file, and the model that gave them.

    Args:
        path: The file.
        origin: The model; None takes the one that the file names.

    Raises:
        PreparationError: The file is not a recording, or a line before its last one is broken; or it is missing and no
            model is given.
        ConfigurationError: The file belongs to another model, or to a model opened with other options.
    """

    def __init__(self, path: str | Path, origin: Origin | None = None) -> None:
        self.path = Path(path).expanduser()
        self._forget()
        if self.path.is_file():
            self._read()
        if self._stated is None and origin is None:
            found = "is empty" if self.path.is_file() else "does not exist"
            raise PreparationError(f"the recording {self.path} {found}: make it with record={str(path)!r}")
        self.origin = cast("Origin", origin or self._stated)
        self._check_origin()

    def add(self, items: Iterable[tuple[Question, RecordedAnswer]]) -> None:
        """Append answers to the file, each as one whole line.

        If another recorder of the file has answered a question in the meantime, that answer counts.

        Raises:
            PreparationError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"), self.path.open("ab+") as file:
                drop_cut_line(file)
                self._read()
                self._check_origin()
                file.write("".join(self._lines(dict(items))).encode("ascii"))
                file.flush()
                self._read()
        except OSError as error:
            raise PreparationError(f"the recording {self.path} cannot be written: {error}") from error

    def _lines(self, items: Mapping[Question, RecordedAnswer]) -> list[str]:
        """The new answers as lines, after a header if the file has none."""
        head = [] if self._stated else [_dump({"format": FORMAT, **asdict(self.origin)})]
        fresh = {question: answer for question, answer in items.items() if question not in self.answers}
        return head + [_dump(_record(_plain(asked), _plain(said))) for asked, said in fresh.items()]

    def find(self, question: Question) -> RecordedAnswer:
        """The recorded answer.

        Raises:
            LanguageModelError: The question was not recorded; the message shows the nearest recorded one.
        """
        try:
            return self.answers[question]
        except KeyError:
            nearest = self._nearest(question)
            raise LanguageModelError(
                f"{self.path} has no answer to: {question}; the nearest of {len(self.answers)} recorded is: {nearest}"
            ) from None

    def _check_origin(self) -> None:
        stated, own = self._stated or self.origin, self.origin
        if stated.fingerprint != own.fingerprint:
            raise ConfigurationError(
                f"{self.path} holds answers of {stated.model!r} ({stated.fingerprint}), not of {own.model!r} "
                f"({own.fingerprint}): record into another file"
            )
        if stated.opened != own.opened:
            raise ConfigurationError(
                f"{self.path} holds answers of {stated.model!r} opened with {stated.opened}, not with {own.opened}: "
                "record into another file"
            )

    def _forget(self) -> None:
        self.answers: dict[Question, RecordedAnswer] = {}
        self._bytes_read = self._lines_read = 0
        self._stated: Origin | None = None  # in the file

    def _read(self) -> None:
        """Read the lines added since the last reading, or all lines if the file was replaced in the meantime."""
        if self.path.stat().st_size < self._bytes_read:
            self._forget()
        with self.path.open("rb") as file:
            file.seek(self._bytes_read)
            *lines, _ = file.read().split(b"\n")
        for line in lines:
            self._bytes_read += len(line) + 1
            self._lines_read += 1
            record = self._parse(line, self._lines_read)
            if self._stated is None or "format" in record:
                self._head(record, self._lines_read)
            else:
                self._take(record, self._lines_read)

    def _head(self, record: dict[str, Any], number: int) -> None:
        """Read a header. There may be several, since recordings of one model may be concatenated."""
        try:
            known, origin = record.pop("format") == FORMAT, Origin(**record)
        except (KeyError, TypeError):
            known = False
        if not known:
            raise PreparationError(f"{self.path}, line {number}: expected the header of a recording ({FORMAT!r})")
        if self._stated is not None and (origin.fingerprint, origin.opened) != (
            self._stated.fingerprint,
            self._stated.opened,
        ):
            raise PreparationError(
                f"{self.path}, line {number}: a second model, {origin.model!r} opened with {origin.opened}; expected "
                f"{self._stated.model!r} opened with {self._stated.opened}"
            )
        self._stated = origin

    def _take(self, record: dict[str, Any], number: int) -> None:
        try:
            if record != (sound := _record(record["question"], record["answer"])):
                raise ValueError(
                    f"expected the checksum {sound['sha256']}, got {record.get('sha256')!r}: the line was changed"
                )
            question = _question(record["question"])
            self.answers[question] = _answer(record["answer"], is_score=question.continuation is not None)
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
    """A model whose answers are recorded (see `LanguageModel`).

    It is deterministic as long as the file is kept, since no question is answered twice.

    Args:
        inner: The model that answers what has not been recorded.
        path: The recording file; made where it is absent.
        opened: The options with which the model was opened that influence its answers, as JSON values.
    """

    deterministic = True

    def __init__(self, inner: LanguageModel, path: str | Path, opened: Mapping[str, Any] | None = None) -> None:
        self.inner = inner
        self.name, self.fingerprint, self.language = inner.name, inner.fingerprint, inner.language
        self._recording = Recording(path, Origin(inner.name, inner.fingerprint, inner.language, dict(opened or {})))

    @property
    def usage(self) -> Usage:
        """The inner model's count; answers from the file cost nothing."""
        return self.inner.usage

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """Answer recorded questions from the file and the others in one batched call; see the protocol."""
        questions = _questions(prompts, seeds, temperature)
        new = [question for question in dict.fromkeys(questions) if question not in self._recording.answers]
        complaint = ""
        if new:
            own_seeds = [cast("int", question.seed) for question in new]
            try:
                answers = self.inner.generate([question.prompt for question in new], own_seeds, temperature=temperature)
            except CutOffError as error:
                self._recording.add((new[row], answer) for row, answer in (error.answered | error.cut).items())
                complaint = str(error)
            except LanguageModelError as error:
                self._recording.add((new[row], answer) for row, answer in error.answered.items())
                raise
            else:
                self._recording.add(zip(new, answers, strict=True))
        answers = [cast("Completion", self._recording.find(question)) for question in questions]
        _tell_recorded(self.usage, questions, answers, leave_out=set(new))
        return _finished(answers, complaint)

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """Take recorded scores from the file and the others from one call; see the protocol."""
        questions = [Question(prompt, continuation=text) for text in continuations]
        new = [question for question in dict.fromkeys(questions) if question not in self._recording.answers]
        if new:
            scores = self.inner.score(prompt, [cast("str", question.continuation) for question in new])
            self._recording.add(zip(new, map(float, scores), strict=True))
        return np.array([self._recording.find(question) for question in questions], dtype=np.float64)

    def load(self) -> tuple[Any, Any]:
        """The inner model's `(model, tokenizer)`, where it lives in this process."""
        return load_inner(self.inner)

    def close(self) -> None:
        """Close the inner model; the file is complete at any time."""
        self.inner.close()


class ReplayedModel:
    """Answers only from a recording, under the recorded model's name and fingerprint.

    Raises:
        PreparationError: The recording is missing or broken.
    """

    deterministic = True

    def __init__(self, path: str | Path) -> None:
        self._recording = Recording(path)
        origin = self._recording.origin
        self.name, self.fingerprint, self.language = origin.model, origin.fingerprint, origin.language
        self.usage = Usage()

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, temperature: float = 1.0
    ) -> list[Completion]:
        """The recorded answers.

        Raises:
            CutOffError: Recorded answers were cut off, at every attempt that the model made.
            LanguageModelError: A question was not recorded.
        """
        began = time.perf_counter()
        questions = _questions(prompts, seeds, temperature)
        answers = [cast("Completion", self._recording.find(question)) for question in questions]
        self.usage.add(answers, seconds=time.perf_counter() - began)
        self.usage.tell(prompts, seeds, temperature, answers)
        return _finished(answers)

    def score(self, prompt: Prompt, continuations: Sequence[str]) -> np.ndarray:
        """The recorded log-probabilities; raises like `generate`."""
        found = [self._recording.find(Question(prompt, continuation=text)) for text in continuations]
        self.usage.calls += len(found)
        return np.array(found, dtype=np.float64)

    def close(self) -> None:
        """Do nothing: no file is held open."""


def _tell_recorded(
    usage: Usage, questions: Sequence[Question], answers: Sequence[Completion], leave_out: set[Question]
) -> None:
    """Tell the listener of the answers that are from the file."""
    for question, answer in zip(questions, answers, strict=True):
        if question not in leave_out:
            seed, temperature = cast("int", question.seed), cast("float", question.temperature)
            usage.tell([question.prompt], [seed], temperature, [answer], recorded=True)


def _finished(answers: Sequence[Completion], complaint: str = "") -> list[Completion]:
    """Recorded answers, if none of them was cut off; otherwise raise as the model did, with its complaint."""
    cut = {row: answer for row, answer in enumerate(answers) if not is_finished(answer)}
    if cut:
        tokens = next(iter(cut.values())).completion_tokens
        known = f"{len(cut)} of {len(answers)} recorded answers were cut off, the first at {tokens} tokens"
        error = CutOffError(complaint or known)
        error.cut = cut
        error.answered = {row: answer for row, answer in enumerate(answers) if row not in cut}
        raise error
    return list(answers)


def _questions(prompts: Sequence[Prompt], seeds: Sequence[int], temperature: float) -> list[Question]:
    check_request(prompts, seeds, temperature)
    return [Question(prompt, int(seed), float(temperature)) for prompt, seed in zip(prompts, seeds, strict=True)]


def _question(fields: dict[str, Any]) -> Question:
    rest = dict(fields)
    question = Question(Prompt(**rest.pop("prompt")), **rest)
    if question.continuation is None:
        _check("seed", question.seed, int)
        _check("temperature", question.temperature, int, float)
    else:
        _check("continuation", question.continuation, str)
    return question


def _answer(found: object, *, is_score: bool) -> RecordedAnswer:
    """A recorded score, or a recorded completion: a finished text, or one that was cut off, with its tokens."""
    if is_score:
        _check("answer", found, int, float)
        if math.isnan(score := float(cast("float", found))):
            raise ValueError("expected a number as answer, got nan")
        return score
    _check("answer", found, dict)
    values = dict(cast("dict[str, Any]", found))
    if (tokens := values.pop("tokens", None)) is not None:
        _check("tokens", tokens, dict)
        values["tokens"] = Tokens(**{name: None if row is None else tuple(row) for name, row in tokens.items()})
    answer = Completion(**values)
    _check("text", answer.text, str)
    for name in ("prompt_tokens", "completion_tokens"):
        _check(name, getattr(answer, name), int)
    if answer.finish_reason not in ("stop", "length") or (answer.finish_reason == "stop" and not answer.text):
        raise ValueError(f"expected a text or a cut one, got {answer.text[:40]!r} with {answer.finish_reason!r}")
    return answer


def _check(name: str, value: object, *expected: type) -> None:
    if isinstance(value, bool) or not isinstance(value, expected):
        names = " or ".join(kind.__name__ for kind in expected)
        raise TypeError(f"expected {names} as {name}, got {type(value).__name__}")


def _record(question: object, answer: object) -> dict[str, Any]:
    """A line of a recording: a question, its answer, and the first digits of the SHA-256 of both."""
    said = json.dumps([question, answer], ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(said.encode("ascii")).hexdigest()[:16]
    return {"question": question, "answer": answer, "sha256": digest}


def _plain(item: Question | RecordedAnswer) -> object:
    """A question or an answer as a JSON value, without unset fields."""
    if isinstance(item, float):
        return item
    fields = asdict(item)
    return {name: value for name, value in fields.items() if value is not None}


def _dump(record: object) -> str:
    # Escaped to ASCII: a lone surrogate in a text survives, and a line is a line to every reader.
    return json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n"


def _flat(prompt: Prompt) -> str:
    return f"{prompt.task} {prompt.edit} {prompt.text} {prompt.profile} {prompt.rewrite}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
