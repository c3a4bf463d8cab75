"""CoLA learns codes, a policy and a task whose answer is known; it resumes; its checkpoints are checked."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from baselines import registry
from baselines.cola import CoLAAgent, CoLAConfig, make_agent, train
from baselines.cola.grpo import GRPO, make_actor
from baselines.cola.mcts import DoubleQ, Node, Steps, steps_of, td_errors
from baselines.cola.pairs import IGNORED, Answers, Stream, draw_pairs
from baselines.cola.stages import Learning, Updater, policy_loss, stages, straight_through
from baselines.cola.turns import Rewrite, Turn, by_codes, by_tokens, first_states, gains, is_followed, rewrites
from baselines.evaluate import evaluate
from baselines.run import TrainingLog
from baselines.worlds import fresh_seeds
from eagle_gym.envs.vector import EagleVectorEnv
from eagle_gym.errors import ConfigurationError, LanguageModelError, PreparationError
from eagle_gym.language.codes import ByCodes, CodeSettings, Written, make_codes, write
from eagle_gym.language.codes.networks import CodeHead
from eagle_gym.language.embedded import weights_path
from eagle_gym.language.rewriting import ATTEMPTS
from tests.fake_worlds import make_tiny_world

TINY: dict[str, Any] = {
    "codes": 4, "pairs": 12, "batch_size": 6, "dynamics_steps": 2, "policy_steps": 2, "rl_steps": 1, "prompts": 1,
    "group_size": 2, "max_tokens": 16,
}  # fmt: skip


@pytest.fixture
def envs() -> Iterator[gym.vector.VectorEnv]:
    made = EagleVectorEnv.from_world(make_tiny_world(horizon=1), 2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def agent() -> CoLAAgent:
    """An untrained agent, which no test changes."""
    return make_agent(CoLAConfig(**TINY))


def answers(tokens: list[list[int]], width: int, seed: int = 0) -> Answers:
    """Answers with random hidden states that name the last token."""
    rng = torch.Generator().manual_seed(seed)
    table = torch.randn((8, width), generator=rng)
    longest = max(map(len, tokens))
    padded = torch.tensor([row + [IGNORED] * (longest - len(row)) for row in tokens])
    hidden = torch.zeros(len(tokens), longest + 1, width)
    hidden[:, 1:] = table[padded.clamp_min(0)]
    return Answers(hidden, padded)


def test_stage_1_lets_a_code_say_what_the_hidden_state_does_not(agent: CoLAAgent) -> None:
    """The next token is a coin flip: without codes ln 2 nats are lost, with codes almost none."""
    config = replace(agent.config, gumbel_temperature=1.0)
    learning = make_agent(config).learning
    rng = np.random.default_rng(0)
    batch = answers(rng.integers(2, 4, (16, 4)).tolist(), learning.model.width)
    past = torch.zeros_like(batch.hidden[:, :-1])  # it says nothing
    weights = [*learning.inverse.parameters(), *learning.model.codebook.parameters()]
    optimizer = torch.optim.AdamW([*weights, *learning.model.world.parameters()], lr=1e-3)
    for step in range(30):
        chosen = straight_through(learning.inferred(batch), config, step)
        logits = learning.model.next_logits(past, chosen)[..., 2:4]
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch.tokens - 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.35 < np.log(2)
    codes = learning.decided(batch)
    assert not set(codes[batch.tokens == 2].tolist()) & set(codes[batch.tokens == 3].tolist())


def test_straight_through_codes_are_one_hot_and_held(agent: CoLAAgent) -> None:
    scores = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0)).repeat_interleave(1, 1)
    held = straight_through(scores[:, :1].expand(-1, 7, -1), replace(agent.config, every=3), 0)
    assert set(held.detach().round().unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(held[:, :3], held[:, :1].expand(-1, 3, -1))
    torch.testing.assert_close(held.sum(-1), torch.ones(3, 7))


def test_a_code_that_holds_is_inferred_at_the_end_of_its_span(agent: CoLAAgent) -> None:
    learning = Learning(replace(agent.config, every=3), agent.model)
    batch = answers([[2, 3, 2, 3, 2], [3, 2]], agent.model.width)
    scores, plain = learning.inferred(batch), learning.inverse(batch.hidden[:, 1:])
    torch.testing.assert_close(scores[0, :3], plain[0, 2].expand(3, -1))
    torch.testing.assert_close(scores[0, 3:], plain[0, 4].expand(2, -1))
    torch.testing.assert_close(scores[1, 0], plain[1, 1])
    assert learning.starts(batch).tolist() == [[True, False, False, True, False], [True, False, False, False, False]]


def test_stage_2_imitates_the_inverse_dynamics_model(agent: CoLAAgent) -> None:
    learning = make_agent(agent.config).learning
    stream = Stream(learning.model, draw_pairs(learning.model.format, 8, 0))
    batch = stream.batch(range(8))
    optimizer = torch.optim.AdamW(learning.model.policy.parameters(), lr=3e-3)
    first = policy_loss(learning, batch, batch)[0].item()
    for _ in range(25):
        loss, facts = policy_loss(learning, batch, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.6 * first
    assert facts["accuracy"] > 0.6


def test_stage_3_tunes_the_base_model_only(agent: CoLAAgent) -> None:
    learning = make_agent(replace(agent.config, guidance_steps=1)).learning
    stream = Stream(learning.model, draw_pairs(learning.model.format, 6, 0))
    before = {name: weight.clone() for name, weight in learning.named_parameters()}
    (stage,) = [stage for stage in stages(learning, stream) if stage.name == "guidance"]
    Updater(stage, 1.0, Accelerator(cpu=True))(0)
    changed = {name for name, weight in learning.named_parameters() if not torch.equal(weight, before[name])}
    assert changed
    assert all(name.startswith("model.base.") for name in changed)


def test_rows_draw_on_their_own(agent: CoLAAgent) -> None:
    model, texts = agent.model, ["A dark drama. It features dogs.", "A funny comedy."]
    profiles = ["Enjoys cats.", ""]
    for make in (by_codes, by_tokens):
        acts = model if make is by_codes else model.base
        both = rewrites(model.base, model.format, texts, profiles, make(acts, [3, 4], 40, 1.0), 40)
        for row in range(2):
            chooser = make(acts, [3 + row], 40, 1.0)
            (own,) = rewrites(model.base, model.format, texts[row : row + 1], profiles[row : row + 1], chooser, 40)
            assert (own.edit, own.text) == (both[row].edit, both[row].text)


def test_the_log_probabilities_of_the_start_are_those_of_writing(agent: CoLAAgent, envs: Any) -> None:
    for acts in ("codes", "tokens"):
        config = replace(agent.config, acts=acts)
        grpo = GRPO(config, envs.world, make_actor(config, make_agent(config).model), Accelerator(cpu=True))
        group = grpo.draw(np.random.default_rng(0))
        (part,) = grpo.parts(group)
        torch.testing.assert_close(part.old, part.start)
        assert part.chosen.sum() == sum(len(turn.written.tokens) for row in group.rewrites for turn in row.turns)
        assert (part.old[part.chosen] <= 0).all()
        np.testing.assert_array_equal(grpo.divergences([part], 2), 0.0)


@pytest.mark.parametrize("acts", ["codes", "tokens"])
def test_grpo_pushes_towards_what_pays(agent: CoLAAgent, envs: Any, acts: str) -> None:
    """What gained more than the group becomes likelier, what gained less unlikelier."""
    config = replace(agent.config, acts=acts, rl_learning_rate=1e-3, group_size=4)
    learnt = make_agent(config)
    grpo = GRPO(config, envs.world, make_actor(config, learnt.model), Accelerator(cpu=True))
    group = grpo.draw(np.random.default_rng(1))
    parts = grpo.parts(group)
    pay = np.array([1.0, -1.0, 1.0, -1.0])
    grpo._step(parts, grpo.advantages(pay))
    moved = np.zeros(4)
    for part in parts:
        with torch.no_grad():
            new, _ = grpo.actor.log_probabilities(part.turns)
        np.add.at(moved, part.rows, ((new - part.old) * part.chosen).sum(dim=1).numpy())
    assert moved @ pay > 0


def test_advantages_by_hand(envs: Any, agent: CoLAAgent) -> None:
    config = replace(agent.config, group_size=2)
    grpo = GRPO(config, envs.world, make_actor(config, agent.model), Accelerator(cpu=True))
    found = grpo.advantages(np.array([1.0, 3.0, 5.0, 5.0]))
    np.testing.assert_allclose(found, [-1.0, 1.0, 0.0, 0.0], atol=1e-3)


def test_a_rewrite_that_is_cut_off_gains_nothing(agent: CoLAAgent, envs: Any) -> None:
    model = agent.model
    states = first_states(envs.world, 3, np.random.default_rng(0))
    texts = [state.text for state in states]
    cut = rewrites(model.base, model.format, texts, [""] * 3, by_tokens(model.base, [1, 2, 3], 3, 1.0), 3)
    assert not any(row.parses or is_followed(text, row) for text, row in zip(texts, cut, strict=True))
    assert (gains(envs.world, states, cut) <= 1e-9).all()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("acts", ["codes", "tokens"])
def test_what_does_not_parse_is_drawn_again_as_in_environments(
    agent: CoLAAgent, envs: Any, acts: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CoLAAgent(agent.learning, replace(agent.config, acts=acts, temperature=temperature))
    writer.bind(envs)
    envs.reset(seed=0)
    (first, second), drawn = envs.states, []
    turns = (Turn([1, 2], Written([3], True, np.array([0]), torch.zeros(1, 1), 1)),) * 2

    def scripted(base: Any, form: Any, texts: list[str], *_: Any) -> list[Rewrite]:
        drawn.append(texts)
        parses = [text == first.text and len(drawn) == 3 for text in texts]
        return [
            Rewrite("an edit", text if good else "no plot", turns, good)
            for text, good in zip(texts, parses, strict=True)
        ]

    monkeypatch.setattr("baselines.cola.agent.rewrites", scripted)
    before = writer.world.model.usage.snapshot()
    one, other = (path.states[-1] for path in writer.write([first, second]))
    used = writer.world.model.usage.snapshot() - before
    if temperature == 0:
        assert drawn == [[first.text, second.text]], "another draw cannot differ"
        return
    assert drawn == [[first.text, second.text]] * 3 + [[second.text]] * (ATTEMPTS - 3)
    assert (one.text, one.valid) == (first.text, True)
    assert (other.text, other.valid) == ("no plot", False)
    again = 2 * sum(map(len, drawn[1:]))  # two turns each
    assert (used.calls, used.retries, used.completion_tokens) == (4 + again, again, 4 + again)


def test_a_first_draw_that_parses_stays(agent: CoLAAgent, envs: Any) -> None:
    """Rows that are drawn again change no others: first draws are those of the generator that the agent has."""
    writer = CoLAAgent(agent.learning, replace(agent.config, max_tokens=60))
    writer.bind(envs)
    envs.reset(seed=0)
    writer.reseed(np.random.default_rng(3))
    found = writer.rewrite(envs.states)
    once = writer._draw(envs.states, fresh_seeds(np.random.default_rng(3), 2))
    assert [new.text for new, old in zip(found, once, strict=True) if old.parses] == [
        row.text for row in once if row.parses
    ]


def test_double_q_learns_the_gain_of_a_choice() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        q = DoubleQ(4, 2)
    x = torch.eye(4)[[0, 1]]
    likely, over = torch.ones(2, 2, dtype=torch.bool), torch.tensor([False, True])
    steps = Steps(x, torch.tensor([0, 1]), x[[1, 1]], likely, torch.tensor([0.0, 2.0]), over)
    optimizer = torch.optim.AdamW(q.heads.parameters(), lr=1e-2)
    for _ in range(300):
        aims = q.aims(steps.rewards, steps.following, steps.likely, steps.over)
        losses = [((head(x).gather(1, steps.codes[:, None])[:, 0] - aims) ** 2).mean() for head in q.heads]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        q.follow()
    assert q(x)[1, 1].item() == pytest.approx(2.0, abs=0.1)  # the last choice
    assert q(x)[0, 0].item() == pytest.approx(2.0, abs=0.3)  # the one before, which leads there
    assert td_errors(q, steps).max() < 0.1


def test_a_search_stays_on_the_models_device(agent: CoLAAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the device "meta", which has shapes only, tensors of the CPU do not pass."""
    monkeypatch.setattr(CodeHead, "forward", lambda head, x, cache=None: head.head(x))  # its blocks look at values
    learning = make_agent(agent.config).learning.to("meta")
    q = DoubleQ(learning.model.width, 4).to("meta")
    written = Written([3, 5], True, np.array([1, 2]), torch.zeros(2, learning.model.width, device="meta"), 2)
    found = [Rewrite("edit", "text", (Turn([1], written), Turn([1], written)), parses=True)] * 2
    steps = steps_of(learning.model, found, np.array([0.5, -0.5]))
    assert {getattr(steps, name).device.type for name in Steps.__dataclass_fields__} == {"meta"}
    assert td_errors(q, steps).shape == (8,)


@pytest.mark.filterwarnings("ignore:.*which is a no-op")  # nothing can be copied to "meta"
def test_a_loaded_search_is_on_the_models_device(
    agent: CoLAAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = make_agent(agent.config)
    kept.q = DoubleQ(kept.model.width, agent.config.codes)
    kept.save(tmp_path, {})
    loaded = CoLAAgent.load(tmp_path)
    assert loaded.q is not None
    assert not any(weight.requires_grad for weight in loaded.q.parameters())
    monkeypatch.setattr("baselines.cola.agent.make_agent", lambda config: on_meta(make_agent(config)))
    moved = CoLAAgent.load(tmp_path)
    assert moved.q is not None
    assert {weight.device.type for weight in moved.q.parameters()} == {"meta"}


def on_meta(agent: CoLAAgent) -> CoLAAgent:
    """The agent on another device than the CPU."""
    agent.learning.to("meta")
    return agent


def test_puct_tries_the_likely_first_and_a_closed_code_once() -> None:
    nothing = (np.empty(0, np.int64),) * 2
    node = Node((0, 0), nothing, np.array([0.7, 0.3]), np.zeros(2), np.zeros(2))
    assert node.choose() == 0
    node.children[0] = None
    assert node.choose() == 1


@pytest.mark.parametrize("name", ["cola", "grpo_tokens"])
def test_a_run_resumes_and_writes(envs: Any, tmp_path: Path, name: str) -> None:
    settings = {**TINY, "search": 1 if name == "cola" else 0, "q_steps": 2}
    whole = registry.train(name, envs, settings, folder=tmp_path / "whole", progress=False)
    registry.train(name, envs, settings | {"rl_steps": 0, "search": 0}, folder=tmp_path / "cut", progress=False)
    resumed = registry.train(name, envs, settings, folder=tmp_path / "cut", resume=True, progress=False)
    assert [row for row in resumed.curve if "rl/return" in row] == [row for row in whole.curve if "rl/return" in row]
    loaded = registry.load(tmp_path / "cut")
    assert isinstance(loaded, CoLAAgent)
    longer = settings | {"rl_steps": TINY["rl_steps"] + 1}
    grown = registry.train(name, envs, longer, folder=tmp_path / "cut", resume=True, progress=False)
    at_once = registry.train(name, envs, longer, progress=False)
    assert [row for row in grown.curve if "rl/return" in row] == [row for row in at_once.curve if "rl/return" in row]
    for key, weight in whole.learning.named_parameters():
        torch.testing.assert_close(dict(loaded.learning.named_parameters())[key], weight)
    loaded.bind(envs)
    done = evaluate(loaded, envs, method=name, episodes=2)
    assert all(np.isfinite(row.gain) and row.steps == 1 for row in done.rows)
    assert done.cost.calls >= 2
    with pytest.raises(ConfigurationError, match="another run"):
        registry.train(name, envs, settings | {"seed": 5}, folder=tmp_path / "cut", resume=True, progress=False)
    next((tmp_path / "cut").glob("codes-*.safetensors")).write_bytes(b"")
    with pytest.raises(PreparationError, match="train it again"):
        registry.load(tmp_path / "cut")


class Interrupted(Exception):
    """Stands for a process that ends."""


@pytest.mark.parametrize(("acts", "stop"), [("codes", stop) for stop in (1, 3, 5, 6, 8)] + [("tokens", 1)])
def test_a_training_that_was_cut_ends_with_the_weights_of_one_that_was_not(
    envs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acts: str, stop: int
) -> None:
    """Cut inside stage 1, stage 2, both halves of stage 3, and stage 4; an update that was not kept is made again."""
    settings = {**TINY, "acts": acts, "guidance_steps": 2 * (acts == "codes"), "rl_steps": 2}
    config = CoLAConfig(**settings, rl_learning_rate=1e-2)
    whole = train(envs, config, progress=False)
    plain, made = TrainingLog.add, []

    def add(log: TrainingLog, *args: Any, **kwargs: Any) -> None:
        if len(made) == stop:
            raise Interrupted
        made.append(args)
        plain(log, *args, **kwargs)

    monkeypatch.setattr(TrainingLog, "add", add)
    with pytest.raises(Interrupted):
        train(envs, config, folder=tmp_path, checkpoint_every=1, progress=False)
    monkeypatch.setattr(TrainingLog, "add", plain)
    resumed = train(envs, config, folder=tmp_path, resume=True, checkpoint_every=1, progress=False)
    assert len(made) == stop
    assert resumed.curve == whole.curve
    assert resumed.steps == whole.steps
    for name, weight in whole.learning.named_parameters():
        torch.testing.assert_close(dict(resumed.learning.named_parameters())[name], weight, rtol=0, atol=0)


def test_a_base_model_with_a_short_context_reads_what_fits(envs: Any, tmp_path: Path) -> None:
    """Pairs that do not fit are left out, answers end with the context, and prompts that fill it are refused."""
    model = make_codes(CodeSettings(codes=4))
    pairs = draw_pairs(model.format, 6, 0)
    lengths = sorted(len(asked) + len(said) for asked, said in pairs)
    model.base.config.max_position_embeddings = lengths[2]
    assert len(Stream(model, pairs)) == 3
    prompt = pairs[0][0]
    model.base.config.max_position_embeddings = len(prompt) + 2
    (said,) = write(model.base, [prompt], ByCodes(model, None), [2047], 20)
    assert len(said.tokens) == 2
    model.base.config.max_position_embeddings = len(prompt)
    with pytest.raises(LanguageModelError, match="prompt_set='plain'"):
        write(model.base, [prompt], ByCodes(model, None), [2047], 20)
    model.base.config.max_position_embeddings = 10
    with pytest.raises(ConfigurationError, match="context of 10 tokens"):
        Stream(model, pairs)


def test_any_causal_model_can_be_the_base(envs: Any, tmp_path: Path) -> None:
    """A random GPT-2, whose width divides into no heads of the usual size."""
    folder = tmp_path / "gpt2"
    sizes = {"vocab_size": 2048, "n_positions": 512, "n_embd": 40, "n_layer": 1, "n_head": 2}
    config = GPT2Config(**sizes, bos_token_id=0, eos_token_id=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPT2LMHeadModel(config).save_pretrained(folder)
    for file in weights_path().glob("tokenizer*.json"):
        shutil.copy(file, folder)
    settings = {**TINY, "model": f"transformers:{folder}", "guidance_steps": 1}
    learnt = registry.train("cola", envs, settings, folder=tmp_path / "run", progress=False)
    assert np.isfinite([row["rl/return"] for row in learnt.curve if "rl/return" in row]).all()
    assert not (tmp_path / "run" / "codes").exists()  # the base model was tuned: its codes fit no other
    again = registry.load(tmp_path / "run")
    assert isinstance(again, CoLAAgent)
    torch.testing.assert_close(again.model.base.lm_head.weight, learnt.model.base.lm_head.weight)


def test_an_agent_of_another_base_model_is_refused(envs: Any, tmp_path: Path) -> None:
    """The folder of the base model holds other weights than in the training, of the same shapes."""
    base = tmp_path / "base"
    shutil.copytree(weights_path(), base)
    settings = {**TINY, "model": f"transformers:{base}", "rl_steps": 0}
    learnt = registry.train("cola", envs, settings, folder=tmp_path / "run", progress=False)
    assert isinstance(registry.load(tmp_path / "run"), CoLAAgent)
    del learnt
    (file,) = base.glob("*.safetensors")
    weights = load_file(file)
    save_file({name: weight * 1.01 for name, weight in weights.items()}, file, metadata={"format": "pt"})
    for again in (
        lambda: registry.load(tmp_path / "run"),
        lambda: registry.train("cola", envs, settings, folder=tmp_path / "run", resume=True, progress=False),
    ):
        gc.collect()  # weights are shared as long as someone holds them
        with pytest.raises(PreparationError, match=r"expected the base model .* train the agent again"):
            again()


def test_several_processes_are_refused(envs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda _: 2))
    with pytest.raises(ConfigurationError, match="one process for CoLA, got 2"):
        train(envs, CoLAConfig(**TINY), folder=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


NUMBERS = [item.name for item in fields(CoLAConfig) if type(item.default) in (int, float)]


@given(st.sampled_from(NUMBERS), st.sampled_from([-1, -0.5, float("nan"), float("inf"), -float("inf"), True, "1"]))
def test_no_number_may_be_negative_or_no_number(name: str, value: Any) -> None:
    if (name, value) == ("max_grad_norm", float("inf")):
        assert CoLAConfig(max_grad_norm=value).max_grad_norm == value  # gradients are not clipped
        return
    with pytest.raises(ConfigurationError, match=f"{name}: expected"):
        CoLAConfig(**{name: value})


def test_what_cannot_be_trained_is_refused(envs: Any) -> None:
    for wrong in (
        {"max_grad_norm": 0.0},
        {"clip_range": 0.0},
        {"rl_steps": 2.5},
        {"search": 4, "q_steps": 0},
        {"guidance_steps": 1, "batch_size": 1},
    ):
        with pytest.raises(ConfigurationError, match=next(reversed(wrong))):
            CoLAConfig(**wrong)
    with pytest.raises(ConfigurationError, match="search: expected 0 with acts='tokens'"):
        CoLAConfig(acts="tokens", search=4)
    with pytest.raises(ConfigurationError, match="weights of its own"):
        train(envs, CoLAConfig(**{**TINY, "model": "grammar"}), progress=False)
    with pytest.raises(ConfigurationError, match="acts"):
        CoLAConfig(acts="words")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="group_size"):
        CoLAConfig(group_size=1)
