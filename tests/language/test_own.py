"""Language models of one's own, named by module and factory."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from eagle_gym.errors import ConfigurationError
from eagle_gym.language import load_language_model
from tests.fake_worlds import ScriptedModel


class Whole(ScriptedModel):
    def score(self, prompt: object, continuations: list[str]) -> list[float]:
        return [0.0 for _ in continuations]


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("mine")
    module.make = Whole  # type: ignore[attr-defined]
    module.wrong = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mine", module)
    return module


def test_a_factory_makes_the_model(mine: ModuleType) -> None:
    assert isinstance(load_language_model("python:mine:make"), Whole)
    metered = load_language_model("python:mine:make", max_calls=1)
    assert metered.fingerprint == "scripted"


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("python:mine", "expected the language model as 'module:factory'"),
        ("python:nowhere:make", "cannot be found"),
        ("python:mine:absent", "cannot be found"),
        ("python:mine:wrong", "to make a LanguageModel, got dict"),
        ("python:tests.fake_worlds:ScriptedModel", "got ScriptedModel: it needs"),
    ],
)
def test_what_is_no_factory_says_so(mine: ModuleType, spec: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        load_language_model(spec)
