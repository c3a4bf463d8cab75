from __future__ import annotations

from pathlib import Path

import pytest

from eagle_gym.errors import ConfigurationError, LanguageModelError
from eagle_gym.language import Prompt, load_language_model
from eagle_gym.language.metering import Limits, MeteredModel
from eagle_gym.language.replay import RecordedModel
from eagle_gym.language.rewriting import rewrite
from tests import fake_worlds
from tests.language.tiny import ScriptedModel

PROMPT = Prompt("rewrite", "A film.", "add a robot")


def metered(**limits: float) -> tuple[MeteredModel, ScriptedModel]:
    inner = ScriptedModel()
    return MeteredModel(inner, Limits(**limits)), inner


def ask(model: MeteredModel, count: int) -> None:
    model.generate([PROMPT] * count, range(count))


def test_a_batch_that_would_pass_max_calls_is_not_asked():
    model, inner = metered(max_calls=5)
    ask(model, 3)
    with pytest.raises(LanguageModelError, match="max_calls=5 allows no 3 more calls after 3"):
        ask(model, 3)
    ask(model, 2)
    assert len(inner.asked) == 5


def test_a_used_up_token_budget_stops_the_next_batch():
    model, inner = metered(max_tokens=40)
    ask(model, 3)  # 45 tokens
    with pytest.raises(LanguageModelError, match=r"max_tokens=40 is used up \(45 tokens\)"):
        ask(model, 1)
    assert len(inner.asked) == 3


def test_costs_are_counted_and_stop():
    model, _ = metered(max_cost=0.02, prompt_price=1000.0, completion_price=2000.0)
    ask(model, 1)
    assert model.usage.cost == pytest.approx((10 * 1000 + 5 * 2000) / 1e6)
    with pytest.raises(LanguageModelError, match=r"max_cost=0.02 is used up \(\$0.0200\)"):
        ask(model, 1)


def test_scores_count_as_calls():
    model, _ = metered(max_calls=2)
    assert len(model.score(PROMPT, ["a", "b"])) == 2
    with pytest.raises(LanguageModelError, match="max_calls"):
        model.score(PROMPT, ["a"])


def test_spending_is_charged_where_a_call_fails(monkeypatch: pytest.MonkeyPatch):
    model, inner = metered(prompt_price=100.0)

    def fail(prompts, seeds, *, temperature=1.0):
        inner.usage.prompt_tokens += 50
        raise LanguageModelError("cut off")

    monkeypatch.setattr(inner, "generate", fail)
    with pytest.raises(LanguageModelError, match="cut off"):
        ask(model, 1)
    assert model.usage.cost == pytest.approx(50 * 100 / 1e6)


def test_rows_that_are_drawn_again_are_within_the_budget(control_folder: Path):
    model = load_language_model(f"transformers:{control_folder}", max_new_tokens=1, max_calls=10)
    with pytest.raises(LanguageModelError, match="max_calls=10 allows no 8 more calls after 8"):
        model.generate([PROMPT] * 8, range(8))  # all are cut off
    assert (model.usage.calls, model.usage.retries) == (8, 0)


def test_answers_in_a_recording_need_no_budget(tmp_path: Path):
    """Rewrites that left plot English are drawn again; where the recording has those draws, too, nothing is asked."""
    text = "A brutal drama and musical picture of the 2000s, set in ancient times."
    prompts, path = [Prompt("rewrite", text, "Move it to the 1990s.")] * 8, tmp_path / "calls.jsonl"
    first = RecordedModel(fake_worlds.ScriptedModel(garble=0.5), path)
    texts = rewrite(first, prompts, range(8), temperature=1.0)
    assert first.usage.retries > 0
    inner = fake_worlds.ScriptedModel(garble=0.5)
    again = RecordedModel(MeteredModel(inner, Limits(max_calls=0)), path)
    assert rewrite(again, prompts, range(8), temperature=1.0) == texts
    assert inner.batches == []


def test_the_price_of_a_first_draw_stops_the_second(control_folder: Path):
    spec = f"transformers:{control_folder}"
    model = load_language_model(spec, max_new_tokens=1, max_cost=1e-9, prompt_price=1.0)
    with pytest.raises(LanguageModelError, match="max_cost=1e-09 is used up"):
        model.generate([PROMPT] * 8, range(8))
    assert model.usage.calls == 8
    assert model.usage.cost == pytest.approx(model.usage.prompt_tokens / 1e6)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_calls": -1}, "max_calls"),
        ({"prompt_price": float("nan")}, "prompt_price"),
        ({"max_cost": 1.0}, "prices?"),
    ],
)
def test_impossible_limits_are_refused(limits: dict, message: str):
    with pytest.raises(ConfigurationError, match=message):
        Limits(**limits)


def test_a_model_elsewhere_has_no_weights_to_load():
    model, inner = metered(max_calls=1)
    with pytest.raises(ConfigurationError, match="not in this process"):
        model.load()
    model.close()
    assert inner.closed
