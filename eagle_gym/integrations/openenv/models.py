"""What client and server of OpenEnv send each other."""

from __future__ import annotations

from openenv.core.env_server.types import Action, Observation, State
from pydantic import Field


class EagleAction(Action):
    """A chat model's answer."""

    answer: int | str = Field(description="The number of an edit, or the words in which a chat model names one")


class EagleObservation(Observation):
    """What the agent reads, and what became of its last answer."""

    text: str = Field(description="The text observation: user, text and numbered edits, or why an answer had no effect")
    edits: dict[int, str] = Field(default_factory=dict, description="The edits on offer, by number")
    edit: str = Field(default="", description="The edit that was applied; empty if the answer named none")
    valid: bool = Field(default=True, description="Whether an edit was applied and the text is a proper rewrite")
    gains: dict[str, float] = Field(default_factory=dict, description="The gain of each part of the utility, by name")


class EagleState(State):
    """The state of a session's episode."""

    seed: int | None = Field(default=None, description="The seed of the episode, if it was given")
    current: str = Field(default="", description="The text")
    user_id: str = Field(default="", description="The user's id in the catalog; empty if the taste is hidden")
    utility: dict[str, float] = Field(default_factory=dict, description="The utility of the text, with its parts")
