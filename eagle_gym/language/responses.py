"""What a server sends, read with suspicion: from the bytes of a response to a reply, or to what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eagle_gym.language.model import Tokens

MAX_BODY: Final = 16 * 2**20  # bytes of a response; an answer of 512 tokens has some thousand
BYTES_PER_TOKEN: Final = 3  # where nobody counts tokens: few enough that a budget is rather spent early than late
LONGEST_TOKEN: Final = 32  # bytes; a server that states a longer average is not believed
OVERHEAD: Final = 100_000  # tokens by which a server's own template may lengthen a prompt
REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "thoughts")


class UnreadableResponse(ValueError):
    """A response that is no completion; the message says what it is."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A completion as a server sent it.

    Attributes:
        text: What the model wrote, reasoning in fields of its own left out.
        finish_reason: Why it ended, in the server's words.
        remark: What stands in the place of a text where there is none.
        reasoning: Characters of reasoning in fields of its own.
    """

    text: str
    finish_reason: object
    remark: str | None = None
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens that a request took.

    Attributes:
        prompt: Tokens read.
        completion: Tokens written.
        stated: Whether the server stated the second; otherwise it is an estimate.
    """

    prompt: int
    completion: int
    stated: bool = False


def decode_body(body: bytes, content_type: str = "") -> dict[str, Any]:
    """The JSON object in a response.

    Raises:
        UnreadableResponse: There is none.
    """
    begin = body[:200].lstrip().lower()
    if len(body) > MAX_BODY:
        raise UnreadableResponse(f"a body of more than {MAX_BODY} bytes")
    if begin.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")) or "html" in content_type:
        raise UnreadableResponse(
            f"an HTML page ({_excerpt(body)}): is this the address of an API? It often ends in /v1"
        )
    if begin.startswith((b"data:", b"event:")) or "event-stream" in content_type:
        raise UnreadableResponse("a stream of events, which was not asked for: turn off streaming on the server")
    if not begin:
        raise UnreadableResponse("an empty body")
    try:
        found = json.loads(body)
    except RecursionError:
        raise UnreadableResponse("JSON that is nested too deeply") from None
    except ValueError as error:
        raise UnreadableResponse(f"a body that is not JSON ({type(error).__name__}: {_excerpt(body)})") from None
    if not isinstance(found, dict):
        raise UnreadableResponse(f"JSON that is no object but {_kind(found)}")
    return found


def read_reply(found: Mapping[str, Any], *, chat: bool) -> Reply:
    """The first completion in a response.

    Raises:
        UnreadableResponse: The response holds an error, or has another shape.
    """
    choices = found.get("choices")
    if not choices and (complaint := _complaint(found)):
        raise UnreadableResponse(f"an error with HTTP status 200: {complaint}")
    if not isinstance(choices, list):
        raise UnreadableResponse(f"no list of choices but {_kind(choices)} in a response with {_names(found)}")
    if not choices:
        raise UnreadableResponse("an empty list of choices")
    choice = choices[0]
    if not isinstance(choice, dict):
        raise UnreadableResponse(f"a choice that is no object but {_kind(choice)}")
    if not chat:
        return Reply(_joined(choice.get("text")), choice.get("finish_reason"))
    message = choice.get("message")
    if not isinstance(message, dict):
        raise UnreadableResponse(f"a choice whose message is no object but {_kind(message)}")
    text = _joined(message.get("content"))
    reasoning = sum(len(_joined(message.get(name))) for name in REASONING_FIELDS)
    return Reply(text, choice.get("finish_reason"), None if text.strip() else _remark(message), reasoning)


def read_tokens(found: Mapping[str, Any]) -> Tokens | None:
    """The tokens of the first completion in a response, as far as the server tells them; None if it tells nothing.

    Three dialects are read: a list of objects with `token`, `logprob` and perhaps `id` (chat completions; llama.cpp),
    parallel lists `tokens` and `token_logprobs` (completions), and `token_ids` next to them (vLLM).
    """
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    told = choice.get("logprobs")
    listed: Mapping[str, Any] = told if isinstance(told, dict) else {}
    entries = listed.get("content")
    if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
        columns: dict[str, Any] = {name: [entry.get(name) for entry in entries] for name in ("token", "logprob", "id")}
    else:
        columns = {"token": listed.get("tokens"), "logprob": listed.get("token_logprobs"), "id": None}
    tokens = Tokens(
        prompt=_all_of(choice.get("prompt_token_ids", found.get("prompt_token_ids")), int),
        completion=_all_of(choice.get("token_ids", columns["id"]), int),
        log_probabilities=_all_of(columns["logprob"], float),
        pieces=_all_of(columns["token"], str),
    )
    return None if tokens == Tokens() else tokens


def _all_of(values: object, kind: type[Any]) -> tuple[Any, ...] | None:
    """A list as a tuple of one type, or None where it is something else; integers count as floats."""
    if not isinstance(values, list) or not values:
        return None
    fits = (int, float) if kind is float else kind
    if not all(isinstance(value, fits) and not isinstance(value, bool) for value in values):
        return None
    found = tuple(kind(value) for value in values)
    return found if kind is not float or all(map(math.isfinite, found)) else None


def _remark(message: Mapping[str, Any]) -> str | None:
    """What a message without content holds instead."""
    if refusal := _joined(message.get("refusal")):
        return f"a refusal: {refusal[:200]!r}"
    for name in REASONING_FIELDS:
        if reasoning := _joined(message.get(name)):
            return (
                f"no content but {len(reasoning)} characters of reasoning in the field {name!r}: raise max_new_tokens, "
                'or turn reasoning off, for instance with chat_template_kwargs={"enable_thinking":false} in the URL'
            )
    return "a tool call instead of content" if message.get("tool_calls") else None


def count_tokens(found: Mapping[str, Any], *, asked: int, written: int, limit: int) -> TokenCount:
    """Tokens that a request took, as the server states them; estimated where it does not, or states absurd numbers.

    Args:
        found: The response.
        asked: Bytes of the prompt.
        written: Bytes of the answer, reasoning included.
        limit: The most tokens that the answer might have.
    """
    used = found.get("usage")
    stated = used if isinstance(used, dict) else {}
    prompt = _whole(stated.get("prompt_tokens"), max(1, asked // LONGEST_TOKEN), asked + OVERHEAD)
    least = max(1, written // LONGEST_TOKEN) if written else 0
    completion = _whole(stated.get("completion_tokens"), least, max(16 * limit, written))
    return TokenCount(
        estimate_tokens(asked) if prompt is None else prompt,
        min(estimate_tokens(written), max(limit, 1)) if completion is None else completion,
        stated=completion is not None,
    )


def estimate_tokens(size: int) -> int:
    """Tokens in so many bytes, rather too many than too few."""
    return math.ceil(size / BYTES_PER_TOKEN)


def _whole(number: object, least: int, most: int) -> int | None:
    """A whole number between bounds, or None; servers send integers, floats, or strings of them."""
    if isinstance(number, bool) or not isinstance(number, int | float | str):
        return None
    try:
        whole = int(number)
    except (ValueError, OverflowError):
        return None
    return whole if least <= whole <= most else None


def _joined(content: object) -> str:
    """The text of a content: a string, or a list of parts, of which only those that are text count."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(_part(part) for part in content)


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type", "text") not in ("text", "output_text"):
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _complaint(found: Mapping[str, Any]) -> str | None:
    """The message of an error in a response."""
    error = found.get("error")
    if error is None and found.get("object") == "error":
        error = found
    error = error or found.get("detail") or found.get("errors")
    if isinstance(error, dict):
        code = error.get("code")
        said = str(error.get("message") or error.get("msg") or error.get("type") or sorted(error))
        return said[:300] + (f" (code {code})" if code is not None else "")
    return str(error)[:300] if error else None


def _names(found: Mapping[str, Any]) -> str:
    return f"the fields {', '.join(sorted(map(str, found))[:8])}" if found else "no fields"


def _kind(value: object) -> str:
    known = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return known.get(type(value), "a number")


def _excerpt(body: bytes) -> str:
    return repr(" ".join(body[:80].decode("utf-8", "replace").split()))
