"""What methods are called, how they are ordered, and their colours."""

from __future__ import annotations

from typing import Any

REFERENCES = {"uniform": "uniform", "optimistic": "optimistic", "g_optimal": "G-optimal"}
FAMILIES = {
    "elm": "ELM",
    "supervised": "supervised",
    "reads": "supervised (reads text)",
    "eagle": "EAGLE",
    "vas": "value-augmented sampling",
    "ppo": "PPO (SB3)",
    "maskable_ppo": "MaskablePPO (SB3)",
    "recurrent_ppo": "RecurrentPPO (SB3)",
    "a2c": "A2C (SB3)",
    "dqn": "DQN (SB3)",
    "lookahead": "lookahead",
    "beam": "beam search",
    "mcts": "MCTS",
    "best_of_n": "best of N",
    "profile": "one rewrite with the profile",
    "no_op": "no-op",
    **REFERENCES,
}
WORDS = REFERENCES | {"stock": "stock policy", "half": "half the budget", "reads": "reads text"}
PAPER = ("elm", *(f"{family}-{name}" for family in ("supervised", "eagle") for name in REFERENCES))
"""The rows of the paper's main table, in its order."""

COLOURS = {
    "eagle": "#08519c",
    "supervised": "#238b45",
    "reads": "#74a832",
    "elm": "#cb181d",
    "vas": "#d94801",
    "ppo": "#6a51a3",
    "maskable_ppo": "#807dba",
    "recurrent_ppo": "#9e9ac8",
    "a2c": "#ae017e",
    "dqn": "#f768a1",
    "lookahead": "#a6611a",
    "beam": "#000000",
    "mcts": "#dfa33a",
    "best_of_n": "#01857a",
    "profile": "#80cdc1",
    "uniform": "#777777",
    "optimistic": "#bf812d",
    "g_optimal": "#5aae61",
    "no_op": "#bbbbbb",
}
LIGHTER = {"uniform": 0.55, "optimistic": 0.3, "stock": 0.45}
STYLES = {"half": (0, (1, 3)), "reads": "-.", "uniform": ":", "optimistic": "--", "stock": "--"}


def parts(method: str) -> tuple[str, str]:
    """Family and variant: ``"eagle-g_optimal"`` is ``("eagle", "g_optimal")``; settings count as a variant."""
    for mark in ("-", ":"):
        family, found, variant = method.partition(mark)
        if found and family in FAMILIES:
            return family, variant
    return method, ""


def title(method: str) -> str:
    """A method's name for people."""
    family, variant = parts(method)
    if not variant:
        return FAMILIES.get(family, family)
    name, _, kind = FAMILIES[family].rstrip(")").partition(" (")
    return f"{name} ({', '.join([*([kind] if kind else []), *(WORDS.get(word, word) for word in variant.split('-'))])})"


def colour(method: str) -> str:
    """A method's colour: its family's, lighter by its variant."""
    family, variant = parts(method)
    shade = COLOURS.get(family, "#444444")
    white = max(LIGHTER.get(word, 0.0) for word in variant.split("-"))
    channels = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(value + white * (255 - value)):02x}" for value in channels)


def style(method: str) -> Any:  # noqa: ANN401 - one of matplotlib's
    """A method's line."""
    family, variant = parts(method)
    words = {*variant.split("-")} if variant else {"optimistic"} if family in REFERENCES else set()
    return next((line for word, line in STYLES.items() if word in words), "-")


def is_partial(method: str) -> bool:
    """Whether it is the same training as another's, stopped early."""
    return parts(method)[1].endswith("half")


def is_blind(method: str) -> bool:
    """Whether it never looks at the reward, so that it cannot hack it: it follows chance, a design or a profile."""
    family, variant = parts(method)
    policy = variant.split("-")[0] if family in ("supervised", "reads") else family
    return policy in ("uniform", "g_optimal", "no_op", "profile")


def is_oracle(method: str) -> bool:
    """Whether it is the beam search that scores are normalised by."""
    return parts(method)[0] == "beam"
