"""Pools that are made once for each item and kept: `pools=PATH`.

The edits of an episode then come from the pool of the item that it started from, at every step, so that a step asks the
language model for a rewrite only. Pools hold generic edits: nobody knows who the user will be.

A file of pools is append-only JSON lines. Its header says what the pools were made for and with: the catalog's texts,
the model with the words in which it is asked, and the number of edits. A pool is made when its item first starts an
episode, or ahead of time by `python -m eagle_gym prepare ID pools=PATH`. Lines are written whole, so a process that
dies loses at most its last line. Several processes can share a file: the first answer counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from eagle_gym import cache
from eagle_gym.actions.proposals import ModelCandidates
from eagle_gym.errors import PreparationError
from eagle_gym.language.model import LanguageModel
from eagle_gym.progress import progress_bar
from eagle_gym.seeding import stable_seed

FORMAT: Final = "eagle_gym pools 1"
TOGETHER: Final = 16  # items whose pools are asked for in one batch, and kept after it
CURE: Final = "name another file, or delete this one and make it with python -m eagle_gym prepare ID ... pools=PATH"


@dataclass(frozen=True)
class PoolIdentity:
    """What determines the pools of a file.

    Attributes:
        texts: Hash of the items' texts.
        model: Fingerprint of the language model, the words in which it is asked included.
        size: Edits of a pool.
        proposals: The other settings of the proposals.
    """

    texts: str
    model: str
    size: int
    proposals: Mapping[str, str | float]

    @classmethod
    def of(cls, texts: Sequence[str], candidates: ModelCandidates, size: int) -> PoolIdentity:
        """The identity of the pools of these texts."""
        others = {name: value for name, value in candidates.settings.items() if name != "model"}
        return cls(f"{stable_seed(*texts):016x}", candidates.model.fingerprint, size, others)

    @property
    def file_name(self) -> str:
        """Name of the file in the cache."""
        return f"pools-{stable_seed(FORMAT, json.dumps(self.header, sort_keys=True)):016x}.jsonl"

    @property
    def header(self) -> dict[str, Any]:
        """The first line of the file."""
        return {"format": FORMAT, **vars(self), "proposals": dict(self.proposals)}


class ItemPools:
    """Candidates that propose for an item's text what is kept for it (see `Candidates`).

    A text that is no item's is asked about every time.

    Args:
        path: The file; made where it is absent.
        texts: The items' texts.
        candidates: Make the pools that are absent; their `personalised` is 0.
        size: Edits of a pool.
        prepare: "auto", or "never": raise where a pool is absent.

    Raises:
        PreparationError: The file is no file of pools, is broken, or was made for other texts or by another model.
    """

    def __init__(
        self, path: Path, texts: Sequence[str], candidates: ModelCandidates, size: int, *, prepare: str = "auto"
    ) -> None:
        self.path, self.candidates, self.size, self.prepare = path, candidates, size, prepare
        self.identity = PoolIdentity.of(texts, candidates, size)
        self._texts, self._items = texts, frozenset(texts)
        self._kept: dict[str, list[str]] = {}  # digest of a text -> its pool
        self._bytes_read = self._lines_read = 0
        if cache.is_kept(path):
            self._read()

    @property
    def model(self) -> LanguageModel:
        """The language model that makes what is absent."""
        return self.candidates.model

    @property
    def settings(self) -> dict[str, str | float]:
        """See `Candidates`."""
        return {**self.candidates.settings, "pools": self.size}

    def asking(self, model: LanguageModel) -> ItemPools:
        """The same pools with another handle on the model."""
        return ItemPools(self.path, self._texts, self.candidates.asking(model), self.size, prepare=self.prepare)

    def propose(self, texts: Sequence[str], profiles: Sequence[str], n: int, seeds: Sequence[int]) -> list[list[str]]:
        """See `Candidates`: up to `n` edits of each item's pool, and new ones for texts that are no item's.

        Raises:
            PreparationError: A pool is absent and `prepare` is "never", or the file cannot be read or written.
        """
        self.make([text for text in texts if text in self._items])
        other = [row for row, text in enumerate(texts) if text not in self._items]
        asked = [texts[row] for row in other], [""] * len(other), n, [seeds[row] for row in other]
        fresh = self.candidates.propose(*asked) if other else []
        found = dict(zip(other, fresh, strict=True))
        return [
            found[row] if row in found else _some(self._kept[digest(text)], n, seed)
            for row, (text, seed) in enumerate(zip(texts, seeds, strict=True))
        ]

    def make(self, texts: Sequence[str], *, progress: bool = False) -> int:
        """Make and keep the pools of items that have none, a batch at a time.

        Args:
            texts: The items' texts.
            progress: Whether to show a progress bar.

        Returns:
            How many were made.

        Raises:
            PreparationError: A pool is absent and `prepare` is "never", or the file cannot be written.
        """
        absent = self._absent(texts)
        if absent and cache.is_kept(self.path):
            self._read()  # another process may have made them
            absent = self._absent(absent)
        if absent and self.prepare == "never":
            raise PreparationError(
                f"expected {self.path} to hold the pools of all items, got none for {absent[0][:60]!r}: make them with "
                "python -m eagle_gym prepare ID ... pools=PATH, or with prepare='auto'"
            )
        with progress_bar(total=len(absent), show=progress, desc="pools", unit="item") as bar:
            for begin in range(0, len(absent), TOGETHER):
                batch = absent[begin : begin + TOGETHER]
                seeds = [stable_seed("pool", text) for text in batch]
                self._keep(batch, self.candidates.propose(batch, [""] * len(batch), self.size, seeds))
                bar.update(len(batch))
        return len(absent)

    def _absent(self, texts: Sequence[str]) -> list[str]:
        return [text for text in dict.fromkeys(texts) if digest(text) not in self._kept]

    def _keep(self, texts: Sequence[str], pools: Sequence[Sequence[str]]) -> None:
        """Append pools that nobody else has made in the meantime."""
        with cache.alone_at(self.path), cache.cache_errors(self.path.parent), self.path.open("ab+") as file:
            cache.drop_cut_line(file)
            if file.seek(0, 2) == 0:
                file.write(_line(self.identity.header))
                file.flush()
            self._read()
            for text, pool in zip(texts, pools, strict=True):
                if digest(text) not in self._kept:
                    file.write(_line({"item": digest(text), "edits": list(pool)}))
            file.flush()
            self._read()

    def _read(self) -> None:
        """Read the whole lines that were added since the last reading."""
        with cache.cache_errors(self.path.parent), self.path.open("rb") as file:
            file.seek(self._bytes_read)
            *lines, _ = file.read().split(b"\n")
        for line in lines:
            self._bytes_read += len(line) + 1
            self._lines_read += 1
            self._take(line, f"{self.path}, line {self._lines_read}")

    def _take(self, line: bytes, where: str) -> None:
        try:
            found = json.loads(line)
            if self._lines_read == 1:
                self._check(found)
                return
            item, edits = found["item"], found["edits"]
            if not (isinstance(item, str) and isinstance(edits, list) and all(isinstance(edit, str) for edit in edits)):
                raise TypeError("expected an item and a list of edits")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PreparationError(f"{where}: expected a pool of edits, got {error!r}: {CURE}") from error
        self._kept.setdefault(item, edits)

    def _check(self, header: Any) -> None:  # noqa: ANN401 - JSON
        """Check that the file was made for these texts and this model."""
        wanted = json.loads(json.dumps(self.identity.header))
        for name, value in wanted.items():
            got = header.get(name) if isinstance(header, dict) else None
            if got != value:
                what = _OTHER[name]
                raise PreparationError(f"{self.path}: {what}, expected {value!r}, got {got!r}: {CURE}")


# What is wrong where a part of the header is another one.
_OTHER: Final = {
    "format": "the file is no file of pools, or one of another version",
    "texts": "the pools were made for other items' texts",
    "model": "the pools were made by another language model, or with other prompts",
    "size": "the pools have another number of edits (pool=)",
    "proposals": "the pools were asked for otherwise",
}


def digest(text: str) -> str:
    """Identifies an item's text in a file."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _some(pool: list[str], n: int, seed: int) -> list[str]:
    """`n` edits of a pool, in the pool's order."""
    if n >= len(pool):
        return list(pool)
    return [pool[row] for row in sorted(np.random.default_rng(seed).permutation(len(pool))[:n].tolist())]


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, separators=(",", ":")) + "\n").encode("ascii")
