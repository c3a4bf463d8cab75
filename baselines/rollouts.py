"""Rollouts as data: whole episodes in a file of JSON lines, for people who train language models.

The first line is a header: format, version, environment, fingerprints of catalog, latent space and language model,
policy, seeds. Each further line is an episode: chat messages, turns with their rewards by name, and every call of the
language model with token ids and log-probabilities where the model has them. The last line holds totals and a
checksum of all lines before it, so a file that was cut or changed is an error. Numbers of seconds are left out: two
runs with one seed write the same bytes.

A file that is being made is called `NAME.partial`. It grows by whole batches of episodes and gets its own name once it
is complete. A run that was stopped continues where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from baselines.run import writing
from eagle_gym.errors import ConfigurationError, PreparationError

FORMAT: Final = "eagle_gym rollouts"
VERSION: Final = 1
PARTS: Final = ("affinity", "novelty", "drift", "cost")  # of a utility; the last two are prices
COUNTS: Final = ("calls", "recorded", "prompt_tokens", "completion_tokens", "cost")

Episode = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Rollouts:
    """A file of rollouts.

    Attributes:
        header: The first line.
        episodes: The episodes.
        totals: Number of episodes, mean return, and what the language model's calls cost.
    """

    header: dict[str, Any]
    episodes: tuple[Episode, ...]
    totals: dict[str, Any]


def turn_rewards(
    before: Mapping[str, float], after: Mapping[str, float], reward: float, valid: bool
) -> dict[str, float]:
    """The rewards of a turn by name.

    `reward` is what the environment paid. `gain` is the change of the utility that was paid for. `affinity` and
    `novelty` are the changes of these parts, and `drift` and `cost` those of the prices, as negative numbers. `valid`
    is 1 if the new text is a proper rewrite. A text that is none is paid at most as much as the text before it, so
    there the parts do not add up to the gain.

    Args:
        before: Parts of the utility before the turn; `total` is what was paid for.
        after: The same after it.
        reward: What the environment paid.
        valid: Whether the new text is a proper rewrite.
    """
    change = {name: after[name] - before[name] for name in PARTS}
    return {
        "reward": reward,
        "gain": after["total"] - before["total"],
        "affinity": change["affinity"],
        "novelty": change["novelty"],
        "drift": -change["drift"],
        "cost": -change["cost"],
        "valid": float(valid),
    }


def totals(episodes: Sequence[Episode]) -> dict[str, Any]:
    """The totals of some episodes."""
    returns = [episode["return"] for episode in episodes]
    counted = {name: sum(episode["usage"][name] for episode in episodes) for name in COUNTS}
    return {"episodes": len(episodes), "mean_return": sum(returns) / max(len(returns), 1), "usage": counted}


# Writing


class RolloutWriter:
    """Writes a file of rollouts batch by batch.

    Args:
        path: The file. While it is made, `NAME.partial` next to it holds the episodes so far.
        header: The first line, without format and version.
        batch: Number of episodes that are played together.

    Raises:
        ConfigurationError: A file of that name holds other rollouts.
        PreparationError: A file of that name is no file of rollouts, or cannot be read.

    Attributes:
        episodes: The episodes so far; those of an earlier, stopped run are the first.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], batch: int) -> None:
        self.path, self.partial = path, path.with_name(f"{path.name}.partial")
        self.header = {"format": FORMAT, "version": VERSION, **json.loads(_dump(header))}
        self.episodes: list[Episode] = []
        self.complete = path.exists()
        if self.complete:
            found = read_rollouts(path)
            self._check_same(path, found.header)
            self.episodes = list(found.episodes)
        elif self.partial.exists():
            self.episodes = self._continue(batch)

    def _check_same(self, path: Path, found: Mapping[str, Any]) -> None:
        differ = [name for name in {**self.header, **found} if self.header.get(name) != found.get(name)]
        if differ:
            raise ConfigurationError(f"{path} holds other rollouts ({', '.join(differ)} differ): name another file")

    def _continue(self, batch: int) -> list[Episode]:
        """The whole batches of a partial file, which is cut after them."""
        lines = self.partial.read_bytes().split(b"\n")[:-1]  # a cut line has no end
        if not lines:
            return []
        self._check_same(self.partial, _check_header(self.partial, _parse(self.partial, lines[0], 1)))
        count = (len(lines) - 1) // batch * batch
        kept = lines[: 1 + count]
        with writing(self.partial), self.partial.open("rb+") as file:
            file.truncate(sum(len(line) + 1 for line in kept))
        return [
            _check_episode(self.partial, _parse(self.partial, line, at), at)
            for at, line in enumerate(kept[1:], start=2)
        ]

    def add(self, episodes: Sequence[Episode]) -> None:
        """Append the episodes of one batch.

        Raises:
            PreparationError: They cannot be written.
        """
        text = "" if self.episodes else _dump(self.header)
        text += "".join(map(_dump, episodes))
        with writing(self.partial):
            self.partial.parent.mkdir(parents=True, exist_ok=True)
            with self.partial.open("ab" if self.episodes else "wb") as file:
                file.write(text.encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
        self.episodes += [json.loads(_dump(episode)) for episode in episodes]

    def finish(self) -> Rollouts:
        """Add the totals and give the file its name.

        Raises:
            PreparationError: It cannot be written.
        """
        if not self.complete:
            content = self.partial.read_bytes()
            end = {"totals": totals(self.episodes), "sha256": hashlib.sha256(content).hexdigest()}
            with writing(self.path), self.partial.open("ab") as file:
                file.write(_dump(end).encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
            with writing(self.path):
                self.partial.replace(self.path)
            self.complete = True
        return Rollouts(self.header, tuple(self.episodes), totals(self.episodes))


def write_rollouts(path: Path, header: Mapping[str, Any], episodes: Sequence[Episode]) -> Rollouts:
    """Write a whole file at once, over an old one of this name.

    Raises:
        PreparationError: It cannot be written.
    """
    for old in (path, path.with_name(f"{path.name}.partial")):
        with writing(old):
            old.unlink(missing_ok=True)
    own = {name: value for name, value in header.items() if name not in ("format", "version")}
    writer = RolloutWriter(path, own, 1)
    writer.add(episodes)
    return writer.finish()


# Reading


def read_rollouts(path: Path) -> Rollouts:
    """Read a file of rollouts.

    Raises:
        PreparationError: It is missing, cut, changed, of another format or of another version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PreparationError(f"expected a file of rollouts at {path}, got an error: {error}") from error
    lines = content.split(b"\n")
    header = _check_header(path, _parse(path, lines[0], 1))
    if lines[-1] or len(lines) < 3:
        raise PreparationError(f"{path}: expected a last line with totals, got a file that was cut: record it again")
    end = _parse(path, lines[-2], len(lines) - 1)
    said = end.get("sha256")
    begin = len(content) - len(lines[-2]) - 1
    if said is None or hashlib.sha256(content[:begin]).hexdigest() != said:
        raise PreparationError(
            f"{path}: expected a last line with the checksum of the others, got "
            f"{'no such line' if said is None else 'another checksum'}: the file was cut or changed, record it again"
        )
    episodes = [_check_episode(path, _parse(path, line, at), at) for at, line in enumerate(lines[1:-2], start=2)]
    return Rollouts(header, tuple(episodes), end["totals"])


def iterate(path: Path) -> Iterator[Episode]:
    """The episodes of a file."""
    yield from read_rollouts(path).episodes


def _parse(path: Path, line: bytes, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PreparationError(f"{path}, line {number}: expected JSON, got an error ({error})") from error
    if not isinstance(found, dict):
        raise PreparationError(f"{path}, line {number}: expected a JSON object, got {type(found).__name__}")
    return found


def _check_header(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    if found.get("format") != FORMAT:
        raise PreparationError(
            f"{path}: expected a first line with the format {FORMAT!r}, got {str(found.get('format'))[:40]!r}: make "
            "one with python -m baselines rollouts"
        )
    if found.get("version") != VERSION:
        raise PreparationError(f"{path}: expected version {VERSION}, got {found.get('version')!r}: record it again")
    return found


def _check_episode(path: Path, found: dict[str, Any], number: int) -> Episode:
    missing = [name for name in ("episode", "user", "start", "turns", "calls", "usage", "return") if name not in found]
    if missing:
        raise PreparationError(f"{path}, line {number}: expected an episode, got a line without {', '.join(missing)}")
    return found


def _dump(value: object) -> str:
    # Escaped to ASCII: a line is a line to every reader.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False) + "\n"
