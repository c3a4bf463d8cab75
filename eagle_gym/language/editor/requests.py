# ruff: noqa: E501
"""How edits of free text are asked for, and what statements they put in: the tables behind `edits`.

`{old}` and `{new}` are what is replaced and what replaces it, `{value}` is what a statement says ("on a submarine",
"revenge"), `{a value}` the same with its article, `{role}` a profession, and `{lead}` the main character's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SWAPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "name": (
        "Change the name of {old} to {new}", "Rename {old} to {new}", "Call {old} {new}", "Replace {old} with {new}",
        "{old} should be called {new}", "Give {old} the name {new}", "Use the name {new} instead of {old}",
        "Let {old} be {new}", "Change {old} to {new}",
    ),
    "profession": (
        "Replace the {old} with {a new}", "Make the {old} {a new}", "Turn the {old} into {a new}", "Change {old} to {new}",
        "Instead of {a old} use {a new}", "The {old} should be {a new}", "Change the job of the {old} to {new}",
        "Swap the {old} for {a new}", "Let the {old} be {a new}", "Tell it about {a new} instead of {a old}",
        "It should be about {a new}, not {a old}",
    ),
    "place": (
        "Set it in {new}", "Move it from {old} to {new}", "Move the story to {new}", "Let it take place in {new}",
        "Replace {old} with {new}", "Change the place to {new}", "Change {old} to {new}", "Instead of {old} use {new}",
        "Move the action so that it unfolds in {new}", "It should happen in {new}", "Make it {new} instead of {old}",
    ),
    "time": (
        "Move it to {new}", "Set it in {new}", "Let it happen in {new}", "Change {old} to {new}", "Make it {new} instead of {old}",
        "Let it be from {new}", "It should take place in {new}", "Replace {old} with {new}", "Change the time to {new}",
    ),
    "object": (
        "Replace the {old} with {a new}", "Swap the {old} for {a new}", "Instead of {a old} use {a new}", "Change {old} to {new}",
        "Turn the {old} into {a new}", "Make it {a new} instead of {a old}", "Change the {old} to {a new}",
    ),
})  # fmt: skip
LEAD_SWAPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "name": ("Call the hero {new}", "The main character should be called {new}", "Give the hero the name {new}"),
    "profession": ("Make the hero {a new}", "Tell it about {a new}", "Put {a new} at its centre", "Make {lead} {a new}", "Let {lead} be {a new}"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Insertion:
    """What can be said about a slot.

    Attributes:
        requests: Templates that ask for a value.
        sentences: Sentences that state it; they take no part in what the rest says.
        openings: Clauses that a text can begin with.
        removals: Templates that ask to leave it out.
        exchanges: Templates that ask for a value instead of the one that is there; by default the requests.
        front: Whether a sentence stands before the text; otherwise after it.
    """

    requests: tuple[str, ...]
    sentences: tuple[str, ...]
    openings: tuple[str, ...] = ()
    removals: tuple[str, ...] = ("Remove the {value}", "Leave out the {value}", "Get rid of the {value}")
    exchanges: tuple[str, ...] = ()
    front: bool = False


EXCHANGES: Final = (
    "Replace the {old} with {a value}", "Swap the {old} for {a value}", "Instead of {a old} use {a value}", "Make it {a value} instead of {a old}",
    "Turn the {old} into {a value}", "Change the {old} to {a value}",
)  # fmt: skip

INSERTIONS: Final[Mapping[str, Insertion]] = MappingProxyType({
    "genre_film": Insertion(
        requests=("Make it {value}", "Turn it into {value}", "Make it {value} as well", "I want it to be {value}", "It should be {value}", "Let it become {value}", "Rewrite it as {value}"),
        sentences=("It is {value}.", "The film is {value}.", "This is {value}."),
        openings=("In {value},",),
        removals=("It should not be {value}", "Do not make it {value}"),
        exchanges=("Make it {value}", "Turn it into {value}", "Make it {value} instead", "It should be {value}, not {old}", "I want it to be {value}"),
        front=True,
    ),
    "genre": Insertion(
        requests=("Make it a {value} film", "Blend in {value}", "Mix it with {value}", "Make it more of a {value} film", "Make it a {value} story", "Turn the story into a {value} film"),
        sentences=("It is a {value} film.", "This is a {value} story.", "The film mixes in {value}."),
        openings=("In this {value} film,", "In this {value} story,"),
        removals=("Take {value} out of the mix", "Make it less of a {value} film"),
        exchanges=("Replace {old} with {value}", "Turn the {old} into {value}", "Make it a {value} film", "Make it {value} instead of {old}"),
        front=True,
    ),
    "decade": Insertion(
        requests=("Move it to the {value}", "Make it a {value} film", "Set it in the {value}", "Let it be from the {value}", "It should take place in the {value}", "Take it back to the {value}", "Set the story in the {value}"),
        sentences=("The film is set in the {value}.", "It takes place in the {value}.", "All of it happens in the {value}."),
        openings=("In the {value},", "Set in the {value}:"),
        removals=("Leave the decade open", "Do not say when it happens", "Remove the {value}"),
        front=True,
    ),
    "setting": Insertion(
        requests=("Set it {value}", "Let it take place {value}", "Move the action so that it unfolds {value}", "It should happen {value}", "Have it all happen {value}", "Move it so that it takes place {value}", "Put the story {value}"),
        sentences=("The story takes place {value}.", "It is set {value}.", "All of it happens {value}."),
        openings=("{Value},",),
        removals=("Leave the place open", "Drop the setting", "It should not take place {value}"),
        front=True,
    ),
    "place": Insertion(
        requests=("Set it in {value}", "Let it take place in {value}", "Move it to {value}", "Move the story to {value}", "It should happen in {value}", "Have it all happen in {value}"),
        sentences=("The story takes place in {value}.", "It is set in {value}.", "All of it happens in {value}."),
        openings=("In {value},",),
        removals=("Leave the place open", "Drop the setting", "It should not take place in {value}"),
        front=True,
    ),
    "tone": Insertion(
        requests=("Make the tone {value}", "Give it a {value} tone", "Tell it in a {value} way", "Make it {value}", "It should be {value}", "Let it feel {value}", "Make it more {value}"),
        sentences=("The tone is {value}.", "It is told in a {value} way.", "The mood is {value}."),
        openings=("In this {value} film,", "In this {value} story,"),
        removals=("Make it less {value}", "It should not be {value}", "Drop the tone"),
        exchanges=("Make it {value} rather than {old}", "Trade {old} for {value}", "Make the tone {value}", "Make it {value}", "It should be {value}"),
        front=True,
    ),
    "theme": Insertion(
        requests=("Explore {value}", "Make it deal with {value}", "Bring out the theme of {value}", "Make it about {value}", "It should also be about {value}", "Add the theme of {value}", "Let it be a story of {value}"),
        sentences=("At its heart it is a story about {value}.", "It is a film about {value}.", "It also deals with {value}.", "In the end it is all about {value}."),
        openings=("In this story of {value},",),
        removals=("Drop the theme of {value}", "Do not dwell on {value}", "It should not be about {value}"),
        exchanges=("Swap the theme of {old} for {value}", "Instead of {old} explore {value}", "Make it about {value}, not {old}", "Make it about {value} instead of {old}"),
    ),
    "object": Insertion(
        requests=("Add {a value}", "Work in {a value}", "Find room for {a value}", "Put {a value} in it", "Include {a value}", "There should be {a value} in it", "Bring {a value} into the story", "Let there be {a value}", "Give it {a value}"),
        sentences=("{A value} plays a part in it.", "There is also {a value}.", "Then {a value} changes everything.", "In the middle of it all is {a value}.", "Before long, {a value} turns up.", "And then there is {a value}.", "Everything turns on {a value}."),
        exchanges=EXCHANGES,
    ),
    "person": Insertion(
        requests=("Add {a value}", "Bring in {a value}", "Include {a value}", "Add {a value} to the story", "There should be {a value} in it", "Let {a value} help", "Give it {a value}"),
        sentences=("{A value} comes to help.", "{A value} joins the story.", "{A value} stands in the way.", "There is also {a value}.", "Then {a value} turns up."),
        exchanges=EXCHANGES,
    ),
    "protagonist": Insertion(
        requests=("Make the hero {a value}", "Tell it about {a value}", "Put {a value} at its centre", "The hero should be {a value}"),
        sentences=("The hero is {a value}.", "At its centre is {a value}."),
        removals=("Leave the hero open",),
        front=True,
    ),
    "named": Insertion(
        requests=("Add a character called {value}", "Bring in somebody named {value}", "Add {value}", "Let there be a {role} named {value}", "Include a {role} called {value}"),
        sentences=("{value}, {a role}, joins the story.", "{A role} named {value} comes to help.", "There is also {value}, {a role}."),
        removals=("Remove {value}", "Leave out {value}", "It should be told without {value}"),
        exchanges=("Rename {old} to {value}", "Replace {old} with {value}", "Call {old} {value}", "Change {old} to {value}"),
    ),
    "ending": Insertion(
        requests=("Let it end {value}", "Finish it {value}", "Make it end {value}", "Change the ending so that it closes {value}", "It should end {value}"),
        sentences=("It ends {value}.", "In the end, it closes {value}.", "The story ends {value}."),
        removals=("Leave the ending open", "Do not give away the ending", "It should not end {value}"),
    ),
    "goal": Insertion(
        requests=("The hero must {value}", "Make it about having to {value}", "Let the hero try to {value}", "Somebody should {value}"),
        sentences=("The task is to {value}.", "There is only one way out: to {value}.", "Now it is time to {value}."),
        removals=("Leave the goal open", "Nobody should have to {value}"),
    ),
    "antagonist": Insertion(
        requests=("Make the enemy {value}", "Bring in {value} as the threat", "Let the danger be {value}", "Add {value}", "The threat should be {value}"),
        sentences=("The enemy is {value}.", "The danger comes from {value}.", "Behind it all is {value}."),
        removals=("Remove the enemy", "Do it without a threat", "Leave out {value}"),
    ),
    "motif": Insertion(
        requests=("Add {value}", "Work in {value}", "Find room for {value}", "Include {value}", "Put in {value}"),
        sentences=("The film also has {value}.", "Part of it is {value}.", "And there is {value}."),
        removals=("Leave out {value}", "Get rid of {value}", "Remove {value}"),
    ),
    "style": Insertion(
        requests=("Make it more {value}", "Give it a {value} style", "Let it feel {value}", "Make it {value}"),
        sentences=("The film is {value}.", "Its style is {value}.", "It feels {value}."),
        removals=("Make it less {value}", "It should not be {value}"),
    ),
    "trait": Insertion(
        requests=("Make the hero {value}", "Give us a {value} hero", "Let the hero be {value}"),
        sentences=("The hero is {value}.", "The main character is {value}."),
        removals=("Make the hero ordinary", "The hero should not be {value}"),
    ),
})  # fmt: skip
