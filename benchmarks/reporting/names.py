"""Names, order, colours and line styles of methods."""

from __future__ import annotations

from typing import Any

REFERENCES = {"uniform": "uniform", "optimistic": "optimistic", "g_optimal": "G-optimal"}
FAMILIES = {
    "elm": ("ELM", "#cb181d"),
    "supervised": ("supervised (latent)", "#238b45"),
    "reads": ("supervised (reads text)", "#74a832"),
    "eagle": ("EAGLE (latent)", "#08519c"),
    "vas": ("value-augmented sampling", "#d94801"),
    "cola": ("CoLA", "#e6ab02"),
    "grpo_tokens": ("GRPO (tokens)", "#66a61e"),
    "ppo": ("PPO (SB3)", "#6a51a3"),
    "maskable_ppo": ("MaskablePPO (SB3)", "#807dba"),
    "recurrent_ppo": ("RecurrentPPO (SB3)", "#9e9ac8"),
    "a2c": ("A2C (SB3)", "#ae017e"),
    "dqn": ("DQN (SB3)", "#f768a1"),
    "lookahead": ("lookahead", "#a6611a"),
    "beam": ("beam search", "#000000"),
    "mcts": ("MCTS", "#dfa33a"),
    "linucb": ("LinUCB", "#e7298a"),
    "best_of_n": ("best of N", "#01857a"),
    "profile": ("one rewrite with the profile", "#80cdc1"),
    "no_op": ("no-op", "#bbbbbb"),
    "first": ("first offered edit", "#525252"),
    "user_blind": ("user-blind greedy", "#8c510a"),
    "uniform": ("uniform", "#777777"),
    "optimistic": ("optimistic", "#bf812d"),
    "g_optimal": ("G-optimal", "#5aae61"),
}
"""Name and colour of each family of methods."""
WORDS = REFERENCES | {"stock": "stock policy", "half": "half the budget", "reads": "reads text", "bc": "cloned first"}
WRITERS = ("elm", "cola", "grpo_tokens", "profile")
"""Families that write their texts themselves, instead of choosing among the offered edits."""
PAPER = ("elm", *(f"{family}-{name}" for family in ("supervised", "eagle") for name in REFERENCES))
"""Methods of the paper's main table, in its order."""

LIGHTER = {"uniform": 0.55, "optimistic": 0.3, "stock": 0.45}
STYLES = {"half": (0, (1, 3)), "reads": "-.", "uniform": ":", "optimistic": "--", "stock": "--"}


def parts(method: str) -> tuple[str, str]:
    """Family and variant: `"eagle-g_optimal"` is `("eagle", "g_optimal")`; settings count as a variant."""
    for mark in ("-", ":"):
        family, found, variant = method.partition(mark)
        if found and family in FAMILIES:
            return family, variant
    return method, ""


def title(method: str) -> str:
    """A method's name in tables and plots."""
    family, variant = parts(method)
    if not variant:
        return FAMILIES[family][0] if family in FAMILIES else family
    name, _, kind = FAMILIES[family][0].rstrip(")").partition(" (")
    words = variant.split("-")
    known = [] if not kind or (kind == "latent" and "reads" in words) else [kind]
    return f"{name} ({', '.join([*known, *(WORDS.get(word, word) for word in words)])})"


def colour(method: str) -> str:
    """A method's colour: that of its family, lighter for some variants."""
    family, variant = parts(method)
    _, shade = FAMILIES.get(family, ("", "#444444"))
    white = max(LIGHTER.get(word, 0.0) for word in variant.split("-"))
    channels = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(value + white * (255 - value)):02x}" for value in channels)


def style(method: str) -> Any:  # noqa: ANN401 - one of matplotlib's
    """A method's line style."""
    family, variant = parts(method)
    words = {*variant.split("-")} if variant else {"optimistic"} if family in REFERENCES else set()
    return next((line for word, line in STYLES.items() if word in words), "-")


def is_partial(method: str) -> bool:
    """Whether it is another method whose training stopped early."""
    return parts(method)[1].endswith("half")


def is_blind(method: str) -> bool:
    """Whether it ignores the reward, and so cannot hack it: it follows chance, a design, a profile or an order."""
    family, variant = parts(method)
    policy = variant.split("-")[0] if family in ("supervised", "reads") else family
    return policy in ("uniform", "g_optimal", "no_op", "profile", "first")


def is_writer(method: str) -> bool:
    """Whether it writes its texts itself, instead of choosing among the offered edits."""
    return parts(method)[0] in WRITERS


def is_oracle(method: str) -> bool:
    """Whether it is the beam search, the oracle of normalised scores."""
    return parts(method)[0] == "beam"
