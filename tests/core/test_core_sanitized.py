"""The tests of this folder once more, on a core built with AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eishil.ccore import compiler

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# Both faults are planted in the caller: a buffer that is shorter than it was said to be, and a bias that the model
# file's checks would have refused.
PLANTED = {
    "AddressSanitizer: heap-buffer-overflow": """
out = core.ffi.new("uint8_t[]", 8)
core.lib.frame_encode(out, 100, bytes(32), 32)
""",
    "signed integer overflow": """
ffi, nn = core.ffi, core.model.network
bias = ffi.new("int32_t[64]", [2**31 - 1])
layers = ffi.new("nn_layer_t[]", [nn.layer[i] for i in range(nn.n_layers)])
layers[nn.n_layers - 1].rows = bias
copy = ffi.new("nn_t *", nn)
copy.layer = layers
work = ffi.new("nn_work_t *")
work.first_column = 1
work.sum.row[0][1] = 2047
core.lib.nn_accumulator(copy, work, 0, 0)
""",
}
PRELUDE = """
from pathlib import Path
from eishil.ccore import CoreLibrary
core = CoreLibrary.build(Path("firmware/generated"), sanitize={sanitize})
"""


def run_python(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """A Python with libasan loaded first; every allocation is malloc's, so that each has its red zones."""
    library = subprocess.run(
        [compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = os.environ | {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "EISHIL_CORE_SANITIZE": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


# They do not call the core in this process, or one that is built without sanitizers.
EXCLUDED = {f"test_core_{name}.py" for name in ("sanitized", "cross", "generated", "kernels", "endurance")}
UNSANITIZED = "optimisation_level"
# Two halves, for two workers: each model is compiled in one of them.
HALF = "largest or unscented or linear_context"


@pytest.mark.slow
@pytest.mark.parametrize("half", [HALF, f"not ({HALF})"])
def test_core_under_address_and_undefined_behaviour_sanitizers(half: str) -> None:
    others = [str(path) for path in sorted(HERE.glob("test_core_*.py")) if path.name not in EXCLUDED]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-k", f"not {UNSANITIZED} and ({half})"]
    result = run_python(["-m", "pytest", *options, *others])
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "runtime error" not in result.stderr


@pytest.mark.parametrize("message", PLANTED)
def test_the_sanitizers_are_awake(message: str) -> None:
    result = run_python(["-c", PRELUDE.format(sanitize=True) + PLANTED[message]])
    assert result.returncode != 0
    assert message in result.stderr
