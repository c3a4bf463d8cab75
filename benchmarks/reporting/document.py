"""Documents made of a few kinds of blocks, written as Markdown with separate pictures, or as one HTML file."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Heading:
    """A heading; the title of the document has level 1."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; `**bold**`, `*italic*`, code in backticks and `[links](address)` are understood."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of such texts."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table with a caption above it; the first column is aligned to the left, the others to the right."""

    head: Sequence[str]
    body: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG.

    Attributes:
        name: Name of its file without the ending, unique in the document.
        png: Content of the file.
        caption: Caption.
    """

    name: str
    png: bytes
    caption: str


@dataclass(frozen=True)
class PictureRow:
    """Pictures side by side, if there is room."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class EpisodeColumns:
    """Episodes side by side, if there is room: titles, and lines as `(label, text)`; edits have no label."""

    columns: Sequence[tuple[str, Sequence[tuple[str, str]]]]


Block = Heading | Text | Bullets | Table | Picture | PictureRow | EpisodeColumns


# Markdown


def write_markdown(blocks: Sequence[Block], path: Path) -> str:
    """Write a Markdown file, and its pictures into the same folder; returns the text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for picture in pictures(blocks):
        (path.parent / f"{picture.name}.png").write_bytes(picture.png)
    text = "\n\n".join(markdown(block) for block in blocks) + "\n"
    path.write_text(text)
    return text


def pictures(blocks: Sequence[Block]) -> list[Picture]:
    """Every picture of a document."""
    found: list[Picture] = []
    for block in blocks:
        found += block.pictures if isinstance(block, PictureRow) else [block] if isinstance(block, Picture) else []
    return found


def markdown(block: Block) -> str:
    """A block as Markdown."""
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Text(text):
            return text
        case Bullets(items):
            return "\n".join(f"- {item}" for item in items)
        case Table(head, body, caption):
            return f"{caption}\n\n{aligned(head, body)}" if caption else aligned(head, body)
        case Picture(name, _, caption):
            return f"![{caption}]({name}.png)\n\n*{caption}*"
        case PictureRow(some):
            return "\n\n".join(markdown(picture) for picture in some)
        case EpisodeColumns(columns):
            return "\n\n".join(f"**{title}**\n\n" + quoted(lines) for title, lines in columns)


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        return f"| {' | '.join(cells)} |"

    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    return "\n".join([line(head), rule, *(line(row) for row in body)])


def quoted(lines: Sequence[tuple[str, str]]) -> str:
    """An episode as a list."""
    return "\n".join(f"- `{label}` {text}" if label else f"  - *{text}*" for label, text in lines)


# HTML

def write_html(blocks: Sequence[Block], path: Path) -> None:
    """Write one self-contained HTML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    style = Path(__file__).with_name("report.css").read_text()
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    body = "\n".join(page(block) for block in blocks)
    body = body.replace("</h1>", f"</h1>\n{contents(blocks)}", 1)
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def contents(blocks: Sequence[Block]) -> str:
    """Links to the sections."""
    sections = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    return "<nav>" + " ".join(f'<a href="#{slug(text)}">{inline(text)}</a>' for text in sections) + "</nav>"


def slug(text: str) -> str:
    """A heading as an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def inline(text: str) -> str:
    """Text with the marks of `Text` as HTML."""
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    text = re.sub(r"(?<!\w)\*([^*\s][^*]*)\*(?!\w)", r"<em>\1</em>", text)
    # Only the web is linked: a text of a model may hold any other scheme.
    return re.sub(r"\[([^\]]+)\]\((https?://[^)\s\"]+)\)", r'<a href="\2">\1</a>', text)


def page(block: Block) -> str:
    """A block as HTML."""
    match block:
        case Heading(text, level):
            return f'<h{level} id="{slug(text)}">{inline(text)}</h{level}>'
        case Text(text):
            return f"<p>{inline(text)}</p>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>"
        case Table():
            return table(block)
        case Picture(_, png, caption):
            source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            alt = html.escape(caption)
            return f'<figure><img src="{source}" alt="{alt}"><figcaption>{inline(caption)}</figcaption></figure>'
        case PictureRow(some):
            return '<div class="row">' + "".join(page(picture) for picture in some) + "</div>"
        case EpisodeColumns(columns):
            return '<div class="episodes">' + "".join(episode(title, lines) for title, lines in columns) + "</div>"


def table(block: Table) -> str:
    """A table that scrolls sideways if it is too wide."""
    wordy = [any(len(row[i]) > WORDY for row in block.body) for i in range(len(block.head))]
    rows = "".join("<tr>" + "".join(map(table_cell, row, wordy)) + "</tr>" for row in block.body)
    head = "".join(
        f'<th class="words">{inline(cell)}</th>' if words else f"<th>{inline(cell)}</th>"
        for cell, words in zip(block.head, wordy, strict=True)
    )
    caption = f'<p class="caption">{inline(block.caption)}</p>' if block.caption else ""
    return f'<div class="table">{caption}<div class="scroll"><table><tr>{head}</tr>{rows}</table></div></div>'


WORDY = 40  # characters beyond which a column counts as text
INTERVAL = re.compile(r"\[([-+.\d%]+, [-+.\d%]+)\]")


def table_cell(text: str, wordy: bool) -> str:
    """A cell; lines of a column of text may break."""
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


# Pages that experiments wrote


def read_page(path: Path, level: int) -> list[Block]:
    """The blocks of a page that an experiment wrote, without its first heading, the others below a level."""
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
        return [Bullets([line[2:] for line in lines])]
    return [Text(" ".join(lines))]
