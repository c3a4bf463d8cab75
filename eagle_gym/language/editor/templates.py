"""Templates of overviews, and what fills them in besides the words of `words`.

A field is `{profession}`, `{a profession}` ("a nurse", "an engineer") or `{A profession}` (at the beginning of a
sentence). `{he}`, `{his}` and `{him}` follow the main character; what ends in 2 is another of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


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
