"""The wordings of plot English, by dialect.

A dialect is another grammar for the same attributes and lexicon. A language model trained on it is therefore another
environment for the same catalog, encoder and edits. Catalogs are written in `PLAIN`; `PITCH` sounds like a meeting
where a film is sold. In a template, `{slot}` stands for a slot's phrases, and `[...]` is left out when its slot is
missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from eagle_gym.errors import ConfigurationError

Forms = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Dialect:
    """Templates of the four kinds of sentence, in groups by the slots that are given.

    Attributes:
        name: Name of the dialect.
        head: Groups "placed" (with a setting) and "unplaced" (without).
        plot: Groups "protagonist", "trait", "goal" and "antagonist": the first of these slots that is given.
        content: Groups "both", "themes" and "motifs".
        close: Groups "both", "styles" and "ending".
    """

    name: str
    head: Forms
    plot: Forms
    content: Forms
    close: Forms

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """Every template of each kind of sentence."""
        groups = {"head": self.head, "plot": self.plot, "content": self.content, "close": self.close}
        return {kind: tuple(form for forms in group.values() for form in forms) for kind, group in groups.items()}


PLAIN = Dialect(
    name="plain",
    head={
        "placed": (
            "A [{tone} ][{decade} ][{genres} ]film set {setting}.",
            "This [{tone} ][{genres} ]film[ from the {decade}] takes place {setting}.",
            "Set {setting}, this is a [{tone} ][{decade} ][{genres} ]story.",
            "A [{tone} ][{genres} ]picture[ of the {decade}], set {setting}.",
            "The story, a [{tone} ][{decade} ][{genres} ]tale, unfolds {setting}.",
        ),
        "unplaced": (
            "A [{tone} ][{decade} ][{genres} ]film.",
            "This is a [{tone} ][{genres} ]film[ from the {decade}].",
            "This is a [{tone} ][{decade} ][{genres} ]story.",
            "A [{tone} ][{genres} ]picture[ of the {decade}].",
        ),
    },
    # A trait without a protagonist describes "a hero". Each group serves one pattern of missing slots.
    plot={
        "protagonist": (
            "It follows a [{trait} ]{protagonist}[ who must {goal}][, up against {antagonist}].",
            "At its centre is a [{trait} ]{protagonist}[ who has to {goal}][ despite {antagonist}].",
            "The hero is a [{trait} ]{protagonist}[, out to {goal}][ and facing {antagonist}].",
            "We meet a [{trait} ]{protagonist}[ trying to {goal}][ with {antagonist} closing in].",
        ),
        "trait": (
            "It follows a {trait} hero[ who must {goal}][, up against {antagonist}].",
            "At its centre is a {trait} hero[ who has to {goal}][ despite {antagonist}].",
            "We meet a {trait} hero[ trying to {goal}][ with {antagonist} closing in].",
        ),
        "goal": (
            "The task is to {goal}[, up against {antagonist}].",
            "Somebody has to {goal}[ despite {antagonist}].",
            "It is about trying to {goal}[ with {antagonist} closing in].",
        ),
        "antagonist": (
            "The threat is {antagonist}.",
            "Danger comes from {antagonist}.",
            "Trouble has a name: {antagonist}.",
        ),
    },
    content={
        "both": (
            "It explores {themes}, alongside {motifs}.",
            "It deals with {themes}; it features {motifs}.",
            "Look out for {motifs}, and beneath it all {themes}.",
        ),
        "themes": ("It explores {themes}.", "It deals with {themes}.", "At heart it is about {themes}."),
        "motifs": ("It features {motifs}.", "Expect {motifs}.", "Look out for {motifs}."),
    },
    close={
        "both": (
            "It is {styles}, and ends {ending}.",
            "The film feels {styles} and closes {ending}.",
            "It all ends {ending}; the style is {styles}.",
        ),
        "styles": ("It is {styles}.", "The film feels {styles}.", "The style is {styles}."),
        "ending": ("It ends {ending}.", "The film closes {ending}.", "It all ends {ending}."),
    },
)

PITCH = Dialect(
    name="pitch",
    head={
        "placed": (
            "Picture a [{tone} ][{decade} ][{genres} ]movie {setting}.",
            "We open {setting}: a [{tone} ][{genres} ]movie[ for the {decade}].",
            "Imagine a [{tone} ][{decade} ][{genres} ]feature that plays {setting}.",
        ),
        "unplaced": (
            "Picture a [{tone} ][{decade} ][{genres} ]movie.",
            "Think of a [{tone} ][{genres} ]feature[ in the manner of the {decade}].",
            "The pitch is a [{tone} ][{decade} ][{genres} ]movie.",
        ),
    },
    plot={
        "protagonist": (
            "Our lead is a [{trait} ]{protagonist}[ whose job is to {goal}][, with {antagonist} in the way].",
            "Meet our [{trait} ]{protagonist}[, determined to {goal}][, hounded by {antagonist}].",
            "Everything turns on a [{trait} ]{protagonist}[ who sets out to {goal}][ against {antagonist}].",
        ),
        "trait": (
            "Our lead is a {trait} soul[ whose job is to {goal}][, with {antagonist} in the way].",
            "Everything turns on a {trait} soul[ who sets out to {goal}][ against {antagonist}].",
        ),
        "goal": (
            "The mission: to {goal}[, with {antagonist} in the way].",
            "The whole story is a bid to {goal}[ against {antagonist}].",
        ),
        "antagonist": ("The one to beat is {antagonist}.", "In the way stands {antagonist}."),
    },
    content={
        "both": (
            "The core of it is {themes}, dressed up with {motifs}.",
            "Audiences come for {motifs} and stay for {themes}.",
        ),
        "themes": ("The core of it is {themes}.", "Audiences stay for {themes}."),
        "motifs": ("Audiences come for {motifs}.", "The trailer shows {motifs}."),
    },
    close={
        "both": (
            "The look is {styles}, and the last reel plays out {ending}.",
            "We finish {ending}, and the look is {styles}.",
        ),
        "styles": ("The look is {styles}.", "Think {styles}."),
        "ending": ("We finish {ending}.", "The last reel plays out {ending}."),
    },
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in (PLAIN, PITCH)})


def dialect_of(name: str) -> Dialect:
    """A dialect by its name.

    Raises:
        ConfigurationError: There is no dialect of that name.
    """
    if name not in DIALECTS:
        raise ConfigurationError(f"expected a dialect of plot English ({', '.join(DIALECTS)}), got {name!r}")
    return DIALECTS[name]
