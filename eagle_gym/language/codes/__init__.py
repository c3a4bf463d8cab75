"""Latent actions of a language model: codes that determine its next tokens [1].

- `networks`: causal blocks, world model, policy.
- `model`: `CodeModel`, its files, and the base model's reading of tokens.
- `writing`: answers under codes.
- `partial`: answers that are written a few tokens at a time, `branches`: under many codes at once.

A small code model for the embedded model ships with the package: `load_codes()`. `baselines.cola` trains others.

[1] "Controlling Large Language Models with Latent Actions", 2025, arXiv 2503.21383.
"""

from eagle_gym.language.codes.model import CodeModel, CodeSettings, Written, load_codes, make_codes
from eagle_gym.language.codes.writing import ByCodes, ByTokens, write

__all__ = ["ByCodes", "ByTokens", "CodeModel", "CodeSettings", "Written", "load_codes", "make_codes", "write"]
