"""Opens the language model that a spec names. Only this file knows the backends."""

from __future__ import annotations

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.metering import Limits, MeteredModel
from eagle_gym.language.model import LanguageModel, masked
from eagle_gym.language.own import make_own_model
from eagle_gym.language.prompts import PromptSource
from eagle_gym.language.replay import RecordedModel, ReplayedModel


def load_language_model(
    spec: str = "embedded",
    *,
    device: str = "cpu",
    dtype: str = "float32",
    batch_invariant: bool = False,
    max_new_tokens: int | None = None,
    prompts: PromptSource | None = None,
    about: str | None = None,
    cache_dir: str | None = None,
    record: str | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    prompt_price: float = 0.0,
    completion_price: float = 0.0,
) -> LanguageModel:
    """Open the language model that a spec names. Every argument is a JSON value.

    Args:
        spec: One of

            - `"embedded"`: this package's model of plot English (`"embedded:pitch"`: its second model);
            - `"grammar"`: the grammar of plot English itself, which rewrites as `"embedded"` was measured to;
            - `"smollm2"`: SmolLM2-135M-Instruct, tuned by this package to carry out edits of free text (see
              `editor`); untuned, it proposes them;
            - `"transformers:PATH_OR_NAME"`: any causal language model in a folder, in a GGUF file or on the Hugging
              Face hub;
            - `"openai:MODEL@URL"`: a model behind an OpenAI-compatible server, for example
              `"openai:Qwen/Qwen2.5-7B-Instruct@http://localhost:8000/v1"` (see `openai.py` for options in the URL);
            - `"replay:PATH"`: the answers in a recording;
            - `"python:MODULE:FACTORY"`: a model of your own, made by a function.
        device: The device of a model in this process: `"cpu"`, `"cuda"`, `"cuda:1"`.
        dtype: The number format of a model in this process: `"float32"`, `"bfloat16"` or `"float16"`.
        batch_invariant: Compute in fixed tiles (slower). A row's text then does not depend on the rest of its batch.
        max_new_tokens: Longest generation; None takes the backend's own (160 for plot English, 512 for others).
        prompts: The words in which the model is asked: the name of a built-in prompt set, the path of a TOML file, or a
            dict (see `prompts.prompt_set`). None takes what the model understands. Fingerprints cover the words.
        about: What the texts describe: `"film"`, `"product"`, or None where nobody knows. Built-in prompts have a noun
            and examples for each.
        cache_dir: Folder of converted GGUF files; None takes the platform's cache folder.
        record: A recording. Answers that it holds are read from it; all others are appended to it.
        max_calls: Limit of generations. A call that would exceed a limit raises an error.
        max_tokens: Limit of tokens, prompts included.
        max_cost: Limit of costs in US dollars; needs prices.
        prompt_price: US dollars per million prompt tokens.
        completion_price: US dollars per million generated tokens.

    Returns:
        A handle. Handles with the same weights, device and dtype share the weights within a process. The weights are
        freed when the last such handle is closed or collected.

    Raises:
        ConfigurationError: An argument or a combination of arguments is invalid.
        PreparationError: The weights or the recording are missing or broken, or the backend's package is not installed.
    """
    if max_new_tokens is not None and max_new_tokens < 1:
        raise ConfigurationError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    limits = Limits(max_calls, max_tokens, max_cost, prompt_price, completion_price)
    model = _open_backend(spec, device, dtype, batch_invariant, max_new_tokens, prompts, about, cache_dir)
    if not limits.idle:
        model = MeteredModel(model, limits)
    if record is None:
        return model
    opened = {"dtype": dtype, "batch_invariant": batch_invariant, "max_new_tokens": max_new_tokens}
    return RecordedModel(model, record, opened)


def takes_prompts(spec: str) -> bool:
    """Whether a model can be asked in words that one chooses; others have words of their own."""
    return spec.partition(":")[0] in ("transformers", "openai", "smollm2")


def _open_backend(
    spec: str,
    device: str,
    dtype: str,
    batch_invariant: bool,
    max_new_tokens: int | None,
    prompts: PromptSource | None,
    about: str | None,
    cache_dir: str | None,
) -> LanguageModel:
    kind, _, target = spec.partition(":")
    if spec == "grammar":
        from eagle_gym.language.grammar import GrammarModel

        return GrammarModel()
    if kind == "embedded":
        from eagle_gym.language.embedded import weights_path

        kind, target = "transformers", str(weights_path(target or "plain"))
    if spec == "smollm2":
        from eagle_gym.language.editor.smollm2 import SHARPNESS, base_file, smollm2_folder
        from eagle_gym.language.editor.tuned import TunedModel

        return TunedModel(
            spec,
            str(smollm2_folder(cache_dir)),
            base=str(base_file()),
            sharpness=SHARPNESS,
            device=device,
            dtype=dtype,
            batch_invariant=batch_invariant,
            max_new_tokens=max_new_tokens,
            prompts=prompts,
            cache_dir=cache_dir,
            about=about,
        )
    if kind == "transformers" and target:
        from eagle_gym.language.transformers import TransformersModel

        return TransformersModel(
            spec,
            target,
            device=device,
            dtype=dtype,
            batch_invariant=batch_invariant,
            max_new_tokens=max_new_tokens,
            prompts=prompts,
            cache_dir=cache_dir,
            about=about,
        )
    if kind == "openai" and target:
        from eagle_gym.language.openai import OpenAIModel

        return OpenAIModel(spec, max_new_tokens=max_new_tokens, prompts=prompts, about=about)
    if kind in ("replay", "python") and target and prompts is not None:
        raise ConfigurationError(
            f"expected no prompts for {masked(spec)!r}, got {prompts!r}: a recording holds those of its model, and "
            "a model of your own has its own"
        )
    if kind == "replay" and target:
        return ReplayedModel(target)
    if kind == "python" and target:
        return make_own_model(target)
    raise ConfigurationError(
        f"unknown language model {masked(spec)!r}: expected 'embedded', 'embedded:pitch', 'grammar', 'smollm2', "
        "'transformers:PATH_OR_NAME', 'openai:MODEL@URL', 'replay:PATH' or 'python:MODULE:FACTORY'"
    )
