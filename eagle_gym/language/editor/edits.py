"""Edits that need no teacher: each is made together with the one text that carries it out.

Four makers, in the shares of `MIX`:

- `swap`: a word with one clear sense is replaced in a free text (a name, profession, place, time or object);
- `insertion`: a sentence or opening clause enters a free text, takes the place of the one that is there, or leaves it;
- `grammar_pair`: a description in plot English before and after an edit;
- `mixture`: the same within a free text, of which only the sentences in plot English change.

Where an insertion stands depends on what it says: time, place and genre begin a text, most others end it. A model that
may insert at any of several places learns to leave the decision open at each, and decoded greedily it then copies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from eagle_gym.language.editor import words
from eagle_gym.language.editor.overviews import (
    KINDS,
    FreeText,
    capitalised,
    choose,
    fill,
    mentions_in,
    overview,
    with_article,
)
from eagle_gym.language.editor.requests import INSERTIONS, LEAD_SWAPS, SWAPS
from eagle_gym.language.embedded.examples import Example, description, draw_edit
from eagle_gym.language.prompts import Prompt
from eagle_gym.plot_english import Change, Layout, apply, parse_edit, render, render_edit
from eagle_gym.plot_english.edits import directions
from eagle_gym.plot_english.lexicon import SET_SLOTS, surfaces, values

MIX: Final = MappingProxyType({"swap": 0.3, "insertion": 0.5, "grammar_pair": 0.06, "mixture": 0.14})
WRITTEN: Final = 0.35  # share of free texts that were written as a whole, not filled in
SWAPPED: Final = (*KINDS, "place")  # places twice: an editor is tempted to name the new one and to leave the old one
TWOFOLD: Final = 0.08  # share of edits of free texts that ask for two things


class NoEdit(Exception):  # a draw that is repeated, not an error
    """The drawn text has nothing that the drawn kind of edit could change."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A request without its full stop, and the text that carries it out; of a swap also the words that it exchanges."""

    request: str
    text: str
    old: str = ""
    new: str = ""


def example(rng: np.random.Generator, texts: Sequence[str] = ()) -> Example:
    """A training example of a random kind.

    Args:
        rng: Draws it.
        texts: Free texts to edit, in addition to invented ones.
    """
    while True:
        maker = _MAKERS[str(rng.choice(list(MIX), p=list(MIX.values())))]
        try:
            found = maker(rng, texts)
        except NoEdit:
            continue
        if found.answer != found.prompt.text:
            return found


def free_text(rng: np.random.Generator, texts: Sequence[str]) -> FreeText:
    """A free text: filled in from templates, or one of those given."""
    return mentions_in(choose(rng, texts)) if texts and rng.random() < WRITTEN else overview(rng)


# Swaps --------------------------------------------------------------------------------------------------------------

_UNNAMED: Final = re.compile(r"(?!.*\{(?:a )?old\})")
def swap(rng: np.random.Generator, texts: Sequence[str]) -> Example:
    """A free text in which one word takes another's place, or two words others'."""
    source = free_text(rng, texts)
    done = swapped(rng, source, choose(rng, SWAPPED))
    if rng.random() < TWOFOLD:
        return _example(rng, source.text, _both(rng, done, inserted(rng, FreeText(done.text, lead=source.lead))))
    return _example(rng, source.text, done)


def swapped(rng: np.random.Generator, source: FreeText, kind: str) -> Edited:
    """The text with a mention of a kind replaced wherever it stands.

    Raises:
        NoEdit: There is no such mention.
    """
    there = source.of(kind)
    if not there:
        raise NoEdit
    place = int(rng.integers(len(there)))
    old = there[place]
    new = _new_value(rng, kind, old)
    if re.search(rf"\b{re.escape(new)}\b", source.text) or old in new or new in old:
        raise NoEdit
    forms = SWAPS[kind]
    if place or (kind == "place" and len(there) > 1):
        forms = tuple(form for form in forms if not _UNNAMED.match(form))
    elif kind in LEAD_SWAPS and source.lead and rng.random() < 0.3:
        forms = LEAD_SWAPS[kind]
    request = fill(choose(rng, forms), {"old": old, "new": new, "lead": source.lead})
    return Edited(request, replaced(source.text, old, new), old, new)


def _new_value(rng: np.random.Generator, kind: str, old: str) -> str:
    if kind == "name":
        return choose(rng, words.WOMEN if old in words.WOMEN else words.MEN)
    if kind == "time":
        return str(rng.integers(1900, 2024)) if rng.random() < 0.25 else f"the {choose(rng, words.DECADES)}"
    return choose(rng, {"profession": words.PROFESSIONS, "place": words.PLACES, "object": words.THINGS}[kind])


def replaced(text: str, old: str, new: str) -> str:
    """The text with a whole word or phrase replaced, and its articles made to fit."""

    def substitute(match: re.Match[str]) -> str:
        if match["article"] is None:
            return new
        article = with_article(new).split()[0]
        return f"{capitalised(article) if match['article'][0].isupper() else article} {new}"

    return re.sub(rf"(?:\b(?P<article>[Aa]n?) )?(?<![\w-]){re.escape(old)}(?![\w-])", substitute, text)


# Insertions ---------------------------------------------------------------------------------------------------------


_DIRECTED: Final = {
    "genres": "genre", "decade": "decade", "tone": "tone", "setting": "setting", "protagonist": "protagonist",
    "trait": "trait", "goal": "goal", "antagonist": "antagonist", "themes": "theme", "motifs": "motif",
    "styles": "style", "ending": "ending",
}  # fmt: skip
_POOLS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "genre_film": words.GENRE_FILMS, "genre": words.GENRES, "decade": words.DECADES, "setting": words.SETTINGS,
    "place": words.PLACES, "tone": words.TONES, "theme": words.THEMES, "object": words.OBJECTS,
    "person": words.PROFESSIONS, "named": words.WOMEN + words.MEN,
})  # fmt: skip
# How often each kind of value is asked for; the rest are values of plot English and its vague directions.
WEIGHTS: Final = MappingProxyType({
    "genre_film": 3, "genre": 1, "decade": 2, "setting": 3, "place": 2, "tone": 1.5, "theme": 2, "object": 5,
    "person": 1.5, "named": 1, "lexicon": 3, "vague": 3,
})  # fmt: skip
MANNERS: Final = MappingProxyType({"insert": 0.74, "replace": 0.14, "remove": 0.12})


def insertion(rng: np.random.Generator, texts: Sequence[str]) -> Example:
    """A free text that a sentence or a clause enters, changes in, or leaves."""
    source = free_text(rng, texts)
    manner = str(rng.choice(list(MANNERS), p=list(MANNERS.values())))
    if manner == "insert":
        done = inserted(rng, source)
        if rng.random() < TWOFOLD:
            done = _both(rng, done, inserted(rng, FreeText(done.text, lead=source.lead)))
        return _example(rng, source.text, done)
    kind = choose(rng, tuple(_POOLS))
    place = Statement.draw(rng, kind)
    old, new = (str(each) for each in rng.choice(_POOLS[kind], size=2, replace=False))
    role = choose(rng, words.PROFESSIONS)
    before = place.put(source, old, role)
    form = INSERTIONS[kind]
    if manner == "remove":
        return _example(rng, before, Edited(_worded(choose(rng, form.removals), old, role), source.text))
    asked = fill(choose(rng, form.exchanges or form.requests), {"value": new, "old": old})
    return _example(rng, before, Edited(asked, place.put(source, new, role)))


def inserted(rng: np.random.Generator, source: FreeText) -> Edited:
    """The text with a statement that it lacks."""
    what = str(rng.choice(list(WEIGHTS), p=np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values())))
    role = choose(rng, words.PROFESSIONS)
    if what in ("lexicon", "vague"):
        kind, value, asked = _from_lexicon(rng, vague=what == "vague")
    else:
        kind, value = what, choose(rng, _POOLS[what])
        asked = _worded(choose(rng, INSERTIONS[kind].requests), value, role)
    if value in source.text or (kind == "place" and source.of("place")) or (kind == "decade" and source.of("time")):
        raise NoEdit
    if kind == "setting" and len(source.of("place")) == 1 and rng.random() < 0.75:
        text = re.sub(rf"\b[Ii]n {re.escape(source.of('place')[0])}\b", value, source.text, count=1)
        if text != source.text:
            return Edited(asked, capitalised(text))
    if kind == "protagonist" and source.of("profession"):
        return Edited(asked, replaced(source.text, source.of("profession")[0], value))
    return Edited(asked, Statement.draw(rng, kind).put(source, value, role))


def requested(rng: np.random.Generator) -> tuple[str, str]:
    """A request to put something in, and what; the text may have it already."""
    kind = choose(rng, tuple(_POOLS))
    value = choose(rng, _POOLS[kind])
    return _worded(choose(rng, INSERTIONS[kind].requests), value, choose(rng, words.PROFESSIONS)), value


def _from_lexicon(rng: np.random.Generator, *, vague: bool) -> tuple[str, str, str]:
    """A kind, a value and an edit in plot English that asks for it, or for a direction of which it is an outcome."""
    if vague:
        direction = choose(rng, tuple(directions().values()))
        # Mostly the first outcome: what is chosen evenly among many is chosen greedily by nobody.
        slot, value = direction.pairs[0] if rng.random() < 0.6 else choose(rng, direction.pairs)
        asked = render_edit(Change("vague", "", direction.name), rng)
    else:
        slot = choose(rng, tuple(_DIRECTED))
        value = choose(rng, values(slot))
        asked = render_edit(Change("add" if slot in SET_SLOTS else "set", slot, value), rng)
    return _DIRECTED[slot], surfaces()[slot, value], asked.removesuffix(".")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's template, and where it stands: "opening", "front", "second" (after the first sentence) or "end"."""

    template: str
    where: str

    @classmethod
    def draw(cls, rng: np.random.Generator, kind: str) -> Statement:
        """A statement of a kind (a key of `INSERTIONS`)."""
        form = INSERTIONS[kind]
        if form.openings and rng.random() < (0.65 if form.front else 0.1):
            return cls(choose(rng, form.openings), "opening")
        where = "front" if form.front else "end"
        return cls(choose(rng, form.sentences), "second" if rng.random() < 0.1 else where)

    def put(self, source: FreeText, value: str, role: str) -> str:
        """The text with the statement in it."""
        text, said = source.text, _worded(self.template, value, role)
        if self.where == "opening":
            return f"{said} {lowered(text)}"
        if self.where == "front":
            return f"{said} {text}"
        first, gap, rest = _after_first_sentence(text) if self.where == "second" else (text, "", "")
        return f"{first} {said}{gap}{rest}"


def _worded(template: str, value: str, role: str) -> str:
    return fill(template, {"value": value, "Value": capitalised(value), "role": role})


def _after_first_sentence(text: str) -> tuple[str, str, str]:
    first, gap, rest = text.partition(". ")
    return (f"{first}.", " ", rest) if gap else (text, "", "")


def lowered(text: str) -> str:
    """The text to stand after a clause: with a small first letter, unless it begins with a name or a place."""
    if _PROPER.match(text):
        return text
    return text[0].lower() + text[1:]


_PROPER: Final = re.compile(rf"(?:{'|'.join(map(re.escape, words.WOMEN + words.MEN + words.PLACES))})\b")


def _both(rng: np.random.Generator, first: Edited, second: Edited) -> Edited:
    """Two changes, one made after the other, in one request."""
    join = choose(rng, ("; ", " and ", ", and "))
    request = second.request[0].lower() + second.request[1:] if not _is_name(second.request) else second.request
    return Edited(f"{first.request}{join}{request}", second.text)


def _is_name(request: str) -> bool:
    return request.split()[0] in words.WOMEN + words.MEN


# Plot English -------------------------------------------------------------------------------------------------------


def grammar_pair(rng: np.random.Generator, texts: Sequence[str]) -> Example:
    """A description in plot English before and after an edit."""
    before, edit, after = _in_plot_english(rng)
    return Example(Prompt("rewrite", text=before, edit=edit), after)


def mixture(rng: np.random.Generator, texts: Sequence[str]) -> Example:
    """A free text with sentences in plot English before or after it, of which only these change."""
    before, edit, after = _in_plot_english(rng)
    text = free_text(rng, texts).text
    first = rng.random() < 0.5
    asked, answer = (f"{each} {text}" if first else f"{text} {each}" for each in (before, after))
    return Example(Prompt("rewrite", text=asked, edit=edit), answer)


def _in_plot_english(rng: np.random.Generator) -> tuple[str, str, str]:
    attributes = description(rng)
    edit = draw_edit(attributes, rng)
    layout = Layout.random(rng)
    after = apply(attributes, parse_edit(edit), rng, first_outcome=0.8)
    return render(attributes, layout=layout), edit, render(after, layout=layout)


def _example(rng: np.random.Generator, text: str, done: Edited) -> Example:
    return Example(Prompt("rewrite", text=text, edit=spoken(rng, done.request)), done.text)


def spoken(rng: np.random.Generator, request: str) -> str:
    """The request as people write it: mostly with a full stop, sometimes without, politely or in small letters."""
    request = capitalised(request)
    draw = rng.random()
    if draw < 0.8 or _is_name(request):
        return f"{request}."
    if draw < 0.9:
        return request
    if draw < 0.95 and _VERBS.match(request):
        return f"Please {request[0].lower()}{request[1:]}."
    return request[0].lower() + request[1:]


_VERBS: Final = re.compile(
    r"(?:Add|Blend|Bring|Call|Change|Drop|Explore|Find|Finish|Get|Give|Include|Leave|Let|Make|Mix|Move|Put|Remove|Rename|"
    r"Replace|Rewrite|Set|Swap|Take|Tell|Turn|Use|Work)\b"
)
_MAKERS: Final[Mapping[str, Callable[[np.random.Generator, Sequence[str]], Example]]] = MappingProxyType(
    {"swap": swap, "insertion": insertion, "grammar_pair": grammar_pair, "mixture": mixture}
)
