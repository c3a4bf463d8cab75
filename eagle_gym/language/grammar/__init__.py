"""The grammar of plot English as a language model: no weights, and thousands of rewrites a second.

It rewrites as the embedded model was measured to rewrite. `python -m eagle_gym.actions.grammar` measures again.
"""

from __future__ import annotations

from eagle_gym.language.grammar.model import GrammarModel
from eagle_gym.language.grammar.shares import Shares, load_shares

__all__ = ["GrammarModel", "Shares", "load_shares"]
