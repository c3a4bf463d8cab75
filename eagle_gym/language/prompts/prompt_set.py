"""Prompt sets: the words in which a language model is asked, read from a TOML file or given as a dict.

A set has a table for each task. Its `user` pattern names the prompt's fields in braces (`{text}`, `{edit}`,
`{profile}`, `{rewrite}`, `{count}`; `{{` is a brace), `system` holds the rules, and `examples` are questions with
their answers. How the parts are put together is the set's `format`:

- `"chat"`: messages. The rules are the system's, examples are turns of user and assistant.
- `"plain"`: one text to be continued: rules, examples and request, a blank line between them. An answer ends at one of
  the `stop` strings.
- `"control"`: the embedded model's control tokens, each followed by a field.

`{noun}` stands for what the texts are (`noun = "product description"`). With `based_on = "chat"` a set takes from
another one what it does not say itself. What stands under `about.product` replaces the rest where the texts describe
products: another noun, other examples.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast, get_args

from eagle_gym.errors import ConfigurationError, PreparationError, suggest
from eagle_gym.language.prompts.control import CONTROL_TOKENS
from eagle_gym.language.prompts.prompt import Prompt, well_formed

Format = Literal["chat", "plain", "control"]
PromptSource: TypeAlias = str | Mapping[str, Any]  # a built-in name or a path, or the content of a file

BUILT_IN: Final = ("chat", "chat_few_shot", "few_shot", "plain", "control")
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "rewrite": ("text", "edit"),
    "propose": ("text",),
    "propose_for_user": ("text", "profile"),
    "propose_list": ("text", "count"),
    "propose_list_for_user": ("text", "profile", "count"),
    "write": ("text",),
    "rate": ("text", "profile"),
    "check": ("text", "edit", "rewrite"),
}
# Only judges rate and check; a set without lists asks for one edit at a time.
OPTIONAL: Final = frozenset(("rate", "check", "propose_list", "propose_list_for_user"))
ABOUT: Final = ("film", "product")  # what texts may describe; the examples of the built-in sets are about films
_HEAD: Final = ("based_on", "format", "noun", "stop", "about")
_PARTS: Final = ("system", "user", "examples")


class Message(NamedTuple):
    """One turn of a conversation."""

    role: str
    text: str


class Piece(NamedTuple):
    """A part of a pattern: literal text, and the field that follows it (empty at the end)."""

    literal: str
    name: str


Clean: TypeAlias = Callable[[str], str]  # makes a text from outside harmless


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its answer; `fields` are the values of the task's fields, in their order."""

    fields: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class TaskPrompt:
    """How one task is asked."""

    names: tuple[str, ...]
    system: str
    user: tuple[Piece, ...]
    examples: tuple[Example, ...]

    def ask(self, fields: Sequence[str]) -> str:
        """The request with the fields' values."""
        values = dict(zip(self.names, fields, strict=True))
        return "".join(piece.literal + values.get(piece.name, "") for piece in self.user)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The words in which a language model is asked.

    Attributes:
        name: The built-in name or the path, for messages.
        format: How the parts are put together.
        stop: What ends an answer to a plain prompt.
        tasks: The tasks by name: those of `Prompt`, with `"propose_for_user"` where a profile is given, and
            `"propose_list"` and `"propose_list_for_user"` where several edits are asked for.
    """

    name: str
    format: Format
    stop: tuple[str, ...]
    tasks: Mapping[str, TaskPrompt]

    @property
    def fingerprint(self) -> str:
        """A hash of all words; sets that ask alike have equal ones, whatever they are called."""
        tasks = {name: asdict(task) for name, task in self.tasks.items()}
        content = json.dumps([self.format, self.stop, tasks], sort_keys=True)
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    @property
    def has_examples(self) -> bool:
        """Whether a task has examples."""
        return any(task.examples for task in self.tasks.values())

    def shows_examples(self, prompt: Prompt) -> bool:
        """Whether a prompt comes with examples."""
        task = self.tasks.get(self._name(prompt))
        return task is not None and bool(task.examples)

    def messages(self, prompt: Prompt, clean: Clean = str) -> list[Message]:
        """The prompt as chat messages: the rules, the examples as turns, the request.

        Args:
            prompt: What to ask.
            clean: Makes the prompt's fields harmless.
        """
        task, fields = self._task(prompt, clean)
        turns = [Message("system", task.system)] if task.system else []
        for example in task.examples:
            turns += [Message("user", task.ask(example.fields)), Message("assistant", example.answer)]
        return [*turns, Message("user", task.ask(fields))]

    def text(self, prompt: Prompt, clean: Clean = str) -> str:
        """The prompt as a text to be continued; arguments as for `messages`."""
        task, fields = self._task(prompt, clean)
        examples = [f"{task.ask(example.fields)} {example.answer}" for example in task.examples]
        return "\n\n".join(filter(None, [task.system, *examples, task.ask(fields)]))

    def segments(self, prompt: Prompt, clean: Clean = str) -> tuple[tuple[str, str], ...]:
        """The prompt as pairs of a control token and the text that follows it; arguments as for `messages`."""
        task, fields = self._task(prompt, clean)
        values = dict(zip(task.names, fields, strict=True))
        return tuple((piece.literal, values.get(piece.name, "")) for piece in task.user)

    def _task(self, prompt: Prompt, clean: Clean) -> tuple[TaskPrompt, list[str]]:
        """The task's words, and the values of its fields.

        Raises:
            ConfigurationError: The set lacks the task.
        """
        name = self._name(prompt)
        task = self.tasks.get(name)
        if task is None:
            raise ConfigurationError(
                f"expected prompts with the task {name!r}, got {self.name!r} with {', '.join(self.tasks)}: name a "
                "general language model, or add the table to your prompts"
            )
        return task, [clean(well_formed(str(getattr(prompt, field)))) for field in task.names]

    def _name(self, prompt: Prompt) -> str:
        """The task's name in this set. A set without lists asks for one edit instead."""
        if prompt.task != "propose":
            return prompt.task
        whom = "_for_user" if prompt.profile else ""
        listed = f"propose_list{whom}"
        return listed if prompt.asks_for_list and listed in self.tasks else f"propose{whom}"


def load_prompts(source: PromptSource, about: str | None = None) -> PromptSet:
    """The prompt set that a name, a path or a dict gives.

    Args:
        source: One of `BUILT_IN`; the path of a TOML file; or such a file's content as a dict.
        about: What the texts describe, one of `ABOUT`; None where nobody knows.

    Raises:
        ConfigurationError: A field is unknown, missing or of the wrong type.
        PreparationError: The file cannot be read.
    """
    if isinstance(source, str) and source in BUILT_IN:
        return _built_in(source, about)
    if isinstance(source, str):
        return _read(source, _parse(source), about)
    return _read(f"based on {source['based_on']}" if "based_on" in source else "of your own", source, about)


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """The same messages without a system role: the user's first message begins with the instructions."""
    if len(messages) < 2 or messages[0].role != "system":
        return list(messages)
    rules, first, *rest = messages
    return [Message(first.role, f"{rules.text}\n\n{first.text}"), *rest]


def control_text(prompt: Prompt) -> str:
    """The prompt as one string, in the format that the embedded model was trained on.

    Raises:
        ConfigurationError: The embedded model does not know the task.
    """
    return "".join(token + text for token, text in load_prompts("control").segments(prompt))


@cache
def _built_in(name: str, about: str | None) -> PromptSet:
    return _read(name, _built_in_content(name), about)


def _built_in_content(name: str) -> dict[str, Any]:
    return tomllib.loads(files("eagle_gym.language.prompts").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def _parse(source: str) -> dict[str, Any]:
    path = Path(source).expanduser()
    known = ", ".join(map(repr, BUILT_IN))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise PreparationError(
            f"expected prompts to be {known} or the path of a TOML file, got {source!r}{suggest(source, BUILT_IN)}"
        ) from error
    except (OSError, ValueError) as error:
        raise PreparationError(f"expected {path} to be a readable TOML file, got an error: {error}") from error


def _read(name: str, content: Mapping[str, Any], about: str | None) -> PromptSet:
    """A set from the content of its file."""
    _check_names(name, "the file", content, (*_HEAD, *FIELDS))
    content = _merged(name, content, about)
    form = content.get("format", "chat")
    if form not in get_args(Format):
        raise ConfigurationError(
            f"prompts {name!r}: expected format to be one of {', '.join(get_args(Format))}, got {form!r}"
        )
    noun = _string(name, "noun", content.get("noun", "description"))
    stop = _strings(name, "stop", content.get("stop", ["\n"] if form == "plain" else []))
    needed = [task for task in FIELDS if task not in OPTIONAL]
    if missing := [task for task in needed if task not in content]:
        raise ConfigurationError(
            f"prompts {name!r}: expected tables for {', '.join(needed)}, got none for {', '.join(missing)}: add "
            f'[{missing[0]}], or begin with based_on = "chat"'
        )
    tasks = {task: _task_prompt(name, task, content[task], noun) for task in FIELDS if task in content}
    if form == "control":
        _check_control(name, tasks)
    return PromptSet(name, cast("Format", form), stop, tasks)


def _merged(name: str, content: Mapping[str, Any], about: str | None) -> dict[str, Any]:
    """The content over that of the set on which it is based, and what it says about such texts over both."""
    merged: dict[str, Any] = {}
    if "based_on" in content:
        base = content["based_on"]
        if base not in BUILT_IN:
            raise ConfigurationError(
                f"prompts {name!r}: expected based_on to be one of {', '.join(BUILT_IN)}, got {base!r}"
                f"{suggest(base, BUILT_IN)}"
            )
        merged = _merged(base, _built_in_content(base), about)
    usual = {key: value for key, value in content.items() if key != "about"}
    return _laid_over(_laid_over(merged, usual), _special(name, content, about))


def _special(name: str, content: Mapping[str, Any], about: str | None) -> Mapping[str, Any]:
    """What a file says about one kind of texts."""
    special = content.get("about", {})
    tables = special.values() if isinstance(special, Mapping) else [special]
    if not all(isinstance(table, Mapping) for table in tables):
        raise ConfigurationError(f"prompts {name!r}: expected about to hold tables such as [about.product]")
    _check_names(name, "[about]", special, ABOUT)
    for kind, table in special.items():
        _check_names(name, f"[about.{kind}]", table, ("noun", "stop", *FIELDS))
    found: Mapping[str, Any] = special.get(about, {})
    return found


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """One content over another: task by task, part by part."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = {**below, **value} if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _task_prompt(name: str, task: str, content: object, noun: str) -> TaskPrompt:
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"prompts {name!r}: expected {task} to be a table, got {type(content).__name__}")
    _check_names(name, f"[{task}]", content, _PARTS)
    fields = FIELDS[task]
    system = _pattern(name, f"{task}.system", content.get("system", ""), {"noun": noun}, ())
    if "user" not in content:
        raise ConfigurationError(f"prompts {name!r}: expected {task}.user, got none: write what is asked")
    user = tuple(_pattern(name, f"{task}.user", content["user"], {"noun": noun}, fields))
    examples = content.get("examples", [])
    if not isinstance(examples, list):
        raise ConfigurationError(
            f"prompts {name!r}: expected {task}.examples to be a list of tables, got {type(examples).__name__}"
        )
    read = tuple(_example(name, f"{task}.examples[{row}]", each, fields) for row, each in enumerate(examples))
    return TaskPrompt(fields, "".join(piece.literal for piece in system), user, read)


def _example(name: str, place: str, content: object, fields: Sequence[str]) -> Example:
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"prompts {name!r}: expected {place} to be a table, got {type(content).__name__}")
    _check_names(name, place, content, (*fields, "answer"))
    for field in (*fields, "answer"):
        if field not in content:
            raise ConfigurationError(f"prompts {name!r}: expected {place}.{field}, got none: add it")
    values = [_string(name, f"{place}.{field}", content[field]) for field in (*fields, "answer")]
    return Example(tuple(values[:-1]), values[-1])


def _pattern(
    name: str, place: str, content: object, fixed: Mapping[str, str], fields: Sequence[str]
) -> Iterator[Piece]:
    """The pieces of a pattern, with the fixed fields filled in.

    Raises:
        ConfigurationError: The pattern is malformed, or does not name each of the fields and no others.
    """
    literal, found = "", []
    for text, field in _split(name, place, content):
        literal += text
        if field in fixed:
            literal += fixed[field]
        elif field in fields:
            found.append(field)
            yield Piece(literal, field)
            literal = ""
        elif field:
            known = [*fields, *fixed]
            raise ConfigurationError(
                f"prompts {name!r}: expected one of {', '.join(known)} as a field of {place}, got {field}"
                f"{suggest(field, known)}: write {{{{ and }}}} for braces"
            )
    if literal:
        yield Piece(literal, "")
    if missing := [field for field in fields if field not in found]:
        raise ConfigurationError(
            f"prompts {name!r}: expected the field {{{missing[0]}}} in {place}, got none: without it the model is not "
            "told what to work on"
        )


def _split(name: str, place: str, content: object) -> list[tuple[str, str]]:
    pattern = _string(name, place, content)
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise ConfigurationError(
            f"prompts {name!r}: expected fields such as {{text}} in {place}, got a single brace ({error}): write {{{{ "
            "and }} for braces"
        ) from error
    return [
        (text, "" if field is None else f"{field}{'!' + kind if kind else ''}{':' + form if form else ''}" or "{}")
        for text, field, form, kind in parts
    ]


def _check_control(name: str, tasks: Mapping[str, TaskPrompt]) -> None:
    for task, words in tasks.items():
        other = [piece.literal for piece in words.user if piece.literal not in CONTROL_TOKENS]
        if other or words.system or words.examples:
            raise ConfigurationError(
                f"prompts {name!r}: expected nothing but control tokens and fields in {task}, got "
                f"{(other or ['rules or examples'])[0]!r}: the embedded model knows {', '.join(CONTROL_TOKENS[2:])}"
            )


def _check_names(name: str, place: str, content: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in content:
        if key not in known:
            raise ConfigurationError(
                f"prompts {name!r}: expected one of {', '.join(known)} in {place}, got {key!r}{suggest(key, known)}"
            )


def _string(name: str, place: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"prompts {name!r}: expected {place} to be a string, got {type(value).__name__}")
    return value


def _strings(name: str, place: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each for each in value):
        raise ConfigurationError(f"prompts {name!r}: expected {place} to be a list of non-empty strings, got {value!r}")
    return tuple(value)
