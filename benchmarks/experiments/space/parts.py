"""Finished parts of a run, kept in its folder: an interrupted run continues where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.running.files import read_json, write_json
from benchmarks.running.provenance import commit


class Parts:
    """The parts of a run; see `part`.

    Args:
        folder: Where they are kept.
        fresh: Whether parts that are there are measured again.
    """

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        self.folder, self.fresh, self.code = folder, fresh, commit()

    def part(self, name: str, measure: Callable[[], Any]) -> Any:  # noqa: ANN401 - a JSON value
        """What a part measures: read if the code of the same commit has measured it, else measured and kept.

        Args:
            name: Name of the part.
            measure: Measures it; gives JSON values.
        """
        path = self.folder / f"{name.replace('/', '-').replace(' ', '_')}.json"
        kept = read_json(path) if path.exists() and not self.fresh else {}
        if kept.get("code", "+") != self.code or str(self.code).endswith("+"):
            kept = {"code": self.code, "value": measure()}
            write_json(kept, path)
        return kept["value"]
