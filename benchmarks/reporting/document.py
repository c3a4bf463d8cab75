"""A document made of a few kinds of blocks, written as Markdown with pictures beside it, or as one HTML file."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import aligned


@dataclass(frozen=True)
class Heading:
    """A heading; the title of the document is of level 1."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; ``**bold**``, ``*italic*``, ``` `code` ``` and ``[links](address)`` are understood."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of such paragraphs."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table, the first column to the left, the others to the right, with a caption above it."""

    head: Sequence[str]
    body: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG.

    Attributes:
        name: Of its file, without the ending; unique in the document.
        png: Its bytes.
        caption: What it shows.
    """

    name: str
    png: bytes
    caption: str


@dataclass(frozen=True)
class Beside:
    """Pictures that stand side by side where there is room."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Episodes:
    """Texts side by side where there is room: titles, and lines as ``(label, text)``; edits have no label."""

    columns: Sequence[tuple[str, Sequence[tuple[str, str]]]]


Block = Heading | Text | Items | Table | Picture | Beside | Episodes


# Markdown


def write_markdown(blocks: Sequence[Block], path: Path) -> None:
    """Write a Markdown file, its pictures beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for picture in pictures(blocks):
        (path.parent / f"{picture.name}.png").write_bytes(picture.png)
    path.write_text("\n\n".join(markdown(block) for block in blocks) + "\n")


def pictures(blocks: Sequence[Block]) -> list[Picture]:
    """Every picture of a document."""
    found: list[Picture] = []
    for block in blocks:
        found += block.pictures if isinstance(block, Beside) else [block] if isinstance(block, Picture) else []
    return found


def markdown(block: Block) -> str:
    """A block as Markdown."""
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text):
            return text
        case Items(items):
            return "\n".join(f"- {item}" for item in items)
        case Table(head, body, caption):
            return f"{caption}\n\n{aligned(head, body)}" if caption else aligned(head, body)
        case Picture(name, _, caption):
            return f"![{caption}]({name}.png)\n\n*{caption}*"
        case Beside(some):
            return "\n\n".join(markdown(picture) for picture in some)
        case Episodes(columns):
            return "\n\n".join(f"**{title}**\n\n" + quoted(lines) for title, lines in columns)


def quoted(lines: Sequence[tuple[str, str]]) -> str:
    """An episode as a list."""
    return "\n".join(f"- `{label}` {text}" if label else f"  - *{text}*" for label, text in lines)


# HTML

STYLE = """
:root { color-scheme: light; --ink: #1d1d1f; --faint: #6b6b70; --line: #e2e2e6; --shade: #f6f6f8; --edit: #2166ac; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .6rem; padding-top: .8rem; border-top: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p, ul { max-width: 46rem; margin: .6rem 0; overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; } li { margin: .25rem 0; }
a { color: var(--edit); }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--shade);
  padding: 0 .2em; overflow-wrap: anywhere; }
.table { margin: 1rem 0; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; min-width: 100%; }
td small { color: var(--faint); font-size: .84em; }
th, td { padding: .35rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { background: var(--shade); font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
th:first-child { background: var(--shade); }
tr:last-child td { border-bottom: 0; }
th.words { text-align: left; } td.words { white-space: normal; text-align: left; min-width: 14rem; }
.caption, figcaption { color: var(--faint); font-size: .88rem; margin: .3rem 0; max-width: 46rem; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; display: block; }
.beside { display: grid; gap: 0 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.episodes { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
.episode { border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; font-size: .9rem; }
.episode h4 { margin: 0 0 .4rem; font-size: .95rem; }
.episode p { margin: .35rem 0; } .episode .edit { color: var(--edit); font-style: italic; padding-left: .9rem; }
.episode b { font-variant-numeric: tabular-nums; color: var(--faint); margin-right: .3rem; }
nav { font-size: .92rem; margin: 1rem 0; } nav a { display: inline-block; margin-right: .9rem; }
@media (max-width: 40rem) { th:first-child, td:first-child { white-space: normal; min-width: 6.5rem; } }
"""


def write_html(blocks: Sequence[Block], path: Path) -> None:
    """Write one HTML file that needs nothing else, pictures in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    body = "\n".join(page(block) for block in blocks)
    body = body.replace("</h1>", f"</h1>\n{contents(blocks)}", 1)
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def contents(blocks: Sequence[Block]) -> str:
    """Links to the sections."""
    sections = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    return "<nav>" + " ".join(f'<a href="#{slug(text)}">{inline(text)}</a>' for text in sections) + "</nav>"


def slug(text: str) -> str:
    """A heading as an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def inline(text: str) -> str:
    """Text as HTML, with the marks that :class:`Text` names."""
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    text = re.sub(r"(?<!\w)\*([^*\s][^*]*)\*(?!\w)", r"<em>\1</em>", text)
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>', text)


def page(block: Block) -> str:
    """A block as HTML."""
    match block:
        case Heading(text, level):
            return f'<h{level} id="{slug(text)}">{inline(text)}</h{level}>'
        case Text(text):
            return f"<p>{inline(text)}</p>"
        case Items(items):
            return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>"
        case Table():
            return table(block)
        case Picture(_, png, caption):
            source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            alt = html.escape(caption)
            return f'<figure><img src="{source}" alt="{alt}"><figcaption>{inline(caption)}</figcaption></figure>'
        case Beside(some):
            return '<div class="beside">' + "".join(page(picture) for picture in some) + "</div>"
        case Episodes(columns):
            return '<div class="episodes">' + "".join(episode(title, lines) for title, lines in columns) + "</div>"


def table(block: Table) -> str:
    """A table that scrolls sideways where it is too wide."""
    wordy = [any(len(row[i]) > WORDY for row in block.body) for i in range(len(block.head))]
    rows = "".join("<tr>" + "".join(map(table_cell, row, wordy)) + "</tr>" for row in block.body)
    head = "".join(
        f'<th class="words">{inline(cell)}</th>' if words else f"<th>{inline(cell)}</th>"
        for cell, words in zip(block.head, wordy, strict=True)
    )
    caption = f'<p class="caption">{inline(block.caption)}</p>' if block.caption else ""
    return f'<div class="table">{caption}<div class="scroll"><table><tr>{head}</tr>{rows}</table></div></div>'


WORDY = 40  # characters beyond which a column is one of sentences
INTERVAL = re.compile(r"\[([-+.\d%]+, [-+.\d%]+)\]")


def table_cell(text: str, wordy: bool) -> str:
    """A cell; those of a column that holds sentences may break."""
    if wordy:
        return f'<td class="words">{inline(text)}</td>'
    small = INTERVAL.sub(r"<small>[\1]</small>", inline(text))
    return f"<td>{small}</td>"


def episode(title: str, lines: Sequence[tuple[str, str]]) -> str:
    """One column of texts and edits."""
    rows = "".join(
        f"<p><b>{html.escape(label)}</b>{html.escape(text)}</p>"
        if label
        else f'<p class="edit">→ {html.escape(text)}</p>'
        for label, text in lines
    )
    return f'<div class="episode"><h4>{inline(title)}</h4>{rows}</div>'


# Pages that experiments have written themselves


def read_page(path: Path, level: int) -> list[Block]:
    """The blocks of a page that an experiment has left, its first heading dropped, the others below ``level``."""
    blocks: list[Block] = []
    for part in re.split(r"\n\s*\n", path.read_text().strip()):
        blocks += read_part(part.strip(), path.parent, level)
    first = blocks[0] if blocks else None
    return blocks[1:] if isinstance(first, Heading) and first.level == level + 1 else blocks


def read_part(part: str, folder: Path, level: int) -> list[Block]:
    """The blocks of one part between empty lines."""
    lines = part.splitlines()
    if picture := re.fullmatch(r"!\[([^\]]*)\]\(([^)]+\.png)\)", part):
        path = folder / picture[2]
        return [Picture(f"{folder.name}-{path.stem}", path.read_bytes(), picture[1])] if path.exists() else []
    if heading := re.match(r"(#+) (.*)", lines[0]):
        rest = "\n".join(lines[1:]).strip()
        return [Heading(heading[2], level + len(heading[1])), *(read_part(rest, folder, level) if rest else [])]
    if lines[0].startswith("|"):
        head, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
        return [Table(head, body)]
    if all(line.startswith("- ") for line in lines):
        return [Items([line[2:] for line in lines])]
    return [Text(" ".join(lines))]
