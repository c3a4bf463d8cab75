# ruff: noqa: RUF001  # characters of other scripts are meant
"""Reads a general model's raw answer: finds the text in it, or the reason why it holds none.

1. Reasoning: everything up to the last marker that closes it is dropped. An answer that opens reasoning and does not
   close it is unfinished.
2. Special tokens: the answer ends where an end token has leaked into it.
3. Paragraphs: announcements, headings, labels, bullets, fences and quotes around the whole are dropped; the first
   paragraph that remains is the text.
4. Non-answers: refusals, questions, thoughts, reports and placeholders are not texts (see `remarks`).

The caller draws a generation again if its answer holds no text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from eagle_gym.language.prompts import Prompt, well_formed
from eagle_gym.language.remarks import Kind, kind_of

LONGEST: Final = 500_000  # characters of an answer that is read; most of them are reasoning
EXCERPT: Final = 80  # characters of an answer that an error message quotes
SKIPPED: Final = ("announcement", "closing")  # remarks before a text; any other kind means that there is none
TRAILING: Final = ("closing", "report", "question", "refusal")  # remarks after a text


class Answer(NamedTuple):
    """What a raw answer says.

    Attributes:
        text: The text; empty where the answer holds none.
        problem: Why it holds none, for an error message; None where there is a text.
    """

    text: str
    problem: str | None = None


def read_answer(
    raw: str, prompt: Prompt | None = None, *, in_reasoning: bool = False, special: Iterable[str] = ()
) -> Answer:
    """Find the text in a raw answer.

    Args:
        raw: The answer, special tokens included where they are known.
        prompt: What was asked. It decides which short answers are texts.
        in_reasoning: Whether the rendered prompt has opened reasoning that the answer has to close.
        special: The tokenizer's special tokens, which belong to no text.
    """
    if len(raw) > LONGEST:
        return Answer("", f"an answer of {len(raw)} characters")
    raw = _GAP.sub("\n\n", well_formed(raw))
    answer = strip_reasoning(raw, in_reasoning=in_reasoning)
    if answer is None:
        return Answer("", _quoted("reasoning that does not end", raw))
    answer = strip_special_tokens(answer, special)
    blocks = _blocks(_unpacked(answer))
    if prompt is not None and prompt.task in ("rate", "check"):
        return _first(blocks)
    found = _choose(blocks, prompt)
    return found if found.text or found.problem else Answer("", _quoted("nothing but remarks or markup", raw))


def until_stop(raw: str, stop: Iterable[str]) -> tuple[str, bool]:
    """The part of an answer before the first stop string that follows a word, and whether there was one."""
    begin = len(raw) - len(raw.lstrip())
    ends = [end for string in stop if (end := raw.find(string, begin)) >= 0]
    return (raw[: min(ends)], True) if ends else (raw, False)


_GAP: Final = re.compile(r"\s{40,}")  # searching for patterns in longer gaps would take long


# Reasoning --------------------------------------------------------------------------------------------------------

_WORD: Final = (
    r"[\w.:/-]{0,24}?(?:think|thought|reason|reflect|analys|scratchpad|monologue|deliberat|rationale|ruminat|"
    r"brainstorm|"
    r"chain[_-]of[_-]thought|\bcot\b)[\w.:-]{0,24}"
)
_NAME: Final = rf"{_WORD}|plan|planning|internal|inner[_-]\w{{1,20}}"
_TAG: Final = re.compile(
    rf"(?:(?:[<\[{{◁《]|&lt;)\s?[|｜]?\s?(?P<slash>/)?\s?(?P<name>{_NAME})(?:\s[^<>\[\]\n]{{0,80}}?)?\s?[|｜]?\s?"
    r"(?:[>\]}▷》]|&gt;))"
    r"|(?P<details><details[^<>]{0,40}>\s*<summary>[^<>]{0,60}(?:think|thought|reason)[^<>]{0,40}</summary>)"
    r"|(?P<undetails></details>)"
    r"|(?P<channel><\|channel>)|(?P<unchannel><channel\|>)|(?P<unused><unused94>)|(?P<used><unused95>)",
    re.IGNORECASE,
)
_CLOSING_NAME: Final = re.compile(r"(?:^|[_-])(?:end|stop|close)(?:[_-]|$)|^/", re.IGNORECASE)
_HARMONY_FINAL: Final = re.compile(r"<\|channel\|>\s*final[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_BARE_CHANNEL: Final = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=[A-Z\"'*\n]|\s*$)")
_BARE_FINAL: Final = re.compile(r"assistant\n?final(?:[:\n]\s*)?|\A\s*final(?=[A-Z\"'\n])")
# Reasoning under a heading, and what introduces the answer after it.
_THOUGHTS: Final = re.compile(
    r"[\s#*_>]*(?:here(?:'s| is) (?:my|the|a) (?:thought|thinking|reasoning)(?: process)?"
    r"|(?:my |the )?(?:(?:thinking|reasoning|thought|thoughts|analysis|scratchpad|rationale|chain[ -]of[ -]thought|"
    r"internal monologue|step[ -]by[ -]step)(?: process| steps)?\s*[*_]*\s*(?::|\n|$|[—–-]\s)|"
    r"plan\s*[*_]*\s*:?[ \t*_]*(?:\n|$)))",
    re.IGNORECASE,
)
_RESULT: Final = re.compile(
    r"(?:^[ \t#*_>]*(?:here(?:'s| is) (?:my|the) )?(?:(?:final|rewritten|revised|updated|edited|new) )*"
    r"(?:answer|response|description|output|result|text|version|edit|rewrite)[ \t]*[*_]*[ \t]*:[ \t]*[*_]*[ \t]*"
    r"|\[BEGIN FINAL RESPONSE\])",
    re.IGNORECASE | re.MULTILINE,
)


def strip_reasoning(raw: str, *, in_reasoning: bool = False) -> str | None:
    """What follows the reasoning of a raw answer, or None where the reasoning does not end."""
    answer, closed = _after_channels(raw)
    if answer is None:
        return None
    begin, is_open = 0, False
    for tag in _TAG.finditer(answer):
        if tag["undetails"] and not is_open:
            continue
        if _closes(tag):
            begin, is_open, closed = tag.end(), False, True
        elif not _is_in_sentence(tag):
            is_open = True
    if is_open or (in_reasoning and not closed):
        return None
    answer = answer[begin:]
    return _after_thoughts(answer) if not closed or _THOUGHTS.match(answer) else answer


def opens_reasoning(ending: str) -> bool:
    """Whether a prompt ends inside reasoning, so that its answer begins there.

    Args:
        ending: What the template writes after the user's text. The last marker in it decides, whatever follows.
    """
    tags = list(_TAG.finditer(ending))
    channels = list(_HARMONY_CHANNEL.finditer(ending))
    in_channel = bool(channels and channels[-1]["name"] and channels[-1]["name"].lower() != "final")
    return in_channel or bool(tags and not _closes(tags[-1]))


_HARMONY_CHANNEL: Final = re.compile(r"<\|channel\|>\s*(?P<name>\w+)|<\|(?:end|return)\|>", re.IGNORECASE)


def _is_in_sentence(tag: re.Match[str]) -> bool:
    """Whether a tag is a word of a sentence, such as one that a film shows."""
    line = tag.string[max(0, tag.start() - 200) : tag.start()].rpartition("\n")[2]
    goes_on = _GOES_ON.match(tag.string[tag.end() :][:2])
    return goes_on is not None and _IN_SENTENCE.search(line) is not None


_GOES_ON: Final = re.compile(r" [^\W\dA-Z]|[,.;]")
_IN_SENTENCE: Final = re.compile(r"\w[\w'’,]* [\w'’,]*\w,? \Z")


def without_markers(text: str) -> str:
    """The text with markers of reasoning in it pulled apart, so that a template does not cut it there."""
    return _TAG.sub(lambda tag: f"{tag[0][0]} {tag[0][1:]}", text)


def _closes(tag: re.Match[str]) -> bool:
    if tag["unchannel"] or tag["used"] or tag["undetails"]:
        return True
    return tag["name"] is not None and bool(tag["slash"] or _CLOSING_NAME.search(tag["name"]))


def _after_channels(raw: str) -> tuple[str | None, bool]:
    """The final channel of an answer in channels (gpt-oss's harmony), and whether there was one."""
    finals = [*_HARMONY_FINAL.finditer(raw)]
    if finals:
        return raw[finals[-1].end() :], True
    if "<|channel|>" in raw:
        return None, False
    bare = [*_BARE_FINAL.finditer(raw)]
    if bare and (_BARE_CHANNEL.match(raw) or bare[-1].start() == 0 or raw[: bare[0].start()].strip()):
        return raw[bare[-1].end() :], True
    return (None, False) if _BARE_CHANNEL.match(raw) else (raw, False)


def _after_thoughts(answer: str) -> str | None:
    """What follows thoughts that have a heading, or that begin without one, and end at a label."""
    first = answer.strip().split("\n", 1)[0]
    if not _THOUGHTS.match(answer) and kind_of(first) != "reasoning":
        return answer
    results = [*_RESULT.finditer(answer)]
    return answer[results[-1].end() :] if results and results[-1].start() > 0 else None


# Special tokens ---------------------------------------------------------------------------------------------------

_SPECIAL: Final = re.compile(
    r"<[|｜][^<>\n]{0,60}?[|｜]>|<\|[a-z_]{1,30}>|<[a-z_]{1,30}\|>|</?s>|◁[^▷\n]{0,40}▷"
    r"|(?:<?\|)?\bim_(?:start|end)\b(?:\|?>)?|<0x[0-9a-f]{2}>"
    r"|<(?:bos|eos|pad|unk|sep|cls|mask|eot|eod|eom|end|(?:start|end)_of_(?:turn|text|image)|unused\d+)>"
    r"|\[/?(?:INST|SYS|EOS|BOS|PAD|UNK|SEP|CLS|DONE|end of text)\]|</?<SYS>>|\[(?:BEGIN|END) FINAL RESPONSE\]",
    re.IGNORECASE,
)
_ROLE: Final = re.compile(r"\s*(?:assistant|model|ai|bot)(?=\s*(?:\n|:|<|$))\s*:?\s*", re.IGNORECASE)
_TURN: Final = re.compile(r"^[ \t]*(?:user|system|assistant|model|human|ai)[ \t]*:?[ \t]*$", re.I | re.MULTILINE)
_CONTROL: Final = re.compile(r"[ \t]*[\x00-\x08\x0e-\x1f\x7f-\x9f]+[ \t]*")  # C0 and C1, without white space
_CUT_TOKEN: Final = re.compile(
    r"<[|｜][\w▁/-]*[|｜]?\s*\Z|<(?:end|start)_of_\w*\s*\Z|(?<=[.!?…\"”])[ \t]*assistant\s*\Z"
)


def strip_special_tokens(answer: str, special: Iterable[str] = ()) -> str:
    """The answer up to the first special token inside it; those at its beginning, and a role's name, are dropped."""
    answer = answer.strip()
    while (token := _SPECIAL.match(answer)) or (answer and (token := _ROLE.match(answer))):
        answer = answer[token.end() :].lstrip()
    for pattern in (_SPECIAL, _TURN, _CUT_TOKEN):
        if found := pattern.search(answer):
            answer = answer[: found.start()]
    for token_text in special:
        if token_text.strip() and len(token_text) > 1:
            answer = answer.replace(token_text, "")
    return _CONTROL.sub(" ", answer).strip()


# Paragraphs -------------------------------------------------------------------------------------------------------

_WRAPPER_NAME: Final = (
    r"(?:(?:final|rewritten|revised|new|updated|edited)?[_ -]?(?:answer|response|output|result|solution|description|"
    r"text|rewrite|edit|instruction)|final)"
)
_WRAPPER: Final = re.compile(
    rf"<(?P<tag>{_WRAPPER_NAME})>(?P<inside>.*?)(?:</(?P=tag)>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ENDS: Final = re.compile(rf"\s*</{_WRAPPER_NAME}>\s*\Z", re.IGNORECASE)
_LABEL: Final = re.compile(
    r"^(?:#+\s*)?(?:\*\*)?(?:(?:final|rewritten|revised|new|edited|updated)?\s*"
    r"(?:description|text|plot|instruction|edit|answer|response|output|rewrite))\s*:(?:\*\*)?\s*",
    re.IGNORECASE,
)
_BULLET: Final = re.compile(r"^(?:[-*•]\s+|\d{1,2}[.)]\s+)")
_QUOTES: Final = (('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"), ("'", "'"), ("`", "`"), ("**", "**"), ("*", "*"))
_SENTENCE_END: Final = re.compile(r"[.!?…。！？।؟][\"'”’»)\]*_]*$")
_SENTENCES: Final = re.compile(r"(?<=[.!?…。！？])[\"”’)*]*\s+|(?<=[。！？])")
_MARKED_HEADING: Final = re.compile(r"^(?:#{1,6}\s*\S.*|\*\*[^*]+\*\*:?|__[^_]+__:?|\*[^*]+\*:?|<h\d>.*|=+\s*\S.*=+)$")
_TITLE: Final = re.compile(r"^[#*_\s]*(?:title|movie|film|name|heading)[*_\s]*:", re.IGNORECASE)
_BRACKETED: Final = re.compile(r"^(?:\[[^\[\]]*\]|<[^<>]*>|\{[^{}]*\}|\([^()]*\)|\{\{.*\}\}|<<.*>>)[.!]?$")
_MACHINE: Final = re.compile(
    r"^(?:<!doctype|<html|<\?xml|<tool|<function|[\[<]\|?tool_call|"
    r"\{\s*\"|\{\s*'|\[\s*[{\"\]]|\{\s*\}|functions?\.\w+|def \w+\(|import \w+$|print\(|data:\s*[{\[])",
    re.IGNORECASE,
)

_QUOTATION: Final = re.compile(r"\"[^\"]*(?:\"|$)|“[^”]*(?:”|$)|(?<!\w)'[^']*'(?!\w)|«[^»]*»")
_OF_ITSELF: Final = re.compile(
    r"\b(?:the|this|that|your|original|rewritten|revised) (?:users?\b(?= (?:want|ask|request|said|says|need))|"
    r"description|"
    r"edit(?:\b|s\b)|requested (?:edit|change)|instruction\b|prompt\b|rewritten|rewrite\b)",
    re.IGNORECASE,
)
_FIRST_PERSON: Final = re.compile(
    r"(?:^|[.!?;:,]\s+|\b[a-z']+\s+)(?:I(?:'(?:m|ll|ve|d))?\s+(?:[a-z]+)|[Ll]et me\b)|\b(?:[Ww]e|WE) (?:can|should|"
    r"need|must|could|have to)\b"
)
_TASK: Final = re.compile(
    r"\b(?:descriptions?|rewr[io]t\w*|edit(?:s|ed|ing)?|instructions?|answers?|requests?|prompts?|users?|setting|tone|"
    r"genre|wording|synopsis|paragraph|(?:the|this|your) (?:original|text|version|ending))\b",
    re.IGNORECASE,
)
_ASKS_FIRST_PERSON: Final = re.compile(
    r"first[- ]person|narrat|diary|letter|monologue|perspective|point of view|voice", re.IGNORECASE
)
_ARROW: Final = re.compile(r"\w\s*(?:->|→|=>|⇒)\s*\w")


def _unpacked(answer: str) -> str:
    """What stands in the last pair of answer tags, or the one string in a JSON object; else the answer as it is."""
    wrapped = [*_WRAPPER.finditer(answer)]
    if wrapped:
        return wrapped[-1]["inside"].strip()
    answer = _ENDS.sub("", answer)
    if answer.count("```") == 1:
        answer = answer.removesuffix("```").rstrip()
    plain = re.sub(r"^\s*```\w*\s*|\s*```\s*$", "", answer).strip()
    if not plain.startswith("{"):
        return answer
    try:
        found = json.loads(plain)
    except (ValueError, RecursionError):
        return answer
    texts = [value for value in found.values() if isinstance(value, str)] if isinstance(found, dict) else []
    return texts[0] if len(texts) == 1 == len(found) and "error" not in found else answer


def _blocks(answer: str) -> list[str]:
    blocks = re.split(r"\n\s*\n|^\s*```\w*\s*$|^\s*(?:[-*_=]\s*){3,}$", answer, flags=re.MULTILINE)
    return [block.strip() for block in blocks if block.strip()]


def _first(blocks: list[str]) -> Answer:
    """The first block that announces nothing, whatever it says."""
    texts = (_unwrapped(" ".join(_lines(block))) for block in blocks if not _announces(block))
    text = next((text for text in texts if text), "")
    return Answer(text) if text else Answer("", "an empty answer")


def _choose(blocks: list[str], prompt: Prompt | None) -> Answer:
    """The first block that is a text; a block that thinks, refuses or asks ends the search."""
    problem = None
    for number, block in enumerate(blocks):
        answer = _read_block(block, prompt, last=number == len(blocks) - 1)
        if answer.text:
            return answer
        problem = problem or answer.problem
        if answer.problem:
            break
    return Answer("", problem)


def _read_block(block: str, prompt: Prompt | None, *, last: bool) -> Answer:
    """A block's text; neither text nor problem where the next block may hold the text."""
    lines = _lines(block)
    while lines and (_is_heading(lines[0], prompt) or _announces(lines[0])):
        lines.pop(0)
    if not lines or (not last and _is_title(lines, prompt)):
        return Answer("")
    text, kind = _without_remarks(_unwrapped(" ".join(lines)))
    text = _unwrapped(text)
    if kind in SKIPPED:
        return Answer("")
    if kind is not None:
        return Answer("", _quoted(f"a {kind}", block))
    problem = _unlike_a_text(text, prompt)
    return Answer("", _quoted(problem, block)) if problem else Answer(text)


def _without_remarks(text: str) -> tuple[str, Kind | None]:
    """The text without remarks before and after it, or the kind of the remark that it is or begins with."""
    label, colon, rest = text.partition(":")
    if colon and rest.strip() and _SENTENCES.search(label) is None and kind_of(f"{label}:") == "announcement":
        text = rest.strip()
    begins = [0, *(found.end() for found in _SENTENCES.finditer(text) if found.end() < len(text))]
    ends = [*begins[1:], len(text)]
    sentences = [text[begin:end].strip() for begin, end in zip(begins, ends, strict=True)]
    first, last, kind = 0, len(sentences), kind_of(sentences[0])
    while kind in SKIPPED and first + 1 < last:
        first += 1
        kind = kind_of(sentences[first])
    if kind is not None:
        return "", kind
    while kind_of(sentences[last - 1]) in TRAILING:
        last -= 1
    return text[begins[first] : ends[last - 1]].strip(), None


def _unlike_a_text(text: str, prompt: Prompt | None) -> str | None:
    """Why a paragraph that makes no remark is no text."""
    if not any(character.isalpha() for character in text):
        return "an answer without a word"
    if _MACHINE.match(text):
        return "data or code"
    if _BRACKETED.match(text):
        return "a placeholder"
    words = text.split()
    if len(words) >= 8 and len(set(words)) <= 2:
        return "one word again and again"
    if prompt is None or prompt.task != "rewrite":
        return None
    if _same(text, prompt.edit):
        return "the edit itself"
    if (voice := _new_voice(text, f"{prompt.text} {prompt.edit}")) is not None:
        return voice
    is_heading = (len(words) == 1 or _is_short(text)) and not _is_wordless(text)
    return "a heading" if is_heading and _is_prose(prompt.text) else None


def _new_voice(text: str, asked: str) -> str | None:
    """Whether a rewrite speaks of the task, or of it in the first person, where neither the text nor the edit does."""
    said = _QUOTATION.sub(" ", text.replace("’", "'"))
    if _OF_ITSELF.search(said) and not _OF_ITSELF.search(asked):
        return "a remark about the edit"
    may_speak = _FIRST_PERSON.search(asked) or _ASKS_FIRST_PERSON.search(asked)
    if _FIRST_PERSON.search(said) and _TASK.search(said) and not may_speak:
        return "a remark in the first person"
    return "notes" if _ARROW.search(said) and not _ARROW.search(asked) else None


def _is_prose(text: str) -> bool:
    """Whether a text is at least a sentence of several words."""
    return len(text.split()) > 3 and _SENTENCE_END.search(text.strip()) is not None


def _is_short(text: str) -> bool:
    return len(text.split()) <= 8 and _SENTENCE_END.search(text) is None


def _is_wordless(text: str) -> bool:
    """Whether it is written without spaces between words (Chinese, Japanese, Thai), so that words cannot be counted."""
    return any("\u0e00" <= character <= "\u0eff" or "\u3040" <= character <= "\u9fff" for character in text)


def _same(text: str, other: str) -> bool:
    return bool(other.strip()) and text.strip(" .!").casefold() == other.strip(" .!").casefold()


def _is_heading(line: str, prompt: Prompt | None) -> bool:
    """Whether a line is marked up as a heading, or labelled as a title."""
    if prompt is not None and prompt.task == "propose":
        return line.startswith("#")
    inside = line.strip("*_ ")
    is_sentence = _SENTENCE_END.search(inside) is not None or len(line.split()) > 14
    is_marked = _MARKED_HEADING.match(line) is not None and not is_sentence
    return is_marked or (_TITLE.match(line) is not None and _is_short(line))


def _is_title(lines: list[str], prompt: Prompt | None) -> bool:
    """Whether a block that others follow is an unmarked heading: one short line that is no sentence."""
    if prompt is not None and prompt.task == "propose":
        return False
    return len(lines) == 1 and _is_short(lines[0]) and not _BULLET.match(lines[0])


def _lines(block: str) -> list[str]:
    return [line.strip() for line in block.splitlines() if line.strip()]


def _announces(block: str) -> bool:
    line = block.strip()
    return "\n" not in line and line.rstrip("*_ ").endswith((":", "："))


def _unwrapped(text: str) -> str:
    """The text without label, bullet, and quotes around the whole."""
    text = _LABEL.sub("", _BULLET.sub("", text.strip())).strip()
    for left, right in _QUOTES:
        inside = text[len(left) : -len(right)]
        if text.startswith(left) and text.endswith(right) and inside.strip() and left not in inside:
            return inside.strip()
    return text


def _quoted(problem: str, raw: str) -> str:
    short = " ".join(raw.split())
    return f"{problem}: {short[:EXCERPT] + '...' if len(short) > EXCERPT else short!r}" if short else "an empty answer"
