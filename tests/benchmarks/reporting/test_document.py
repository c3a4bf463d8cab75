"""Documents: one file of HTML that needs nothing else, Markdown with its pictures, pages that others have written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.reporting.document import (
    Block,
    Bullets,
    EpisodeColumns,
    Heading,
    Picture,
    PictureRow,
    Table,
    Text,
    inline,
    read_page,
    write_html,
    write_markdown,
)

PIXEL = b"\x89PNG not really"
BLOCKS: list[Block] = [
    Heading("A < report", 1),
    Heading("First part"),
    Text("**bold** and *faint* and `code` and [a link](https://example.org/a)."),
    Bullets(["one", "two & three"]),
    Table(["method", "gain"], [["ours", "1.00 [0.50, 1.50]"], ["a <b>", "n/a"]], "What it *shows*."),
    Picture("gain", PIXEL, "A gain."),
    PictureRow([Picture("left", PIXEL, "Left."), Picture("right", PIXEL, "Right.")]),
    EpisodeColumns([("ours, gain +1", [("+0.00", "A film."), ("", "Darker."), ("+1.00", "A dark film.")])]),
]


def test_html_is_whole_in_one_file(tmp_path: Path) -> None:
    write_html(BLOCKS, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sum(source.startswith("data:image/png;base64,") for source in sources) == 3
    fetched = [s for s in sources if not s.startswith(("data:", "#"))]
    assert fetched == ["https://example.org/a"]  # a link that a person may follow, not something that is loaded
    assert not re.search(r"<(script|link|iframe)|@import|url\(", text)
    assert '<meta name="viewport"' in text
    assert "<title>A &lt; report</title>" in text
    assert '<a href="#first-part">First part</a>' in text
    assert '<h2 id="first-part">' in text
    assert "<td>a &lt;b&gt;</td>" in text
    assert "<td>1.00 <small>[0.50, 1.50]</small></td>" in text
    assert '<p class="edit">→ Darker.</p>' in text


def test_markdown_has_its_pictures_beside_it(tmp_path: Path) -> None:
    write_markdown(BLOCKS, tmp_path / "REPORT.md")
    text = (tmp_path / "REPORT.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["REPORT.md", "gain.png", "left.png", "right.png"]
    assert text.startswith("# A < report\n\n## First part\n\n**bold**")
    assert "- one\n- two & three" in text
    assert "What it *shows*.\n\n| method |" in text
    assert "![Left.](left.png)" in text
    assert "**ours, gain +1**\n\n- `+0.00` A film.\n  - *Darker.*\n- `+1.00` A dark film." in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("**a** *b*", "<strong>a</strong> <em>b</em>"),
        ("`x < y`", "<code>x &lt; y</code>"),
        ("[t](https://u.org) [1.0, 2.0]", '<a href="https://u.org">t</a> [1.0, 2.0]'),
        ("[t](javascript:alert) [t](file:///etc)", "[t](javascript:alert) [t](file:///etc)"),
    ],
)
def test_marks(text: str, expected: str) -> None:
    assert inline(text) == expected


def test_pages_of_experiments_are_read(tmp_path: Path) -> None:
    (tmp_path / "shown.png").write_bytes(PIXEL)
    (tmp_path / "REPORT.md").write_text(
        "# Title\n\nSome\nwords.\n\n## Part\n- a\n- b\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n\n"
        "![A picture](shown.png)\n\n![Another](absent.png)\n"
    )
    assert read_page(tmp_path / "REPORT.md", 2) == [
        Text("Some words."),
        Heading("Part", 4),
        Bullets(["a", "b"]),
        Table(["x", "y"], [["1", "2"]]),
        Picture(f"{tmp_path.name}-shown", PIXEL, "A picture"),
    ]
