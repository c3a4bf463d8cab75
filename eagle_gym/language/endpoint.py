"""A model on a server, as a spec names it, and the ways in which servers want to be asked.

The spec is `openai:MODEL@URL`. Options stand in the URL's query (see `Endpoint`); characters that a query
cannot hold are percent-encoded, `@` as `%40` and `#` as `%23`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.model import masked
from eagle_gym.language.prompts import BUILT_IN

TokenLimit = Literal["max_tokens", "max_completion_tokens"]

OMITTABLE: Final = ("seed", "temperature", "logprobs")
# Fields of a request that the model itself decides.
_RESERVED: Final = frozenset(
    ("model", "messages", "prompt", "stop", "stream", "n", "response_format", *OMITTABLE, *get_args(TokenLimit))
)


@dataclass(frozen=True, slots=True)
class Manners:
    """What a server accepts in a request.

    Attributes:
        system_role: Whether there may be a system message; otherwise the user's message begins with the instructions.
        token_limit: The name of the field that limits an answer's tokens.
        omit: Fields that requests leave out.
        structured: Whether `response_format` may ask for JSON of a schema.
    """

    system_role: bool = True
    token_limit: TokenLimit = "max_tokens"
    omit: frozenset[str] = frozenset()
    structured: bool = True

    def corrected(self, complaint: str, parameter: str | None = None, code: str | None = None) -> Manners:
        """The manners that a refused request asks for; equal ones where its complaint is about something else.

        A complaint about a value, such as a temperature out of range, is about something else: to leave the field out
        would change how the model samples.

        Args:
            complaint: What the server said.
            parameter: The field that its error names.
            code: The error's code.
        """
        said = complaint.lower()
        if self.structured and (parameter == "response_format" or _OF_STRUCTURE.search(said)):
            return replace(self, structured=False)
        if _RANGE.search(said):
            return self
        if "max_completion_tokens" in said:
            return replace(self, token_limit="max_completion_tokens")
        if self.system_role and _NO_SYSTEM_ROLE.search(said):
            return replace(self, system_role=False)
        is_coded = _UNSUPPORTED.search((code or "").replace("_", " ").lower()) is not None
        unsupported = {name for name in OMITTABLE if (is_coded and parameter == name) or _is_unsupported(name, said)}
        return replace(self, omit=self.omit | unsupported)


def _is_unsupported(name: str, said: str) -> bool:
    """Whether a clause of a complaint says that a server does not know a field."""
    clauses = (clause for clause in _CLAUSE.split(said) if re.search(rf"\b{name}\b", clause))
    return any(
        _UNSUPPORTED.search(clause) and not re.search(rf"\b{name}\b['\"`]?[\s:=(]*(?:value |of )*-?\d", clause)
        for clause in clauses
    )


# A request without the schema samples as before: any complaint about it is met. The last one is llama.cpp's about JSON
# that the limit of tokens has cut.
_OF_STRUCTURE: Final = re.compile(
    r"response[_ ]format|json[_ ]schema|structured[_ ]output|guided|\bgrammar\b|does not match the expected"
)
_OF_CONTEXT: Final = re.compile(r"context (?:size|length|window)|context_length|maximum context|too many tokens")
# The length of a request and of the context, in the words of llama.cpp, and of OpenAI, vLLM and SGLang.
_LENGTHS: Final = re.compile(
    r"(\d+) tokens\)?[^.\d]{0,40}(?:exceeds?|longer than)[^.\d]{0,60}?(\d+)"
    r"|context length (?:is|of) (\d+)\b.{0,60}?(?:requested|contains?|resulted in|has|is) (?:about )?(\d+)",
    re.DOTALL,
)
_CLAUSE: Final = re.compile(r"[.;!?]\s|\n|\}\s*,")
# Words of complaints about a value: the server knows the field.
_RANGE: Final = re.compile(
    r"\bbetween\b|must be\b(?! (?:from|omitted|removed|unset|left|followed|a user))|\bat (?:most|least)\b|\bmaximum\b|"
    r"\bminimum\b|[<>]=|[≤≥]|(?:less|greater|more|fewer|larger|smaller|longer) than|\brange\b|"
    r"too (?:long|large|high|low|small|short|many|big)\b|exceed"
)
_NOT_SUPPORTED: Final = (
    r"(?:unsupported|not (?:be )?(?:support|allow|permit|enabl|accept)|n't (?:support|allow|accept)|unknown|"
    r"unrecogni[sz]ed|unexpected|invalid)"
)
_SYSTEM_ROLE: Final = (
    r"(?:system[\s_'\"-]*(?:role|message|prompt|instruction)|role[\s_'\":=-]*(?:of )?['\"]?system|"
    r"developer instruction)"
)
_NO_SYSTEM_ROLE: Final = re.compile(
    rf"{_SYSTEM_ROLE}[^.;\n]*{_NOT_SUPPORTED}|{_NOT_SUPPORTED}[^.;\n]*{_SYSTEM_ROLE}|\bno {_SYSTEM_ROLE}|"
    r"roles must alternate|only user and assistant"
)
_UNSUPPORTED: Final = re.compile(
    r"unsupported|not support|n't support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|not accept|"
    r"extra[ _](?:input|field|param|key|propert|attribute|forbidden)|invalid param|only the default|deprecated|"
    r"not a valid (?:param|field|argument|option)|additional propert"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a spec says.

    Attributes:
        model: The model's name on the server.
        url: The server's address, without options.
        prompts: The built-in prompt set in whose words the model is asked; None leaves the choice to the caller.
        concurrency: Requests under way at once.
        timeout: Seconds that a request may wait for the connection and for each piece of the answer.
        retries: How often a refused request is sent again.
        manners: What the server accepts (options `system_role`, `token_limit`, `omit` and `structured`).
        extra_body: Further fields of every request (options `extra_body`, a JSON object; `chat_template_kwargs`,
            likewise; `reasoning_effort`).
    """

    model: str
    url: str
    prompts: str | None = None
    concurrency: int = 32
    timeout: float = 60.0
    retries: int = 5
    manners: Manners = field(default_factory=Manners)
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_spec(cls, spec: str) -> Endpoint:
        """Read `openai:MODEL@URL`.

        Raises:
            ConfigurationError: The spec has another form, holds credentials, or has an invalid option.
        """
        found = re.fullmatch(r"openai:(?P<model>.+?)@(?P<url>https?://.+)", spec, flags=re.DOTALL)
        if found is None:
            raise ConfigurationError(
                f"expected 'openai:MODEL@URL' such as 'openai:llama@http://localhost:8000/v1', got {masked(spec)!r}"
            )
        parts = _split(found["url"])
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(set(given) - set(_OPTIONS)):
            raise ConfigurationError(
                f"unknown option {unknown[0]!r} in the URL: expected one of {', '.join(sorted(_OPTIONS))}"
            )
        options = {name: _OPTIONS[name](name, value) for name, value in given.items()}
        manners = Manners(**{name: options.pop(name) for name in Manners.__slots__ if name in options})
        extra = options.pop("extra_body", {})
        extra |= {name: options.pop(name) for name in ("chat_template_kwargs", "reasoning_effort") if name in options}
        url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        return cls(found["model"], url, manners=manners, extra_body=extra, **options)

    @property
    def identity(self) -> str:
        """What decides the answers: model, address, and whatever departs from a plain request."""
        plain = f"{self.model}@{self.url}"
        changes: dict[str, Any] = dict(sorted(self.extra_body.items()))
        if self.manners != Manners():
            manners = self.manners
            changes["manners"] = [manners.system_role, manners.token_limit, sorted(manners.omit), manners.structured]
        return f"{plain}?{json.dumps(changes, sort_keys=True)}" if changes else plain


def context_cure(complaint: str) -> str:
    """What to do about a refused request that does not fit into the model's context; "" about any other complaint.

    Args:
        complaint: What the server said. Where it names both lengths, the cure says by how many tokens they differ.
    """
    said = complaint.lower()
    if not _OF_CONTEXT.search(said):
        return ""
    found = _LENGTHS.search(said)
    sizes = sorted(int(size) for size in found.groups() if size is not None) if found else []
    more = f"{sizes[1] - sizes[0]} tokens too many; " if len(sizes) == 2 and sizes[0] < sizes[1] else ""
    return (
        f": {more}shorten the text, take prompts without examples (prompts='chat'), lower max_new_tokens, or start the "
        "server with a longer context (llama.cpp divides --ctx-size among its slots)"
    )


def list_format(count: int) -> dict[str, Any]:
    """The `response_format` of a list of edits: JSON of a schema, from which servers derive a grammar."""
    edits = {"type": "array", "items": {"type": "string"}, "minItems": count, "maxItems": count}
    schema = {
        "type": "object",
        "properties": {"edits": edits},
        "required": ["edits"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "edits", "strict": True, "schema": schema}}


def _integer(least: int) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ConfigurationError(
                f"{name} in the URL is not a number: expected a whole one, got {value!r}"
            ) from None
        if number < least:
            raise ConfigurationError(f"{name} must be {'positive' if least else 'at least 0'}, got {number}")
        return number

    return read


def _seconds(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ConfigurationError(f"{name} in the URL is not a number: expected seconds, got {value!r}") from None
    if not (math.isfinite(number) and number > 0):
        raise ConfigurationError(f"{name} must be positive and finite, got {value!r}")
    return number


def _one_of(*known: str) -> Callable[[str, str], str]:
    def read(name: str, value: str) -> str:
        if value not in known:
            raise ConfigurationError(f"unknown {name} {value!r}: expected {', '.join(known)}")
        return value

    return read


def _flag(name: str, value: str) -> bool:
    return _one_of("true", "false")(name, value) == "true"


def _names(name: str, value: str) -> frozenset[str]:
    return frozenset(_one_of(*OMITTABLE)(name, part) for part in value.split(",") if part)


def _object(name: str, value: str) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(f"expected a JSON object as {name} in the URL, got {value[:80]!r}")
    if taken := sorted(_RESERVED & set(found)):
        raise ConfigurationError(f"{name} cannot set {taken[0]!r}: requests set it themselves")
    return cast("dict[str, Any]", found)


def _word(name: str, value: str) -> str:
    if not value:
        raise ConfigurationError(f"expected a word as {name} in the URL, got none")
    return value


_OPTIONS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "prompts": _one_of(*BUILT_IN),
    "concurrency": _integer(1),
    "timeout": _seconds,
    "retries": _integer(0),
    "system_role": _flag,
    "token_limit": _one_of(*get_args(TokenLimit)),
    "omit": _names,
    "structured": _flag,
    "extra_body": _object,
    "chat_template_kwargs": _object,
    "reasoning_effort": _word,
}


def _split(url: str) -> SplitResult:
    """The parts of a URL.

    Raises:
        ConfigurationError: It holds credentials, or is malformed.
    """
    if "@" in url:  # anywhere: a password with a slash in it does not stand where a URL has its credentials
        raise ConfigurationError("credentials do not belong in a spec: set the environment variable OPENAI_API_KEY")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where the port is malformed
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no URL: {error}") from error
    if parts.fragment:
        raise ConfigurationError("a URL in a spec has no fragment: write # as %23 in an option")
    return parts
