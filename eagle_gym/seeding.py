"""Seeds from hashes: the same in every process, whatever else runs."""

from __future__ import annotations

from hashlib import blake2b


def stable_seed(*parts: object) -> int:
    """A seed in [0, 2**63) from the parts, as they print; equal parts give equal seeds in every process."""
    digest = blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little") >> 1
