"""A user's taste as text: "Enjoys comedy films, robots and a dark tone. Dislikes musicals."."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

from eagle_gym.errors import TextError
from eagle_gym.plot_english import grammar, lexicon
from eagle_gym.plot_english.attributes import Pair

# How a value is named as something that a user likes; {0} is its phrase.
_NAMED = MappingProxyType({
    "genres": "{0} films", "decade": "the {0}", "tone": "a {0} tone", "setting": "stories set {0}",
    "protagonist": "a {0} as hero", "trait": "a {0} hero", "goal": "heroes who {0}", "antagonist": "{0} as the enemy",
    "themes": "{0}", "motifs": "{0}", "styles": "{0} films", "ending": "films that end {0}",
})  # fmt: skip
_NOBODY = "No particular taste."


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user likes and dislikes, strongest first, as (slot, value) pairs."""

    likes: tuple[Pair, ...] = ()
    dislikes: tuple[Pair, ...] = ()


def render_profile(profile: Profile) -> str:
    """One or two sentences that name the likes and the dislikes."""
    sentences = [
        f"{verb} {grammar.join([_name(pair) for pair in pairs])}."
        for verb, pairs in (("Enjoys", profile.likes), ("Dislikes", profile.dislikes))
        if pairs
    ]
    return " ".join(sentences) or _NOBODY


def parse_profile(text: str) -> Profile:
    """The profile that a text made by `render_profile` states.

    Raises:
        TextError: The text is not one of these.
    """
    if text.strip() == _NOBODY:
        return Profile()
    parts = re.fullmatch(r"(?:Enjoys (?P<likes>[^.]+)\.)?\s*(?:Dislikes (?P<dislikes>[^.]+)\.)?", text.strip())
    if not parts or not any(parts.groupdict().values()):
        raise TextError(f"expected a profile such as 'Enjoys comedy films. Dislikes a dark tone.', got {text[:200]!r}")
    return Profile(_pairs(parts["likes"] or ""), _pairs(parts["dislikes"] or ""))


def _name(pair: Pair) -> str:
    return re.sub(r"\b(a) (?=[aeiou])", r"\1n ", _NAMED[pair[0]].format(lexicon.surfaces()[pair]))


def _pairs(listing: str) -> tuple[Pair, ...]:
    return tuple((token.slot, token.value) for token in grammar.tokens(listing) if token.slot)
