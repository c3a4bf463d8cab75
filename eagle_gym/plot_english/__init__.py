"""Plot English: a small language for descriptions of films, which the embedded model speaks.

An *edit* is the text that an action stands for; a *change* is one thing that an edit asks for. `render` and `parse`
turn attributes into a description and back, `render_edit` and `parse_edit` turn changes into an edit and back,
`propose` draws candidate edits, and `from_film` describes a real film. `with_tags` lets a description carry a film's
tags, which no edit changes.
"""

from eagle_gym.plot_english.attributes import Attributes, Pair, features
from eagle_gym.plot_english.dialects import DIALECTS, PITCH, PLAIN, Dialect, dialect_of
from eagle_gym.plot_english.edits import (
    Change,
    apply,
    fulfilled,
    inventions,
    is_noop,
    outcomes,
    parse_edit,
    render_edit,
    unasked,
)
from eagle_gym.plot_english.films import from_film, unsaid
from eagle_gym.plot_english.grammar import Layout, parse, parses, read, render
from eagle_gym.plot_english.lexicon import SLOTS
from eagle_gym.plot_english.profile import Profile, parse_profile, render_profile
from eagle_gym.plot_english.propose import propose, random_attributes
from eagle_gym.plot_english.tags import clean_tags, split_tags, tags_in, with_tags, without_tags

FEATURES = features()

__all__ = [
    "DIALECTS",
    "FEATURES",
    "PITCH",
    "PLAIN",
    "SLOTS",
    "Attributes",
    "Change",
    "Dialect",
    "Layout",
    "Pair",
    "Profile",
    "apply",
    "clean_tags",
    "dialect_of",
    "from_film",
    "fulfilled",
    "inventions",
    "is_noop",
    "outcomes",
    "parse",
    "parse_edit",
    "parse_profile",
    "parses",
    "propose",
    "random_attributes",
    "read",
    "render",
    "render_edit",
    "render_profile",
    "split_tags",
    "tags_in",
    "unasked",
    "unsaid",
    "with_tags",
    "without_tags",
]
