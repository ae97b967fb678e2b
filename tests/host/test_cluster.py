"""A data set made on a real Dask cluster of two worker processes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import distributed
import pytest

from eishil.dataset.factory import Options, generate
from eishil.dataset.recipe import Recipe
from eishil.errors import EishilError
from support.tiny_dataset import WriteRecipe, contents, make


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(cluster: Any, tiny: Path, write_recipe: WriteRecipe, tmp_path: Path) -> None:
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        processes = client.run(os.getpid)
    assert len(set(processes.values()) - {os.getpid()}) == 2
    victim, told = next(iter(processes.values())), []

    def kill_at_the_second_chunk(stage: str, done: int, total: int, note: str = "") -> None:
        told.append(done)
        if len(told) == 3:
            os.kill(victim, signal.SIGKILL)

    path = write_recipe()
    options = Options(scheduler=cluster.scheduler_address, chunk_samples=2)
    generate(Recipe.load(path), path, tmp_path / "out", options, kill_at_the_second_chunk)
    assert told[0] == 0 and told[-1] == 68 and len(told) > 20
    assert contents(tmp_path / "out") == contents(tiny)


@pytest.mark.slow
def test_an_error_on_the_cluster_is_told_in_one_sentence(
    cluster: Any, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eishil.dataset.factory._key", lambda *_: "of another version")
    with pytest.raises(EishilError, match="a worker has other versions of eishil") as caught:
        make(write_recipe(), tmp_path / "out", scheduler=cluster.scheduler_address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "nonsense", "tcp://127.0.0.1", "ftp://127.0.0.1:1"])
def test_a_scheduler_that_does_not_answer_is_told(
    write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr("eishil.dataset.pools.CONNECT_TIMEOUT_s", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = address.format(port=port)
    with pytest.raises(EishilError, match=f"--scheduler {address}: no Dask scheduler answers there") as caught:
        make(write_recipe(), tmp_path / "out", scheduler=address)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_none_leaves_nothing_behind(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    """Dask's client, made with such an address, hangs for 20 s when it is deleted, and prints a traceback."""
    with (
        mock.patch.object(distributed, "Client", side_effect=AssertionError("a client was made")),
        pytest.raises(EishilError, match="--scheduler nonsense: no Dask scheduler answers there"),
    ):
        make(write_recipe(), tmp_path / "out", scheduler="nonsense")
