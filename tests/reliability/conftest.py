"""The folder's modules by their names, and what its tests share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from processes import Server
from small_jobs import Inputs, write_inputs


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A process that has imported everything, and forks the commands."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def inputs(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A small set and a finished GAN run of it, to be read only."""
    return write_inputs(tmp_path_factory.mktemp("inputs"), server)
