"""A server of the study of each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.rating.study import Study
from tests.benchmarks.rating.studies import Server, served


@pytest.fixture(scope="module")
def server(study: Study) -> Iterator[Server]:
    """A running server of the file's fixture `study`."""
    with served(study.folder) as found:
        yield found
