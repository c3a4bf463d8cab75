"""The generated pages of the site: one for each environment id, the API reference, and files from other folders.

`conf.py` calls `write_pages` when a build starts. Everything is read from the code, so no page can be out of date:
spaces and infos from real environments of the catalog Plots, arguments from `Settings`, prose from docstrings.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import itertools
import json
import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gymnasium as gym
import numpy as np

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
NEEDS: Final = DOCS / "needs"  # what a person must know about each catalog's data
SHOWN: Final = "plots"  # the catalog that needs nothing, so its spaces and infos can be looked at
PACKAGES: Final = ("eagle_gym", "baselines")
# Modules that the reference leaves out: private ones, examples, and those whose library may be absent.
UNLISTED: Final = re.compile(r"\._|^baselines\.examples|\.integrations\.(verifiers|openenv)")

# What keys mean, for the tables; shapes, types and bounds are read from the environment.
OBSERVATION_KEYS: Final = {
    "state": "embedding of the text",
    "user": "unit direction of the user's taste, then its strength in rating units",
    "interests": "centres of the user's interests",
    "effects": "what each offered edit is expected to do; see the argument `features`",
    "actions": "an embedding of each offered edit's own words",
    "match": "how far what each offered edit asks for points in the direction of the user's taste",
    "weights": "the design's weight of each edit",
    "mask": "1 where an edit is offered",
    "time": "share of the episode that is over",
    "reward": "the last reward, 0 at the start",
    "change": "displacement of the embedding in the last step, 0 at the start",
}
INFO_KEYS: Final = {
    "text": "the text",
    "user_id": "id of the user",
    "item_id": "id of the item that the episode started from; `None` where the start text was given",
    "profile": "the user's taste in words",
    "step": "steps taken",
    "valid": "whether the text is a proper rewrite",
    "edits": "the K offered edits",
    "action_mask": "1 where an edit is offered",
    "design": "the design over the offered edits",
    "design.weights": "the weight of each edit",
    "design.gap": "`C` - 1: how far the design is from an optimum, proved",
    "design.C": "largest leverage over the dimension; 1 at an optimum",
    "utility": "the utility of the text, in standard deviations over the catalog",
    "utility.total": "what is rewarded",
    "utility.affinity": "how much this user would like the text",
    "utility.novelty": "distance to what exists",
    "utility.drift": "price of the distance to the first text; 0 without `drift_penalty`",
    "utility.cost": "price of the steps taken; 0 without `edit_cost`",
    "utility.percentile": "share of the catalog that this user is predicted to like less, 0 to 100",
}


def write_pages(folder: Path) -> None:
    """Write all generated pages below a folder; pages that are no longer generated are deleted."""
    pages = {f"environments/{name}": page for name, page in environment_pages().items()}
    pages |= {f"api/{name}": page for name, page in api_pages().items()}
    pages |= adopted_pages()
    for old in [*folder.rglob("*.md"), *folder.rglob("*.rst")]:
        if str(old.relative_to(folder)) not in pages:
            old.unlink()
    for name, page in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != page:
            path.write_text(page, encoding="utf-8")


# ------------------------------------------------------------------- pages that live elsewhere in the repository


def adopted() -> dict[Path, str]:
    """Markdown files outside docs/ that are pages of the site, with the name of the page."""
    pages = {path: f"generated/pages/{path.parent.name}" for path in sorted((ROOT / "eagle_gym").rglob("README.md"))}
    pages |= {
        path: f"generated/reports/{path.parent.name}" for path in sorted((ROOT / "benchmarks").rglob("*/REPORT.md"))
    }
    pages[ROOT / "CHANGELOG.md"] = "generated/pages/changelog"
    return pages


def adopted_pages() -> dict[str, str]:
    """File name -> page, with links that lead where they led; and an index of the reports."""
    found = adopted()
    pages = {
        f"{name.removeprefix('generated/')}.md": relinked(path.read_text(encoding="utf-8"), path, name)
        for path, name in found.items()
    }
    reports = "\n".join(name.rpartition("/")[2] for name in found.values() if name.startswith("generated/reports/"))
    pages["reports/index.md"] = (
        "# Results\n\nReports of reference runs; [the experiments](../../experiments.md) say how they are made.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{reports}\n```\n"
    )
    return pages


def relinked(text: str, source: Path, page: str) -> str:
    """Markdown with its relative links rewritten.

    Args:
        text: The text of the file `source`.
        source: Where the links are relative to.
        page: Name of the page that shows the text.
    """
    found = adopted()
    folder = (DOCS / page).parent

    def moved(match: re.Match[str]) -> str:
        target = (source.parent / match[1]).resolve()
        if not target.exists():
            return match[0]
        if target in found:
            target = DOCS / f"{found[target]}.md"
        return f"]({Path(os.path.relpath(target, folder)).as_posix()}{match[2] or ''})"

    return re.sub(r"\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)", moved, text)


# ---------------------------------------------------------------------------------------------- environments


@dataclass(frozen=True)
class Shown:
    """What a real environment shows.

    Attributes:
        action_space: Its action space.
        task: The task.
        observation: The space of `observation="latent"`.
        info: An info.
        symbols: Size of an axis -> how it is written.
        bounds: Bound of a box -> how it is written where the catalog decides it.
    """

    action_space: gym.Space[Any]
    task: str
    observation: gym.spaces.Dict
    info: Mapping[str, Any]
    symbols: Mapping[int, str]
    bounds: Mapping[float, str]


def look(task: str = "default") -> Shown:
    """Open the environment that needs nothing with a task, and look at it."""
    from eagle_gym import EagleEnv
    from eagle_gym.envs.spaces import LatentLayout

    env = EagleEnv(catalog=SHOWN, task=task, observation="latent")
    _, info = env.reset(seed=0)
    space = env.observation_space
    assert isinstance(space, gym.spaces.Dict)
    layout = LatentLayout.of(space)
    n, k, radius = layout.n, layout.actions, env.world.space.radius
    strength = env.world.resources.strength
    shown = Shown(
        env.action_space,
        task,
        space,
        info,
        symbols={1: "1", n: "n", n + 1: "n + 1", k: "K", k * layout.width: "K · n" if layout.width == n else "K · m"},
        bounds={1.0: "1", radius: "r", 2 * radius: "2r", strength: "s"},
    )
    env.close()
    return shown


def _box(space: gym.Space[Any]) -> gym.spaces.Box:
    assert isinstance(space, gym.spaces.Box)
    return space


def environment_pages() -> dict[str, str]:
    """File name -> page: one for each id, and an index."""
    from eagle_gym.registration import ABOUT, IDS
    from eagle_gym.tasks import TASKS

    shown = {task: look(task) for task in TASKS}
    pages = {
        f"{slug(env_id)}.md": environment_page(env_id, kwargs, *ABOUT[env_id], shown[kwargs.get("task", "default")])
        for env_id, kwargs in IDS.items()
    }
    rows = [
        (f"[`{env_id}`]({slug(env_id)}.md)", about, task, _code(needs))
        for env_id, (about, task, needs) in ABOUT.items()
    ]
    entries = "\n".join(slug(env_id) for env_id in IDS)
    pages["index.md"] = "\n".join(
        [
            "# Environments\n",
            "All environments are one class with different catalogs and tasks. Each has a page; what they share\n"
            "(tasks, episodes, batches, recording, budgets) is on the page *Environments in use*.\n",
            table(("id", "catalog", "task", "needs"), rows),
            "\n`python -m eagle_gym list` prints this table in a terminal.\n",
            f"```{{toctree}}\n:hidden:\n\n{entries}\nEnvironments in use <../../environments>\n```\n",
        ]
    )
    return pages


def slug(env_id: str) -> str:
    """`EagleGym/Plots-v0` -> `plots-v0`."""
    return env_id.rpartition("/")[2].lower()


def _code(text: str) -> str:
    """Arguments in a sentence, set as code."""
    return re.sub(r"\b([a-z_]+=)", r"`\1`", text)


def environment_page(
    env_id: str, kwargs: Mapping[str, Any], about: str, task: str, needs: str, shown: Shown
) -> str:
    """The page of one id."""
    real = kwargs["catalog"] == SHOWN
    sections = manual()
    tables = {
        "action": action_table(shown),
        "observation": f"{observation_table(shown, real)}\n\n{_observation_note(shown, real)}",
        "info": info_table(shown),
        "argument": argument_table(kwargs),
    }
    fragment = NEEDS / f"{kwargs['catalog']}.md"
    parts = [
        f"# {env_id}",
        f"{about[0].upper()}{about[1:]}. It needs {_code(needs)}. The task: {task}.",
        sections.pop("", ""),
        summary_table(env_id, shown),
        filled(fragment.read_text(encoding="utf-8").strip()) if fragment.is_file() else "",
    ]
    sections.pop("Ids", None)
    for title, prose in sections.items():
        found = next((word for word in tables if title.lower().startswith(word)), None)
        parts += [f"## {title}", prose, tables.pop(found) if found else ""]
    for word, rows in tables.items():  # the docstring has no such section
        parts += [f"## {word.capitalize()}s", rows]
    return "\n\n".join(part for part in parts if part) + "\n"


def filled(text: str) -> str:
    """The text with the sizes of a first use filled in."""
    from eagle_gym.actions.surrogate import make, store

    free, embedded = store.GENERAL_BUDGET, store.EMBEDDED_BUDGET
    kinds = len(make.SUFFIXES)  # of edits, measured separately
    general = free.trials + free.checks * free.check_samples
    numbers = {
        "generations": f"{embedded.trials + embedded.checks * embedded.check_samples * kinds:,}",
        "free": f"{general:,}",
        "free_minutes": f"{general / 60:.0f}",
    }
    return re.sub(r"\{(\w+)\}", lambda match: numbers[match[1]], text)


def summary_table(env_id: str, shown: Shown) -> str:
    """What is looked for first."""
    rows = [
        ("make", f'`gym.make("{env_id}")`'),
        ("make many", f'`gym.make_vec("{env_id}", num_envs=64)`'),
        ("action space", f"`{shown.action_space}`"),
        ("observation space", '`FreeText()`, or a `Dict` of boxes with `observation="latent"`'),
    ]
    return table(("", ""), rows)


def action_table(shown: Shown) -> str:
    """The action space."""
    return f"By default `{shown.action_space}`; the argument `actions` is K."


def observation_table(shown: Shown, real: bool) -> str:
    """Keys, shapes and bounds of the latent observation."""
    rows = [
        (f"`{key}`", shape(_box(box), shown, real), bounds(_box(box), shown, real), OBSERVATION_KEYS.get(key, ""))
        for key, box in shown.observation.items()
    ]
    return table(("key", "shape", "bounds", "meaning"), rows)


def _observation_note(shown: Shown, real: bool) -> str:
    if real:
        return "All boxes are float32. Shapes and bounds are those of the task's arguments."
    sizes = {symbol: size for size, symbol in shown.symbols.items()}
    m = ", m the number of features of an edit (more in plot English than in free text)" if "K · m" in sizes else ""
    return (
        f"All boxes are float32. K is the argument `actions` ({sizes['K']}), n the argument `dim` ({sizes['n']}){m}, "
        "*r* the radius of the catalog's latent space and *s* twice the strength of the strongest taste among its "
        "train users; `python -m eagle_gym info` prints the numbers."
    )


def shape(box: gym.spaces.Box, shown: Shown, real: bool) -> str:
    """A shape, in symbols and, where the environment is the one that was looked at, in numbers."""
    symbols = ", ".join(shown.symbols.get(size, str(size)) for size in box.shape)
    sizes = ", ".join(map(str, box.shape))
    return f"{symbols} = {sizes}" if real and symbols != sizes else symbols


def bounds(box: gym.spaces.Box, shown: Shown, real: bool) -> str:
    """The bounds of a box; where components differ, those of each run of equal ones."""
    pairs = list(zip(box.low.ravel().tolist(), box.high.ravel().tolist(), strict=True))
    runs = [(low, high, len(list(run))) for (low, high), run in itertools.groupby(pairs)]
    texts = [f"[{_bound(low, shown, real)}, {_bound(high, shown, real)}]" for low, high, _ in runs]
    if len(runs) > 2:  # a pattern that repeats
        return " or ".join(dict.fromkeys(texts))
    return ", then ".join(texts)


def _bound(value: float, shown: Shown, real: bool) -> str:
    sign, size = "-" if value < 0 else "", abs(value)
    if not real:
        symbol = next((text for bound, text in shown.bounds.items() if np.isclose(size, bound)), None)
        if symbol is not None:
            return sign + (symbol if symbol.isdigit() else f"*{symbol}*")
    return f"{sign}{size:.4g}"


def info_table(shown: Shown) -> str:
    """Keys and types of an info; what a key holds is written with a dot."""
    rows = [(f"`{key}`", kind(value, shown), INFO_KEYS.get(key, "")) for key, value in flattened(shown.info)]
    return table(("key", "type", "meaning"), rows)


def flattened(info: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and values of a nested mapping, outer keys first."""
    for key, value in info.items():
        yield f"{prefix}{key}", value
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")


def kind(value: object, shown: Shown) -> str:
    """The type of a value of an info."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} [{', '.join(shown.symbols.get(size, str(size)) for size in value.shape)}]"
    if isinstance(value, Mapping):
        return "dict"
    if isinstance(value, tuple | list):
        inner = type(value[0]).__name__ if value else "object"
        return f"{type(value).__name__} of {shown.symbols.get(len(value), len(value))} {inner}"
    return type(value).__name__


def argument_table(kwargs: Mapping[str, Any]) -> str:
    """The arguments, without those that the id names; the defaults are those of its task."""
    from eagle_gym.tasks import TASKS

    preset = TASKS[kwargs.get("task", "default")].arguments
    rows = [
        (f"`{name}`", f"`{_default(preset.get(name, default))}`", text)
        for name, default, text in arguments()
        if name not in kwargs
    ]
    rows.append(("`render_mode`", "`None`", "`None` or one of " + ", ".join(f"`{m!r}`" for m in _render_modes())))
    return table(("argument", "default", "meaning"), rows)


def _default(value: object) -> str:
    return json.dumps(value).replace("null", "None").replace("false", "False")


def _render_modes() -> Sequence[str]:
    from eagle_gym import EagleEnv

    modes: Sequence[str] = EagleEnv.metadata["render_modes"]
    return modes


def arguments() -> list[tuple[str, Any, str]]:
    """Name, default and meaning of every argument: from the field's metadata, else from the docstring."""
    from eagle_gym import Settings

    described = attributes(Settings)
    return [
        (field.name, field.default, _sentence(field.metadata.get("help") or described.get(field.name, "")))
        for field in dataclasses.fields(Settings)
    ]


def _sentence(text: str) -> str:
    text = " ".join(markdown(text).split())
    return text[:1].upper() + text[1:]


def attributes(record: type) -> dict[str, str]:
    """The section Attributes of a docstring, by name."""
    text = inspect.getdoc(record) or ""
    found = re.search(r"^Attributes:\n(.*?)(?=^\S|\Z)", text, re.M | re.S)
    items = re.findall(r"^    (\w+): (.*?)(?=^    \S|\Z)", found[1] if found else "", re.M | re.S)
    return {name: " ".join(words.split()) for name, words in items}


def manual() -> dict[str, str]:
    """The docstring of the environment, by section; what comes before the first section has an empty title.

    Sections begin with `**Title.**` or are headed `## Title`. Google sections such as Raises are left out.
    """
    from eagle_gym import EagleEnv

    text = re.split(r"^(?:Args|Raises|Returns|Attributes):$", inspect.getdoc(EagleEnv) or "", flags=re.M)[0]
    text = re.sub(r"^#+ +(.+)$", r"**\1.**", text, flags=re.M)
    pieces = re.split(r"^\*\*([A-Z][\w ]*)\.\*\*\s*", text, flags=re.M)
    titled = zip(pieces[1::2], pieces[2::2], strict=True)
    return {"": markdown(pieces[0])} | {title: markdown(prose) for title, prose in titled}


def markdown(text: str) -> str:
    """Docstring prose as Markdown: roles and double backticks become code, lines become paragraphs."""
    text = re.sub(r":\w+(?::\w+)?:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    return "\n\n".join(textwrap.fill(" ".join(part.split()), 118) for part in re.split(r"\n\s*\n", text.strip()))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


# ------------------------------------------------------------------------------------------------------- API


def api_pages() -> dict[str, str]:
    """File name -> page (reStructuredText): one for each module, and an index."""
    pages = {f"{module}.rst": module_page(module, children(module)) for package in PACKAGES for module in walk(package)}
    lines = [
        *heading("API", "="),
        "Generated from docstrings. Where a package lists its public names, they stand at the top of its page; import",
        "them from there.",
        "",
        *toctree(PACKAGES, depth=2),
    ]
    pages["index.rst"] = "\n".join(lines)
    return pages


def walk(package: str) -> list[str]:
    """Modules of a package, itself first, without private ones and programs."""
    root = ROOT / package
    names = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if (path.parent / "__init__.py").is_file() and not UNLISTED.search(name):
            names.append(name)
    return sorted(names)


def children(module: str) -> list[str]:
    """The modules directly below a package."""
    depth = module.count(".") + 1
    return [
        name for name in walk(module.partition(".")[0]) if name.startswith(f"{module}.") and name.count(".") == depth
    ]


def module_page(name: str, below: Sequence[str]) -> str:
    """The page of a module: public names and modules below for a package, and everything that is defined in it."""
    lines = [*heading(name, "="), f".. automodule:: {name}", "   :members:", "   :ignore-module-all:", ""]
    public = public_names(name) if below else []
    if public:
        lines += [*heading("Public names", "-"), ".. list-table::", "   :widths: 35 65", ""]
        for label, target, role, text in public:
            lines += [f"   * - :py:{role}:`{label} <{target}>`", f"     - {text}"]
        lines.append("")
    if below:
        lines += [*heading("Modules", "-"), *toctree(below)]
    return "\n".join(lines)


def public_names(package: str) -> list[tuple[str, str, str, str]]:
    """Label, target, role and first sentence of every name in a package's `__all__` that a module below defines."""
    module = importlib.import_module(package)
    found = []
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        home = getattr(value, "__module__", None)
        if (inspect.isclass(value) or inspect.isfunction(value)) and isinstance(home, str):
            role = "func" if inspect.isfunction(value) else "exc" if issubclass(value, BaseException) else "class"
            found.append((name, f"{home}.{value.__qualname__}", role, first_line(value)))
    return found


def home_of(name: str) -> str | None:
    """Where a dotted name of our packages is defined; None where there is no such name."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return None
    for cut in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for attribute in parts[cut:]:
            if not hasattr(value, attribute):
                return None if not _annotated(value, attribute) else name
            value = getattr(value, attribute)
        module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        return f"{module}.{qualified}" if isinstance(module, str) and isinstance(qualified, str) else name
    return None


def _annotated(value: object, attribute: str) -> bool:
    """Whether a class only declares an attribute, as dataclasses with slots or protocols do."""
    return inspect.isclass(value) and any(attribute in vars(c).get("__annotations__", {}) for c in value.__mro__)


def first_line(value: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(value) or "").partition("\n")[0]


def heading(text: str, mark: str) -> list[str]:
    """A heading in reStructuredText."""
    return [text, mark * len(text), ""]


def toctree(entries: Sequence[str], depth: int = 1) -> list[str]:
    """A table of contents in reStructuredText."""
    return [
        ".. toctree::",
        f"   :maxdepth: {depth}",
        "",
        *(f"   {entry.rpartition('.')[2]} <{entry}>" for entry in entries),
        "",
    ]
