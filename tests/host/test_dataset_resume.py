"""The same bytes with any number of workers, after an interruption, and never from another recipe or code."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eishil.cell.impedance import ImpedanceSolver
from eishil.dataset import factory
from eishil.dataset.tables import MANIFEST
from eishil.errors import EishilError
from support.tiny_dataset import LEFT_BEHIND, WriteRecipe, contents, make

ROOT = Path(__file__).resolve().parents[2]


def test_one_worker_or_two_same_bytes(write_recipe: WriteRecipe, tmp_path: Path) -> None:
    spread = write_recipe('mesh = "pybamm"\n', 'mesh = "pybamm"\n[cell.spread]\nnegative_bruggeman = { std = 0.1 }\n')
    make(spread, tmp_path / "one", workers=1, chunk_samples=7)
    make(spread, tmp_path / "two", workers=2, chunk_samples=30)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(
    tiny: Path, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, made = tmp_path / "again", []
    make_chunk = factory.make_chunk

    def interrupted_at_third(*arguments: Any) -> bytes:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(arguments[-1])
        return make_chunk(*arguments)

    monkeypatch.setattr(factory, "make_chunk", interrupted_at_third)
    with pytest.raises(KeyboardInterrupt):
        make(write_recipe(), out)
    assert not (out / MANIFEST).exists()
    assert len(list((out / "work").glob("*.chunk"))) == 2 and made == [0, 1]

    monkeypatch.setattr(factory, "make_chunk", lambda *a: made.append(a[-1]) or make_chunk(*a))
    make(write_recipe(), out)
    assert len(made) == len(set(made))
    assert contents(out) == contents(tiny)
    assert not (out / "work").exists()


def test_chunks_of_another_recipe_are_not_picked_up(
    write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(factory, "_put_together", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(write_recipe(), out)
    assert any((out / "work").glob("*.chunk"))
    make(write_recipe("seed = 7", "seed = 8"), out)
    make(write_recipe("seed = 7", "seed = 8"), tmp_path / "clean")
    assert contents(out) == contents(tmp_path / "clean")


@pytest.mark.parametrize("damage", ["shortened", "changed", "emptied"])
def test_a_damaged_chunk_is_solved_again(
    tiny: Path, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(factory, "_put_together", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make(write_recipe(), tmp_path / "out")
    chunk = min((tmp_path / "out" / "work").iterdir())
    written = chunk.read_bytes()
    middle = len(written) // 2
    changed = written[:middle] + bytes([written[middle] ^ 1]) + written[middle + 1 :]
    chunk.write_bytes({"shortened": written[:100], "changed": changed, "emptied": b""}[damage])
    make(write_recipe(), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tiny)


def test_chunks_of_other_code_are_not_picked_up(
    tiny: Path, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve, other = ImpedanceSolver.solve, tmp_path / "other" / "cell"
    shutil.copytree(factory.SOURCES / "cell", other)
    (other / "static_lu.c").write_text("/* another */")
    with monkeypatch.context() as patch:
        patch.setattr(factory, "_put_together", interrupt)
        patch.setattr(factory, "SOURCES", tmp_path / "other")
        patch.setattr(ImpedanceSolver, "solve", lambda *a: replace(solved := solve(*a), z_ohm=2 * solved.z_ohm))
        with pytest.raises(KeyboardInterrupt):
            make(write_recipe(), tmp_path / "out")
    make(write_recipe(), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tiny)


@pytest.mark.parametrize("name", ["cell/static_lu.c", "cell/esoh.py", "dataset/design.py"])
def test_every_source_counts(tmp_path: Path, name: str) -> None:
    for part in ("cell", "dataset"):
        shutil.copytree(factory.SOURCES / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    before = factory._code_sha256(tmp_path)
    assert before == factory._code_sha256(factory.SOURCES)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")
    assert factory._code_sha256(tmp_path) != before


def test_workers_leave_ctrl_c_to_the_process_that_started_them_and_die_with_it(tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        workers = {int(owner.stdout.readline()) for _ in range(2)}
        assert len(workers) == 2 and owner.pid not in workers and 0 not in workers
        owner.kill()
    deadline = time.monotonic() + 20
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))


OWNER = """
import os, signal, time
from eishil.dataset import pools

def work(number):
    ignores = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    os.write(1, b"%d" % (ignores * os.getpid()) + bytes([10]))  # in one piece: both workers write
    time.sleep(60)

list(pools.local(work, range(2), workers=2))
"""


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_a_full_disk_leaves_no_data_set_and_the_next_run_ends_it(
    tiny: Path, write_recipe: WriteRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, []

    def full_at_fourth(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) >= 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_at_fourth)
        with pytest.raises(EishilError, match="cannot be written: No space left on device"):
            make(write_recipe(), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["work"]
    assert {path.suffix for path in (tmp_path / "out" / "work").iterdir()} == {".chunk"}
    make(write_recipe(), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tiny)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_killed_twenty_times_and_the_same_bytes(tiny: Path, write_recipe: WriteRecipe, tmp_path: Path) -> None:
    script = tmp_path / "killer.py"
    script.write_text(KILLER)
    out, recipe = tmp_path / "out", write_recipe()
    result = subprocess.run(
        [sys.executable, script, recipe, out], capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    kills, whole, chunks_seen = map(int, result.stdout.split())
    assert kills >= 20 and whole >= 2 and chunks_seen >= 5
    expected = contents(tiny)
    for k in range(whole):
        assert contents(out / str(k)) == expected
        assert sorted(path.name for path in (out / str(k)).iterdir()) == sorted(LEFT_BEHIND)


# Each attempt is a fork of a process that has imported all and built the solver: only making the data set is killed.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path

sys.path.insert(0, TESTS)
from eishil.dataset.recipe import Recipe
from eishil.dataset.snapshots import solve_block, solver_for
from eishil.dataset.design import blocks
from support.tiny_dataset import make

recipe_path, out = Path(sys.argv[1]), Path(sys.argv[2])
recipe = Recipe.load(recipe_path)
solve_block(recipe, blocks(recipe, 16)[0])
rng, kills, whole, duration_s, chunks = random.Random(3), 0, 0, None, set()
while kills < 20 or whole < 2 or len(chunks) < 5:
    start = time.monotonic()
    child = os.fork()
    if not child:
        make(recipe_path, out / str(whole))
        os._exit(0)
    if duration_s is not None:
        time.sleep(rng.uniform(0, duration_s))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    chunks.add(len(list((out / str(whole) / "work").glob("*.chunk"))))
    if status == 0:
        took_s = time.monotonic() - start
        duration_s = min(duration_s or took_s, took_s)
        whole += 1
    elif os.WIFSIGNALED(status):
        kills += 1
    else:
        sys.exit(1)
print(kills, whole, len(chunks))
""".replace("TESTS", repr(str(ROOT / "tests")))
