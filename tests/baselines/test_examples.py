"""Short scripts with other libraries: each runs on the real environment, and learns where the answer is known."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from baselines.evaluate import make_envs
from baselines.examples import ppo_single_file, trl_grpo, trl_grpo_edits
from eagle_gym.errors import EpisodeError, LanguageModelError
from tests.fakes import KnownVectorEnv

BEST = 3 * 2 / np.pi  # of two opposite unit displacements the better one gains |cos| of a random angle, in three steps


class KnownEnv(gym.Env[Any, Any]):
    """One of the known environments, as a single one."""

    def __init__(self, **kwargs: Any) -> None:
        self.envs = KnownVectorEnv(num_envs=1, **kwargs)
        self.observation_space, self.action_space = self.envs.single_observation_space, self.envs.single_action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.envs.rows = []
        observation, _ = self.envs.reset(seed=int(self.np_random.integers(2**31)))
        return {key: value[0] for key, value in observation.items()}, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, rewards, over, _, _ = self.envs.step(np.array([action]))
        return {key: value[0] for key, value in observation.items()}, float(rewards[0]), bool(over[0]), False, {}

    def action_masks(self) -> np.ndarray:
        return self.envs.mask()[0].astype(bool)


def test_ppo_in_one_file_runs() -> None:
    curve = ppo_single_file.main(["--total-steps", "96", "--num-envs", "8", "--num-steps", "6", "--update-epochs", "1"])
    assert len(curve) == 2
    assert np.isfinite(curve).all()


def test_ppo_in_one_file_learns_which_of_two_is_best() -> None:
    args = ppo_single_file.PPOArgs(total_steps=5_120, num_envs=32, num_steps=8)  # 8: two episodes of three, two resets
    curve = ppo_single_file.train(args, KnownVectorEnv(num_envs=32, actions=2), progress=False)
    assert curve[0] < 0.4 * BEST < 0.8 * BEST < curve[-1]


def test_ppo_in_one_file_keeps_to_the_mask() -> None:
    args = ppo_single_file.PPOArgs(total_steps=256, num_envs=8, num_steps=8)
    envs = KnownVectorEnv(num_envs=8, actions=4, masked=True)  # raises where a masked action is taken
    assert np.isfinite(ppo_single_file.train(args, envs, progress=False)).all()


def test_tianshou_runs() -> None:
    tianshou_dqn = pytest.importorskip("baselines.examples.tianshou_dqn", reason="Tianshou is not installed")
    arguments = ["--total-steps", "20", "--num-envs", "4", "--batch-size", "8", "--episodes", "4"]
    assert np.isfinite(tianshou_dqn.main(arguments))


def test_tianshou_learns_which_of_two_is_best() -> None:
    tianshou_dqn = pytest.importorskip("baselines.examples.tianshou_dqn", reason="Tianshou is not installed")
    args = tianshou_dqn.TianshouArgs(total_steps=1_280, num_envs=16, updates_per_step=0.5)

    def make_env() -> KnownEnv:
        return KnownEnv(actions=3, masked=True)  # raises where a masked action is taken

    agent = tianshou_dqn.train(args, make_env, progress=False)
    best = 3 * np.sin(np.pi / 3) * 2 / np.pi
    assert tianshou_dqn.mean_return(agent, make_env, episodes=160) > 0.85 * best


def test_tianshou_is_seeded_and_leaves_the_global_generator_alone() -> None:
    tianshou_dqn = pytest.importorskip("baselines.examples.tianshou_dqn", reason="Tianshou is not installed")

    def weights(seed: int) -> list[torch.Tensor]:
        args = tianshou_dqn.TianshouArgs(seed=seed, total_steps=64, num_envs=8, batch_size=8)
        agent = tianshou_dqn.train(args, lambda: KnownEnv(actions=3, masked=True), progress=False)
        return list(agent.policy.parameters())

    before = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002 - it is what must not move
    one, again, other = weights(1), weights(1), weights(2)
    assert all(map(torch.equal, one, again))
    assert not all(map(torch.equal, one, other))
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before  # noqa: NPY002


def first_edit(observation: str) -> int:
    return int(re.findall(r"^(\d+)\. ", observation, re.M)[0])


def test_a_scripted_policy_plays_what_trl_plays() -> None:
    gained = trl_grpo.play(trl_grpo.Writing(), first_edit, seed=3)
    env = gym.make("EagleGym/Plots-v0", observation="text", split="train")
    observation, info = env.reset(seed=3)
    before, over = info["utility"]["total"], False
    while not over:
        observation, _, over, _, info = env.step(first_edit(observation))
    assert gained == pytest.approx(info["utility"]["total"] - before)
    assert gained != 0


def test_failures_are_no_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    writing = trl_grpo.Writing()
    offered = writing.reset(seed=0)
    with pytest.raises(EpisodeError):  # the chat model's mistake, which TRL shows to it; the episode goes on
        writing.rewrite(99)
    writing.rewrite(first_edit(offered))
    assert np.isfinite(writing.get_reward())

    def fail(action: int) -> None:
        raise LanguageModelError("no answer")

    monkeypatch.setattr(writing._env, "step", fail)
    with pytest.raises(LanguageModelError):  # TRL makes a message of this one too
        writing.rewrite(0)
    with pytest.raises(LanguageModelError, match="no answer"):
        writing.get_reward()


def test_an_edit_is_paid_for_the_users_gain() -> None:
    envs = make_envs("EagleGym/Plots-v0", 1, observation="text", language_model="grammar")
    world: Any = envs.unwrapped.world  # type: ignore[attr-defined]
    rows = trl_grpo_edits.make_rows(world, 3, seed=0)
    assert all(row["prompt"].endswith("<|propose|>") for row in rows)
    assert all(world.resources.profile(row["user"]) in row["prompt"] for row in rows)
    columns = {name: [row[name] for row in rows] for name in ("text", "user", "item")}
    edits = ["Make it darker.", "", " Make it darker. "]
    paid = trl_grpo_edits.make_reward(world, 0)(completions=edits, **columns)
    assert paid[1] == 0.0
    assert paid[0] != 0.0
    assert paid == trl_grpo_edits.make_reward(world, 0)(completions=edits, **columns)
    envs.close()


@pytest.mark.filterwarnings("ignore")
def test_trl_trains_the_embedded_model_to_write_edits(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="needs the extra examples")
    trainer = trl_grpo_edits.train(
        tmp_path, states=2, max_steps=1, num_generations=2, per_device_train_batch_size=2, max_completion_length=24,
        use_cpu=True, bf16=False, save_strategy="no", logging_steps=1, disable_tqdm=True,
    )  # fmt: skip
    assert trainer.state.global_step == 1
    assert np.isfinite(trainer.state.log_history[0]["reward"])


SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<think>", "</think>"]


def make_chat_model() -> tuple[Any, Any]:
    """A random Llama over bytes with Qwen's chat template; what it says is scripted, what it learns is not."""
    from trl.chat_template_utils import qwen3_chat_template

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([""], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = qwen3_chat_template

    class Scripted(LlamaForCausalLM):
        said: ClassVar[list[str]] = []

        def generate(self, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
            answers = []
            for number, row in enumerate(input_ids):
                heard = fast.decode(row).rpartition("<|im_start|>assistant")[0].rpartition("<|im_start|>")[2]
                call = {"name": "rewrite", "arguments": {"edit": number}}  # each rollout keeps to its own number
                over = "The episode is over." in heard
                answers.append(
                    "Done.<|im_end|>" if over else f"<tool_call>\n{json.dumps(call)}\n</tool_call><|im_end|>"
                )
            self.said.extend(answers)
            ids = [torch.tensor(fast.encode(answer)) for answer in answers]
            padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=fast.pad_token_id)
            return torch.cat([input_ids, padded], dim=1)

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(fast), max_position_embeddings=16_384, pad_token_id=0, eos_token_id=2, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Scripted(config), fast


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*deprecated:FutureWarning")  # what TRL itself calls
def test_trl_trains_through_its_own_tool_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trl", reason="TRL is not installed")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    model, tokenizer = make_chat_model()
    before = model.lm_head.weight.detach().clone()
    trainer = trl_grpo.train(
        model,
        tmp_path,
        tokenizer=tokenizer,
        environment={"actions": 4, "pool": 16, "horizon": 2},
        max_steps=1,
        num_generations=2,
        per_device_train_batch_size=2,
        max_completion_length=4_096,
        use_cpu=True,
    )
    (log,) = [row for row in trainer.state.log_history if "reward" in row]
    assert log["tools/call_frequency"] == 2  # two edits in each of the two rollouts
    assert log["tools/failure_frequency"] == 0
    assert len(model.said) == 2 * 3
    first, second = trainer.environments
    texts = [environment._env.unwrapped.frames[0].state.text for environment in (first, second)]
    assert texts[0] == texts[1]  # one group, one start
    assert first.get_reward() != second.get_reward()
    assert log["reward"] == pytest.approx((first.get_reward() + second.get_reward()) / 2, rel=1e-3)
    assert not torch.equal(model.lm_head.weight, before)  # the better rollout was made likelier


def test_rllib_runs() -> None:
    try:
        from baselines.examples import rllib_ppo
    except ImportError as error:
        pytest.skip(f"RLlib is not installed, which pins another Gymnasium than this one, {gym.__version__} ({error})")
    sizes = ["--num-envs", "8", "--train-batch-size", "80", "--minibatch-size", "40"]
    curve = rllib_ppo.main(["--total-steps", "160", *sizes])
    assert len(curve) == 2
    assert np.isfinite(curve).all()
