"""Reads a list of edits from a general model's raw answer: a numbered list, or the array of strings in JSON.

The list is read strictly: numbers begin at 1 and ascend by 1, and each edit stands in one line. Each edit is then read
like an answer of its own (see `answers`), so that remarks, headings and placeholders are no edits. An edit that the
limit of tokens has cut is dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from eagle_gym.language.answers import LONGEST, Answer, read_answer, strip_reasoning, strip_special_tokens
from eagle_gym.language.prompts import Prompt, well_formed

_NUMBER: Final = re.compile(r"(?:(?<=\s)|^)(?:[*_#]{1,3}\s?)?(\d{1,3})[.)](?:[*_]{1,2})?\s+(?=\S)")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_ARRAY: Final = re.compile(r"\A(?:```\w*\s*)?(?:\{\s*\"[^\"]*\"\s*:\s*)?\[\s*(?=\"|\])")


def read_completion(
    raw: str,
    prompt: Prompt | None,
    *,
    finished: bool = True,
    in_reasoning: bool = False,
    special: Iterable[str] = (),
) -> Answer:
    """Find what a prompt asks for in a raw answer: a list of edits or a text; arguments as for `read_list`."""
    if prompt is None or not prompt.asks_for_list:
        return read_answer(raw, prompt, in_reasoning=in_reasoning, special=special)
    return read_list(raw, prompt, finished=finished, in_reasoning=in_reasoning, special=special)


def read_list(
    raw: str, prompt: Prompt, *, finished: bool = True, in_reasoning: bool = False, special: Iterable[str] = ()
) -> Answer:
    """Find the edits in a raw answer, and write one a line.

    Args:
        raw: The answer, special tokens included where they are known.
        prompt: What was asked: several proposals.
        finished: Whether the model ended the answer itself; otherwise its last edit is cut.
        in_reasoning: Whether the rendered prompt has opened reasoning that the answer has to close.
        special: The tokenizer's special tokens, which belong to no text.

    Returns:
        The edits. Where there is no list, the answer in one line, which the caller does not take for one.
    """
    if len(raw) > LONGEST:
        return Answer("", f"an answer of {len(raw)} characters")
    answer = strip_reasoning(well_formed(raw), in_reasoning=in_reasoning)
    if answer is None:
        return Answer("", "reasoning that does not end")
    answer = strip_special_tokens(answer, special)
    items = _items(answer, finished=finished)
    if len(items) < 2:
        line = " ".join(answer.split())
        return Answer(line) if line else Answer("", "an empty answer")
    one = Prompt("propose", prompt.text, profile=prompt.profile)
    edits = [" ".join(read_answer(item, one).text.split()) for item in items]
    return Answer("\n".join(edit for edit in edits if edit) or " ".join(answer.split()))


def _items(answer: str, *, finished: bool) -> list[str]:
    """What stands between the numbers, or in the strings, of a list; empty where there is none."""
    if begin := _ARRAY.match(answer):
        return _strings(answer[begin.end() :])
    marks = _ascending(answer)
    ends = [*(mark.start() for mark in marks), len(answer)][1:]
    items = [answer[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    if items and not finished and "\n" not in items[-1]:
        items.pop()
    # A number that is out of order ends an edit, too.
    return [_NUMBER.split(item.split("\n", 1)[0])[0].strip() for item in items]


def _ascending(answer: str) -> list[re.Match[str]]:
    """The numbers 1, 2, 3 and so on, in this order."""
    found: list[re.Match[str]] = []
    for mark in _NUMBER.finditer(answer):
        if int(mark[1]) == len(found) + 1:
            found.append(mark)
    return found


def _strings(array: str) -> list[str]:
    """The whole strings of a JSON array, whose end may be cut off."""
    inside = array.partition("]")[0] if '"' not in array.partition("]")[2] else array
    return [str(json.loads(found[0], strict=False)) for found in _STRING.finditer(inside)]
