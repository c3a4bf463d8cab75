"""docs/agents.md has a table of the arguments of each agent, and it is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from baselines import registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agents.md"
TABLE = re.compile(r"<!-- arguments: (?P<name>\w+) -->\n\n(?P<table>(?:\|.*\n)+)")


def table(name: str) -> str:
    """The table of an agent's arguments."""
    texts = registry.explain(name)
    values = {key: value if value != "" else '""' for key, value in registry.hyperparameters(name).items()}
    rows = [f"| `{key}` | `{value}` | {texts[key]} |" for key, value in values.items()]
    return "\n".join(["| argument | default | meaning |", "|---|---|---|", *rows, ""])


def tables() -> dict[str, str]:
    return {found["name"]: found["table"] for found in TABLE.finditer(PAGE.read_text())}


TABLES = ("ppo", "dqn", "eagle", "supervised", "vas", "elm", "cola", "beam", "mcts", "best_of_n", "linucb")


@pytest.mark.parametrize("name", TABLES)
def test_arguments_are_those_of_the_code(name: str) -> None:
    assert tables()[name] == table(name), f"docs/agents.md should have this table of {name}:\n{table(name)}"


def test_every_agent_is_named() -> None:
    page = PAGE.read_text()
    names = {name.removesuffix("-stock") for name in [*registry.LEARNERS, *registry.METHODS, *registry.FIXED]}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
