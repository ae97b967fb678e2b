"""Where work that takes long is done: in processes of this machine, or on the workers of a Dask cluster."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import joblib

from eishil.errors import EishilError
from eishil.processes import tie_worker

Item = TypeVar("Item")
Made = TypeVar("Made")
CONNECT_TIMEOUT_s = 10.0


def local(task: Callable[[Item], Made], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Made]]:
    """Every item with its `task(item)`, from `workers` processes, in the order in which they end."""
    pool = joblib.Parallel(
        n_jobs=max(1, workers),
        backend="loky",
        return_as="generator_unordered",
        pre_dispatch="n_jobs",
        initializer=tie_worker,
        initargs=(os.getpid(),),
    )
    with _interrupts_left_to_the_owner():
        return iter(pool(joblib.delayed(_with_item)(task, item) for item in items))


@contextmanager
def _interrupts_left_to_the_owner() -> Iterator[None]:
    """Processes that are started here ignore Ctrl-C, from their first instruction on; they end with their owner."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def cluster(task: Callable[[Item], Made], items: Sequence[Item], address: str) -> Iterator[tuple[Item, Made]]:
    """The same on a Dask cluster. A worker that dies loses nothing: others make what it was making.

    Raises
    ------
    EishilError
        There is no scheduler at `address`, or it has no workers.
    """
    import distributed
    from distributed.comm import get_address_host_port

    try:
        get_address_host_port(address)  # a client that cannot read it hangs when it is deleted
        client = distributed.Client(address, timeout=CONNECT_TIMEOUT_s, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EishilError(f"--scheduler {address}: no Dask scheduler answers there: {reason}") from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise EishilError(f"--scheduler {address}: it has no workers; `dask worker {address}` starts one")
        # Nobody but the iterator holds the futures: the cluster forgets a result as soon as it is here.
        made = distributed.as_completed(
            client.map(_with_item, [task] * len(items), list(items), pure=False), loop=client.loop
        )
        for future in made:
            yield future.result()


def _with_item(task: Callable[[Item], Made], item: Item) -> tuple[Item, Made]:
    return item, task(item)
