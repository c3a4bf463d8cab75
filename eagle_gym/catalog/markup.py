"""Plain text from product descriptions, which hold HTML, escaped HTML, and scripts that lost their tags."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

SILENT = {"script", "style"}  # elements whose content is code
# Elements that separate words.
BREAKS = {"br", "p", "li", "ul", "ol", "div", "tr", "td", "th", "hr", "table", *(f"h{level}" for level in range(1, 7))}
# How code that lost its tags gives itself away. The rest of its line, up to the last semicolon or brace, is code too.
_SCRIPT = re.compile(
    r"(?:\b(?:var|let|const)\s+[\w$]+(?:\s*,\s*[\w$]+)*\s*=(?!=)"
    r"|\bfunction\b\s*[\w$]*\s*\([^()\n]{0,200}\)\s*\{|\(new Date\(\)\)|\$\(\s*(?:document|function)\b"
    r"|\b(?:window|document)\.\w+(?:\.\w+)*\s*(?:=(?!=)|\())[^\n]*[;}]"
)
_RULE = re.compile(r"(?:[.#@][a-zA-Z_][^{}\n]{0,200}|\b[a-z][\w.:-]{0,50}\s*)\{\s*[a-z-]+\s*:[^{}]{0,2000}\}")
_STATEMENT = re.compile(r"^[^\S\n]*(?:\}.*|.*[;{}][^\S\n]*)$", re.MULTILINE)


def plain_text(text: str) -> str:
    """The words that a reader of the page sees, in one line: no tags, comments, scripts or style sheets.

    Args:
        text: HTML, whose tags may be escaped, or plain text.
    """
    text = html.unescape(text)
    if "<" in text:
        text = _without_tags(text)
    if _SCRIPT.search(text):
        text = _STATEMENT.sub(" ", _SCRIPT.sub("", text))
    return " ".join(_well_formed(_RULE.sub(" ", text)).split())


def _without_tags(text: str) -> str:
    reader = _Reader()
    reader.feed(text.replace("<![", "<! ["))  # the parser raises AssertionError on some marked sections
    reader.close()
    return "".join(reader.pieces)


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
