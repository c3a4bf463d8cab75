"""A language model as a policy: each edit is scored as if it were the only one, in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.language import ROWS, LanguagePolicy, ParsedObservation, read_text, read_texts
from baselines.networks import MASKED
from eagle_gym.envs import transition
from eagle_gym.envs.observation import observe_text
from eagle_gym.errors import ConfigurationError
from eagle_gym.language import Prompt, load_language_model
from tests.fake_worlds import make_tiny_world
from tests.language.tiny import write_llama, write_tokenizer

READING = ParsedObservation(
    "A dark comedy set in Paris.", "likes robots", 0.4, ("Add a robot.", "", "Set it in the 1980s.", "Make it darker.")
)


@pytest.fixture(scope="module", params=["control", "plain"])
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp(request.param)
    with torch.random.fork_rng(devices=[]):
        write_llama(folder, max_position_embeddings=512)
    write_tokenizer(folder, control=request.param == "control")
    return f"transformers:{folder}"


def make_policy(spec: str, score: str = "head", **arguments: object) -> LanguagePolicy:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = LanguagePolicy(spec, score=score, **arguments).eval()
        for part in ("score_head", "value_head"):
            if hasattr(policy, part):
                torch.nn.init.normal_(getattr(policy, part)[-1].weight)  # it begins at 0
    return policy


def judge(policy: LanguagePolicy, *readings: ParsedObservation) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        scores, values = policy(policy.pack(readings))
    return scores.numpy(), values.numpy()


def test_observations_are_read_as_they_are_written() -> None:
    world = make_tiny_world()
    starts = [transition.sample_start(world, np.random.default_rng(seed)) for seed in range(3)]
    states = transition.make_states(world, starts)
    for reading, state in zip(read_texts([observe_text(world, s) for s in states], 6), states, strict=True):
        assert reading.text == state.text
        assert reading.profile == world.resources.profile(state.user)
        assert reading.edits == state.action_set.edits
        assert reading.time == 0


def test_texts_of_several_lines_and_missing_actions() -> None:
    told = "User: likes\nText: one\nStep 9 of 9.\ntwo\nStep 2 of 5.\nEdits:\n0. a\n2. c 3. d"
    assert read_text(told, 4) == ParsedObservation("one\nStep 9 of 9.\ntwo", "likes", 0.4, ("a", "", "c 3. d", ""))


def test_other_observations_are_refused() -> None:
    for wrong in ({"state": np.zeros(2)}, 3, np.zeros(3)):
        with pytest.raises(ConfigurationError, match='observation="text"'):
            read_texts(wrong, 4)
    with pytest.raises(ConfigurationError, match="expected a text observation"):
        read_texts(["once upon a time"], 4)
    with pytest.raises(ConfigurationError, match="expected K = 2 actions, as in training, got an action 2"):
        read_texts("User: r\nText: t\nStep 0 of 5.\nEdits:\n0. a\n2. c", 2)


@pytest.mark.parametrize("score", ["head", "likelihood"])
def test_each_edit_is_scored_as_if_it_were_the_only_one(spec: str, score: str) -> None:
    policy = make_policy(spec, score)
    together, _ = judge(policy, READING)
    for place in (0, 2, 3):
        edits = tuple(edit if k == place else "" for k, edit in enumerate(READING.edits))
        single, _ = judge(policy, ParsedObservation(READING.text, READING.profile, READING.time, edits))
        np.testing.assert_allclose(together[0, place], single[0, place], rtol=1e-4, atol=1e-4)
    assert together[0, 1] == MASKED
    assert np.ptp(together[0, [0, 2, 3]]) > 1e-3


@pytest.mark.parametrize("score", ["head", "likelihood"])
def test_the_order_of_edits_does_not_matter(spec: str, score: str) -> None:
    policy, order = make_policy(spec, score), [2, 3, 0, 1]
    moved = ParsedObservation(READING.text, READING.profile, READING.time, tuple(READING.edits[k] for k in order))
    scores, value = judge(policy, READING)
    other_scores, other_value = judge(policy, moved)
    np.testing.assert_allclose(other_scores, scores[:, order], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(other_value, value, rtol=1e-4)


def test_a_row_does_not_depend_on_its_batch(spec: str) -> None:
    policy = make_policy(spec)
    long = ParsedObservation(READING.text * 3, READING.profile, 0.0, READING.edits)
    scores, values = judge(policy, READING, long)
    single, value = judge(policy, READING)
    np.testing.assert_allclose(scores[:1], single, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(values[:1], value, rtol=1e-4)


def test_a_shared_prefix_is_read_as_whole_sequences_are(spec: str) -> None:
    policy = make_policy(spec)
    (packed,) = policy.pack([READING]).packed
    prefix, edits = policy._row(READING)
    seen = []
    policy.score_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        policy(policy.pack([READING]))
        for place in (0, 2, 3):
            whole = policy.model.base_model(input_ids=torch.tensor([[*prefix, *edits[place]]])).last_hidden_state[0]
            width = whole.shape[-1]
            np.testing.assert_allclose(seen[0][0, place, :width], whole[-1], rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(
                seen[0][0, place, width : 2 * width], whole[len(prefix) - 1], rtol=1e-4, atol=1e-4
            )
    assert (packed.segments >= 0).sum() == len(prefix) + sum(map(len, edits)), "the prefix is there once"


def many() -> list[ParsedObservation]:
    """More observations than go through the model together, longer and shorter ones in turn."""
    parts = ("text", "profile", "time", "edits")
    kept = {name: getattr(READING, name) for name in parts}
    return [ParsedObservation(**kept | {"text": READING.text * (1 + i % 3), "time": i / 64}) for i in range(ROWS + 5)]


def test_a_batch_in_parts_is_read_as_its_rows_are(spec: str) -> None:
    policy, readings = make_policy(spec), many()
    parts = policy.pack(readings).packed
    assert len(parts) == 2
    assert parts[0].tokens.shape[1] < parts[1].tokens.shape[1], "short rows are not padded to the longest"
    scores, values = judge(policy, *readings)
    for i, reading in enumerate(readings):
        single, value = judge(policy, reading)
        np.testing.assert_allclose(scores[i], single[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(values[i], value[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("score", ["head", "likelihood"])
def test_bfloat16_is_near_float32(spec: str, score: str) -> None:
    exact, rounded = make_policy(spec, score), make_policy(spec, score, precision="bfloat16")
    rounded.restore(exact.trained())
    scores, values = judge(exact, READING)
    near, near_values = judge(rounded, READING)
    assert (near.dtype, near_values.dtype) == (np.float32, np.float32)
    assert 0 < np.abs(near - scores).max() < 0.05 * (1 + np.abs(scores[0, [0, 2, 3]]).max())
    np.testing.assert_allclose(near_values, values, rtol=0.05, atol=0.05)


def test_bfloat16_keeps_attention_in_32_bits(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, kinds = make_policy(spec, precision="bfloat16"), []
    attend = torch.nn.functional.scaled_dot_product_attention

    def watched(query: torch.Tensor, *given: object, **more: object) -> torch.Tensor:
        kinds.append(query.dtype)
        return attend(query, *given, **more)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    policy(policy.pack([READING]))[0][0, 0].backward()
    assert set(kinds) == {torch.float32}
    assert all(weight.grad is None or weight.grad.dtype == torch.float32 for weight in policy.parameters())


def test_likelihoods_are_those_of_the_language_model(spec: str) -> None:
    source = load_language_model(spec)
    prompt = Prompt("propose", text=READING.text, profile=READING.profile)
    expected = source.score(prompt, [READING.edits[k] for k in (0, 2, 3)])
    scores, _ = judge(make_policy(spec, "likelihood"), READING)
    np.testing.assert_allclose(scores[0, [0, 2, 3]], expected, rtol=1e-3)
    source.close()


def test_every_part_of_a_state_counts(spec: str) -> None:
    policy = make_policy(spec)
    scores, _ = judge(policy, READING)
    for change in ({"text": "A western."}, {"profile": "likes spies"}, {"time": 0.8}):
        parts = {name: getattr(READING, name) for name in ("text", "profile", "time", "edits")} | change
        assert np.abs(judge(policy, ParsedObservation(**parts))[0] - scores)[0, 0] > 1e-4, change


def test_policies_begin_uniform_and_are_trained_as_a_whole(spec: str) -> None:
    policy = LanguagePolicy(spec)
    scores, _ = policy(policy.pack([READING, READING]))
    assert scores[:, [0, 2, 3]].detach().std() == 0
    (-torch.log_softmax(scores, dim=-1)[:, 0].sum() + scores[0, 0]).backward()
    moved = {name for name, weight in policy.named_parameters() if weight.grad is not None}
    assert "score_head.3.weight" in moved


def test_values_do_not_move_the_policy(spec: str) -> None:
    policy = make_policy(spec)
    policy(policy.pack([READING]))[1].sum().backward()
    moved = {name.split(".")[0] for name, weight in policy.named_parameters() if weight.grad is not None}
    assert moved == {"value_head"}


def test_lora_trains_only_adapters_and_heads(spec: str) -> None:
    policy = make_policy(spec, lora_rank=2)
    kinds = {"lora" if "lora_" in name else name.split(".")[0] for name in policy.trained()}
    assert kinds == {"lora", "score_head", "value_head"}
    other = make_policy(spec, lora_rank=2)
    with torch.no_grad():
        for weight in policy.trained().values():
            weight.add_(0.1)
    assert np.abs(judge(policy, READING)[0] - judge(other, READING)[0])[0, 0] > 1e-3
    other.restore(policy.trained())
    np.testing.assert_array_equal(judge(policy, READING)[0], judge(other, READING)[0])
    with pytest.raises(RuntimeError, match="missing or unknown"):
        make_policy(spec).restore(policy.trained())


def test_models_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text("")
    with pytest.raises(ConfigurationError, match="weights of its own"):
        LanguagePolicy("openai:model@http://localhost:1/v1")
