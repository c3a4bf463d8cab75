"""What the README and the pages of docs/ show is run: Python blocks are executed, commands are parsed.

The blocks of a page are executed in their order in one namespace. A block after a line `<!-- not run: why -->` is
only compiled.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

import baselines.__main__
import benchmarks.__main__
import benchmarks.wordings.__main__
import eagle_gym.__main__
import eagle_gym.language.editor.__main__
from eagle_gym.language.embedded import evaluate, train

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "eagle_gym").rglob("README.md"))]
DATA = ROOT.parent / "shared" / "data" / "ml-latest-small"
BLOCK = re.compile(
    r"(?P<skip><!-- not run: (?P<why>[^>]+) -->\n+)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)

PARSERS = {
    "benchmarks.wordings": benchmarks.wordings.__main__.parser,
    "baselines": baselines.__main__.parser,
    "eagle_gym": eagle_gym.__main__.parser,
    "eagle_gym.language.editor": eagle_gym.language.editor.__main__.parser,
    "eagle_gym.language.embedded.evaluate": evaluate.parser,
    "eagle_gym.language.embedded.train": train.parser,
}


class Block(NamedTuple):
    language: str
    code: str
    line: int
    runs: bool


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(m["language"], m["code"], text.count("\n", 0, m.start("code")), m["skip"] is None)
        for m in BLOCK.finditer(text)
    ]


def has_python(page: Path) -> bool:
    return any(block.language == "python" for block in blocks(page))


@pytest.mark.parametrize("page", [page for page in PAGES if has_python(page)], ids=lambda page: page.name)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = [block for block in blocks(page) if block.language == "python"]
    if any("ml-latest-small" in block.code for block in found if block.runs):
        if not DATA.is_dir():
            pytest.skip(f"{page.name} shows MovieLens, and there is no ml-latest-small next to the repository")
        os.symlink(DATA, tmp_path / "ml-latest-small", target_is_directory=True)
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in found:
        # blank lines in front, so that a traceback names the line of the page
        code = compile("\n" * block.line + block.code, str(page), "exec")
        if block.runs:
            exec(code, namespace)


def commands() -> list[str]:
    lines = [
        line for page in PAGES for block in blocks(page) if block.language == "sh" for line in block.code.splitlines()
    ]
    return sorted({line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")})


@pytest.mark.parametrize("command", commands())
def test_commands_parse(command: str) -> None:
    words = shlex.split(command)
    if words[:2] == ["accelerate", "launch"]:
        words = ["python", *words[words.index("-m") :]]
    if words[0] == "make":
        subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[:2] == ["python", "-m"] and words[2].startswith("baselines.examples."):
        source = (ROOT / f"{words[2].replace('.', '/')}.py").read_text()
        for option in (word.removeprefix("--").replace("-", "_") for word in words[3:] if word.startswith("--")):
            assert re.search(rf"\b{option}\b", source), f"{words[2]} has no {option}"
    elif words[:3] == ["python", "-m", "benchmarks"]:
        options = benchmarks.__main__.parser().parse_args(words[3:])
        found = benchmarks.__main__.find_experiments()
        assert getattr(options, "name", None) in (None, *found)
        assert "size" not in options or options.size in found[options.name].SIZES
    elif words[:2] == ["python", "-m"] and words[2] in PARSERS:
        PARSERS[words[2]]().parse_args(words[3:])
    elif words[:3] == ["python", "-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words[3:] if word.startswith("tests"))
    elif words[:2] == ["pip", "install"]:
        assert all((ROOT / file).is_file() for option, file in pairwise(words) if option == "-r")
        assert {extra for word in words for extra in re.findall(r"\[(\w+)\]", word)} <= extras()
    else:
        assert words[0] in ("git", "cd", "vllm", "llama-server"), f"who checks {command!r}?"


def extras() -> set[str]:
    """What may be installed in addition to the package itself."""
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def test_readme_shows_both_commands_on_its_first_screen() -> None:
    screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert re.search(r"^make demo +#", screen, re.M)
    assert "make demo DATA=" in screen
    assert re.search(r"^make test +#", screen, re.M)


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    # docs/generated is written when the site is built, which fails on a dead link.
    return [link for link in found if not link.startswith(("http://", "https://", "generated/"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = [link for link in links(page) if not (page.parent / link).exists()]
    assert not dead, f"{page.name} links to {dead}"
