"""Plain text from product descriptions, which hold HTML, escaped HTML, and scripts that lost their tags."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

SILENT = {"script", "style"}  # elements whose content is code
# Elements that separate words.
BREAKS = {"br", "p", "li", "ul", "ol", "div", "tr", "td", "th", "hr", "table", *(f"h{level}" for level in range(1, 7))}
# A "<" that opens no tag, and a noncharacter that takes its place: the parser is slow, or fails, on some of these.
_LONE = re.compile(r"<(?!!--)(?:(?=!\[)|(?![^<>]*>))")
_HELD = "\ufdd0"
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
# How a script that lost its tags gives itself away. The rest of the line, up to the last semicolon or brace, is code as
# well, and so are the lines that look like statements.
_SCRIPT = re.compile(
    r"(?:\b(?:var|let|const)\s+[\w$]+(?:\s*,\s*[\w$]+)*\s*=(?!=)"
    r"|[^\s;]{0,80}\bfunction\b\s*[\w$]*\s*\([^()\n]{0,200}\)\s*\{"
    r"|\bif\s*\(\s*(?:!|typeof\b|window\b|document\b)"
    r"|[^\s;]{0,80}\bnew Date\(\)"
    r"|\b(?:window|document)\.\w+(?:\.\w+)*\s*(?:=(?!=)|\())(?:[^\n]*[;{}])?"
)
_STATEMENT = re.compile(r"^[^\S\n]*(?:\}.*|.*[;{}][^\S\n]*)$", re.MULTILINE)
_COMMENT = re.compile(r"/\*.{0,2000}?\*/", re.DOTALL)
_RULE = re.compile(
    r"(?:[.#@][a-zA-Z_][^{}\n]{0,200}\{(?:\s*[a-z-]+\s*:[^{}]{0,2000})?\s*\}"
    r"|\b[a-z][\w.:-]{0,50}\s*\{\s*[a-z-]+\s*:[^{}]{0,2000};[^{}]{0,2000}\}"
    r"|\b(?:a|b|body|div|h[1-6]|html|img|li|p|span|table|td|th|tr|ul)\s*\{\s*[a-z-]+\s*:[^{}]{0,2000}\})"
)


def plain_text(text: str) -> str:
    """The words that a reader of the page sees, in one line: no tags, comments, scripts or style sheets.

    Args:
        text: HTML, whose tags may be escaped, or plain text.
    """
    text = html.unescape(text)
    if "<" in text:
        text = _without_tags(text)
    if _SCRIPT.search(text):
        text = _STATEMENT.sub(" ", _SCRIPT.sub(" ", _COMMENT.sub(" ", text)))
    if "{" in text:
        text = _RULE.sub(" ", _RULE.sub(" ", text))  # the second time for rules that held others
    return " ".join(_well_formed(text).split())


def _without_tags(text: str) -> str:
    reader = _Reader()
    reader.feed(_LONE.sub(_HELD, _CDATA.sub("", text)))
    reader.close()
    return "".join(reader.pieces).replace(_HELD, "<")


def _well_formed(text: str) -> str:
    """The text with lone surrogates, which JSON can hold but no file in UTF-8, replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Reader(HTMLParser):
    """Collects the text outside scripts and style sheets."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self._silent += 1
        elif tag in BREAKS:
            self.pieces.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in BREAKS:
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(self._silent - 1, 0)
        elif tag in BREAKS:
            self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)
