"""Several targets in threads: failures do not stop the others, an interrupt stops all."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from eishil.errors import TargetError
from eishil.progress import silent
from eishil_bench.dut import target_spec
from eishil_bench.runs.target_run import all_at_once

SPECS = [target_spec("native"), target_spec("qemu"), target_spec("native_sanitized")]


def test_results_are_in_the_order_of_the_targets():
    met = threading.Barrier(len(SPECS), timeout=20)

    def run(spec, progress):
        met.wait()
        return spec.name

    assert all_at_once(run, SPECS, silent) == [spec.name for spec in SPECS]


def test_what_fails_is_told_when_all_have_ended():
    ended = []

    def run(spec, progress):
        if spec.name == "native":
            raise TargetError("native is broken")
        ended.append(spec.name)
        if spec.name == "qemu":
            raise TargetError("qemu as well")

    with pytest.raises(TargetError, match=r"^native is broken; qemu as well$"):
        all_at_once(run, SPECS, silent)
    assert sorted(ended) == ["native_sanitized", "qemu"]


def test_a_bug_is_no_sentence():
    def run(spec, progress):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        all_at_once(run, SPECS, silent)


def test_interrupt_ends_every_target():
    stopped = []

    def run(spec, progress):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                progress("run", 0, 1)
            except TargetError:
                stopped.append(spec.name)
                raise
            time.sleep(0.01)

    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        all_at_once(run, SPECS, silent)
    assert sorted(stopped) == sorted(spec.name for spec in SPECS)
