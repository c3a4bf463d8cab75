"""Invented overviews of films: free texts of many shapes, with the words in them that have one clear sense.

A template is filled with words from `words`. `{a profession}` becomes "a nurse" or "an engineer", `{A profession}` the
same at the beginning of a sentence, and `{he}`, `{his}` and `{him}` follow the name that comes with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from eagle_gym.language.editor import words

T = TypeVar("T")

_FIELD: Final = re.compile(r"\{(?:([aA]) )?(\w+)\}")
_PRONOUNS: Final = {
    "woman": {"he": "she", "He": "She", "his": "her", "His": "Her", "him": "her"},
    "man": {"he": "he", "He": "He", "his": "his", "His": "His", "him": "him"},
}
KINDS: Final = ("name", "profession", "place", "time", "object")  # of mentions


@dataclass(frozen=True, slots=True)
class FreeText:
    """A free text, and what is mentioned in it.

    Attributes:
        text: One paragraph.
        mentions: Pairs of a kind (one of `KINDS`) and a word or phrase, which the text has in this spelling.
        lead: The main character's first name, or "".
    """

    text: str
    mentions: tuple[tuple[str, str], ...] = ()
    lead: str = ""

    def of(self, kind: str) -> tuple[str, ...]:
        """What is mentioned of a kind."""
        return tuple(value for each, value in self.mentions if each == kind)


def choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an"."""
    return f"{'an' if phrase[:1].lower() in 'aeio' or _IS_AN.match(phrase) else 'a'} {phrase}"


_IS_AN: Final = re.compile(r"(?:um|un(?!i)|up|hour|honest)", re.IGNORECASE)


def capitalised(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its fields filled in."""

    def field(match: re.Match[str]) -> str:
        value = values[match[2]]
        if match[1] is None:
            return value
        return capitalised(with_article(value)) if match[1] == "A" else with_article(value)

    return _FIELD.sub(field, template)


def overview(rng: np.random.Generator, longest: int = 70) -> FreeText:
    """An invented overview of one to five sentences.

    Args:
        rng: Draws it.
        longest: Words that it may have, if it has more than one sentence.
    """
    values = _values(rng)
    wanted = int(rng.choice(5, p=(0.1, 0.25, 0.35, 0.2, 0.1)))
    templates = [choose(rng, OPENINGS)]
    templates += [MIDDLES[int(place)] for place in rng.choice(len(MIDDLES), size=wanted, replace=False)]
    if wanted and rng.random() < 0.6:
        templates[-1] = choose(rng, CLOSINGS)
    written: list[str] = []
    for template in templates:
        sentence = capitalised(fill(fill(template, values), values))  # fillers have fields, too
        if written and len(" ".join([*written, sentence]).split()) > longest:
            break
        written.append(sentence)
    used = {match[2] for template in templates[: len(written)] for match in _FIELD.finditer(template)}
    mentions = [(key.rstrip("2"), values[key]) for key in values if key in used and key.rstrip("2") in KINDS]
    return FreeText(" ".join(written), tuple(mentions), values["name"] if "name" in used else "")


def _values(rng: np.random.Generator) -> dict[str, str]:
    """A value for every field."""
    kind = "woman" if rng.random() < 0.5 else "man"
    names = [str(name) for name in rng.choice(words.WOMEN if kind == "woman" else words.MEN, size=2, replace=False)]
    other = choose(rng, words.MEN if kind == "woman" else words.WOMEN)
    professions = [str(each) for each in rng.choice(words.PROFESSIONS, size=2, replace=False)]
    places = [str(each) for each in rng.choice(words.PLACES, size=2, replace=False)]
    time = str(rng.integers(1910, 2020)) if rng.random() < 0.5 else f"the {choose(rng, words.DECADES)}"
    fillers = {key: choose(rng, options) for key, options in FILLERS.items()}
    return {
        "name": names[0],
        "name2": other if rng.random() < 0.6 else names[1],
        "profession": professions[0],
        "profession2": professions[1],
        "place": places[0],
        "place2": places[1],
        "time": time,
        "object": choose(rng, words.THINGS),
        "surname": choose(rng, words.SURNAMES),
        **_PRONOUNS[kind],
        **fillers,
    }


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


FILLERS: Final[Mapping[str, tuple[str, ...]]] = {
    "trait": _lines("""
        young
        lonely
        stubborn
        shy
        widowed
        ambitious
        retired
        disgraced
        brilliant
        restless
        quiet
        reckless
        struggling
        proud
        kind-hearted
        cynical
        middle-aged
        homesick
        talented
        clumsy
    """),
    "relative": _lines("""
        sister
        brother
        father
        mother
        daughter
        son
        cousin
        uncle
        aunt
        best friend
        neighbour
        old flame
        former boss
        roommate
    """),
    "goal": _lines("""
        find out what happened that night
        save the family home
        win back the trust of the town
        pay off an old debt
        start a new life
        get the money back
        keep a promise
        clear an innocent man
        bring the family together
        finish what was begun years ago
        escape before winter
        hide the truth from everyone
        learn to trust again
        win the prize
        find a way home
        make peace with the past
        prove that the official story is wrong
        survive until help arrives
    """),
    "trouble": _lines("""
        an old enemy returns
        the money disappears
        a stranger moves in next door
        the river floods the valley
        a body is found in the lake
        war breaks out
        the bank wants its loan back
        a rumour spreads through the town
        the only witness vanishes
        the plan goes badly wrong
        a letter arrives from the past
        the power fails across the whole district
        somebody begins to follow them
        the wedding is called off
        an accident changes the rules
        the past catches up with everyone
    """),
    "event": _lines("""
        the death of {his} father
        a failed marriage
        a terrible accident
        a long illness
        the end of the war
        a quarrel with {his} family
        ten years abroad
        a night of drinking
        losing everything in a fire
        a chance meeting at the station
        a bitter trial
        being fired without warning
    """),
    "feeling": _lines("""
        fear
        relief
        anger
        wonder
        regret
        envy
        tenderness
        suspicion
        shame
        delight
    """),
    "group": _lines("""
        the neighbours
        the local police
        the whole family
        a gang of smugglers
        the other guests
        the town council
        a group of strangers
        the survivors
        two clumsy criminals
        the rest of the crew
        a wealthy family
        the villagers
    """),
    "when": _lines("""
        One summer
        That same night
        A week later
        Years later
        By the next morning
        On the last day of school
        During a heatwave
        After the funeral
        Before the year is out
        Over the holidays
    """),
}

OPENINGS: Final = _lines("""
    {name}, {a profession} in {place}, wants to {goal}.
    {A trait} {profession} named {name} moves to {place} to {goal}.
    In {time}, {a profession} from {place} discovers {a object}.
    {name} {surname} is {a trait} {profession} who dreams of leaving {place}.
    When {trouble}, {name}, {a trait} {profession}, has to {goal}.
    After {event}, {name} returns to {place}, where {he} once worked as {a profession}.
    {A profession} and {a profession2} meet by chance in {place}.
    Set in {time}, the film follows {name}, {a profession} whose life changes when {trouble}.
    Nobody in {place} believes {a trait} {profession} who claims to have seen {a object}.
    {name} has worked as {a profession} in {place} for as long as anyone can remember.
    In {place}, {name} and {his} {relative} try to {goal}.
    {place}, {time}: {a profession} named {name} finds {a object} and tells no one.
    As {a profession}, {name} has seen everything, until {trouble}.
    {name}'s quiet life as {a profession} ends when {trouble}.
    Two strangers, {a profession} named {name} and {a profession2} named {name2}, share a house in {place}.
    The story of {name}, {a trait} {profession} who leaves {place} for {place2} in {time}.
    {A profession} is hired to look after {a object} in {place}.
    {name} never wanted to be {a profession}.
    During {time}, {group} in {place} hide {a profession} who knows too much.
    Having lost everything, {name} takes a job as {a profession} in {place}.
    It is {time} in {place}, and {name} is about to {goal}.
    {A trait} {profession}, {his} {relative} and {a object} are stuck together in {place}.
    What would you do if {a object} could change your life? For {name}, {a profession} in {place}, the question is real.
    Once a famous {profession}, {name} now lives alone in {place}.
    {name} falls in love with {name2}, {a profession} from {place}.
    {name} and {name2} grow up together in {place}, but {trouble} and they lose touch.
    {when}, {a trait} {profession} arrives in {place} with nothing but {a object}.
    A film about {a profession}, {a profession2} and the secret that they share.
    {group} in {place} are shaken when {name}, {a trait} {profession}, disappears.
    From {place} to {place2}, {name} searches for {his} {relative}.
    {name} inherits {a object} from {his} {relative}, {a profession} in {place}.
    Everyone knows {name}, the {trait} {profession} of {place}.
""")

MIDDLES: Final = _lines("""
    But when {trouble}, everything changes.
    With the help of {name2}, {a profession2}, {he} sets out to {goal}.
    {when}, {trouble}.
    {name2}, {his} {relative}, has other plans.
    {His} only clue is {a object} that nobody else has noticed.
    Meanwhile, {group} begin to ask questions.
    {He} soon learns that {his} {relative} has been lying about {place2}.
    Together they travel to {place2}, where {a profession2} is waiting for them.
    At first {he} feels nothing but {feeling}.
    {A profession2} offers to help, for a price.
    What begins as a joke turns into a fight for survival.
    {when}, {he} meets {a profession2} who seems to know all about {him}.
    Then {a object} is stolen, and {group} suspect each other.
    {name2} wants the {object} for reasons of {his} own.
    Little does {he} know that {group} are already on the way.
    The two become friends, although neither of them will admit it.
    {His} {relative} warns {him} to stay away, but {he} does not listen.
    The trail leads to {place2} and to a crime from {time}.
    {He} has three days to {goal}.
    Only {a trait} {profession2} stands by {him}.
    There {he} finds {a object} and, with it, the truth about {his} {relative}.
    To {goal}, {he} must face {group}.
    In {place2}, however, nobody wants to talk about {time}.
    Soon {he} is torn between {his} {relative} and {name2}.
    A bitter rivalry begins between {him} and {a profession2} named {name2}.
    The longer {he} stays, the less {he} understands.
    Unable to {goal}, {he} turns to {name2}.
    {group} want to see {him} fail.
    It does not help that {his} {relative} is {a profession2}.
    {name2} teaches {him} to {goal}.
""")

CLOSINGS: Final = _lines("""
    In the end, {he} has to choose between {his} {relative} and the truth.
    But is it too late to {goal}?
    Nothing in {place} will ever be the same.
    {His} journey ends where it began.
    Only one of them will leave {place2}.
    As the net tightens, {he} learns what {feeling} really means.
    Based on a true story from {time}.
    And all because of {a object}.
    To {goal}, {he} will have to become someone else.
    No one is prepared for what happens next.
    A last meeting in {place2} decides everything.
    {name} must decide whom to believe before {group} find out.
    Neither {name} nor {name2} is ready for the answer.
    Slowly, {feeling} gives way to something like love.
    It will take more than {a object} to set things right.
""")


def mentions_in(text: str) -> FreeText:
    """A text that somebody else wrote, with the words of `words` that stand in it."""
    found: list[tuple[str, str]] = []
    for kind, pattern in _PATTERNS.items():
        found += [(kind, match) for match in dict.fromkeys(pattern.findall(text))]
    names = [value for kind, value in found if kind == "name"]
    return FreeText(text, tuple(found), names[0] if names else "")


def _any_of(options: Sequence[str]) -> re.Pattern[str]:
    alternatives = "|".join(map(re.escape, sorted(options, key=len, reverse=True)))
    return re.compile(rf"(?<![\w-])(?:{alternatives})(?![\w-])")


_PATTERNS: Final = {
    "name": _any_of(words.WOMEN + words.MEN),
    "profession": _any_of(words.PROFESSIONS),
    "place": _any_of(words.PLACES),
    "time": re.compile(r"(?<=[Ii]n )(?:the )?(?:19|20)\d\d(?:s\b|\b)(?!-)"),
    "object": _any_of([each for each in words.THINGS if " " in each]),
}
