"""Where blocks are made: in processes of this machine, or on the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import joblib

from eishil.errors import EishilError
from eishil.processes import tie_worker

Task = Callable[[int], bytes]
CONNECT_TIMEOUT_s = 10.0


def local(task: Task, numbers: Iterable[int], workers: int) -> Iterator[tuple[int, bytes]]:
    """`task` of every number in `workers` processes, in the order in which they end."""
    pool = joblib.Parallel(
        n_jobs=max(1, workers),
        backend="loky",
        return_as="generator_unordered",
        pre_dispatch="n_jobs",
        initializer=tie_worker,
        initargs=(os.getpid(),),
    )
    return iter(pool(joblib.delayed(_numbered)(task, number) for number in numbers))


def cluster(task: Task, numbers: Sequence[int], address: str) -> Iterator[tuple[int, bytes]]:
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
            client.map(_numbered, [task] * len(numbers), list(numbers), pure=False), loop=client.loop
        )
        for future in made:
            yield future.result()


def _numbered(task: Task, number: int) -> tuple[int, bytes]:
    return number, task(number)
