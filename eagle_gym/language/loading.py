"""Opening language models: from a spec to a model. The one file that knows the backends."""

from __future__ import annotations

from eagle_gym.errors import ConfigurationError
from eagle_gym.language.metering import Limits, MeteredModel
from eagle_gym.language.model import LanguageModel, masked
from eagle_gym.language.replay import RecordedModel, ReplayedModel


def load_language_model(
    spec: str = "embedded",
    *,
    device: str = "cpu",
    dtype: str = "float32",
    batch_invariant: bool = False,
    max_new_tokens: int | None = None,
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

            - `"embedded"`: the plot-English model of this package (`"embedded:pitch"`: its second one);
            - `"transformers:PATH_OR_NAME"`: any causal language model in a folder or on the Hugging Face hub;
            - `"openai:MODEL@URL"`: a model behind an OpenAI-compatible server, for example
              `"openai:Qwen/Qwen2.5-7B-Instruct@http://localhost:8000/v1"` (see `openai.py` for options in the URL);
            - `"replay:PATH"`: the answers in a recording.
        device: Where an in-process model runs: `"cpu"`, `"cuda"`, `"cuda:1"`.
        dtype: Its number format: `"float32"`, `"bfloat16"` or `"float16"`.
        batch_invariant: Compute in fixed tiles, so that a row's text is the same whatever shares its batch (slower).
        max_new_tokens: Longest generation; None takes the backend's own (160 for plot English, 512 for others).
        record: A file to which every answer is appended, and from which what it holds is answered.
        max_calls: Generations after which the model stops with an error.
        max_tokens: Tokens, prompts included, after which it does.
        max_cost: US dollars after which it does; needs prices.
        prompt_price: US dollars per million prompt tokens.
        completion_price: US dollars per million generated tokens.

    Returns:
        A handle. Handles of one process with the same weights, device and dtype share the weights, which are freed when
        the last such handle is closed or collected.

    Raises:
        ConfigurationError: The spec, the device, a number or a combination of them cannot be.
        PreparationError: The weights or the recording are absent or broken, or a package for the backend is missing.
    """
    if max_new_tokens is not None and max_new_tokens < 1:
        raise ConfigurationError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    limits = Limits(max_calls, max_tokens, max_cost, prompt_price, completion_price)
    model = _open_backend(spec, device, dtype, batch_invariant, max_new_tokens)
    if not limits.idle:
        model = MeteredModel(model, limits)
    if record is None:
        return model
    opened = {"dtype": dtype, "batch_invariant": batch_invariant, "max_new_tokens": max_new_tokens}
    return RecordedModel(model, record, opened)


def _open_backend(
    spec: str, device: str, dtype: str, batch_invariant: bool, max_new_tokens: int | None
) -> LanguageModel:
    kind, _, target = spec.partition(":")
    if kind == "embedded":
        from eagle_gym.language.embedded import weights_path

        kind, target = "transformers", str(weights_path(target or "plain"))
    if kind == "transformers" and target:
        from eagle_gym.language.transformers import TransformersModel

        return TransformersModel(
            spec, target, device=device, dtype=dtype, batch_invariant=batch_invariant, max_new_tokens=max_new_tokens
        )
    if kind == "replay" and target:
        return ReplayedModel(target)
    if kind == "openai" and target:
        from eagle_gym.language.openai import OpenAIModel

        return OpenAIModel(spec, max_new_tokens=max_new_tokens)
    raise ConfigurationError(
        f"unknown language model {masked(spec)!r}: expected 'embedded', 'embedded:pitch', 'transformers:PATH_OR_NAME', "
        "'openai:MODEL@URL' or 'replay:PATH'"
    )
