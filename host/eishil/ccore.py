"""`firmware/core` compiled for this machine and called through cffi: the same C that the firmware links.

The declarations come from the real headers (`cc -E -P`); nothing is declared twice.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import cffi
import numpy as np
from numpy.typing import NDArray

from eishil import wire
from eishil.errors import ToolError
from eishil.files import write_atomic
from eishil.filters.step import StepInput, StepOutput

REPOSITORY = Path(__file__).resolve().parents[2]
CORE = REPOSITORY / "firmware" / "core"
API_HEADERS = tuple(
    f"{name}.h"
    for name in ("commissioning", "curvature", "estimator", "ekf", "fmath", "frame", "integrity", "nn", "readout")
)
# The flags that fix the arithmetic are the firmware's: no contraction to fused multiply-add, no errno in sqrtf.
FLAGS = ("-std=c11", "-O2", "-ffp-contract=off", "-fno-math-errno")
WARNINGS = ("-Wall", "-Wextra", "-Wdouble-promotion", "-Wconversion", "-Wmissing-prototypes", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O0")
COVERAGE = "--coverage"
REJECTED = (wire.ENUMS["status"]["REJECTED_INPUT"], wire.ENUMS["status"]["REJECTED_COVARIANCE"])


class CoreLibrary:
    """The core and one generated model as a shared library.

    Attributes
    ----------
    path
        The shared library.
    ffi, lib
        cffi's view of it; `lib` has every function of the headers and `eishil_model`.
    """

    def __init__(self, path: Path, declarations: str) -> None:
        self.path = path
        self.ffi = cffi.FFI()
        self.ffi.cdef(declarations)
        self.lib: Any = self.ffi.dlopen(str(path))

    @classmethod
    def build(cls, generated_dir: Path, sanitize: bool = False, options: tuple[str, ...] = ()) -> CoreLibrary:
        """Compile, or take what an earlier call compiled from the same bytes.

        Parameters
        ----------
        generated_dir
            Holds `model_size.h` and `model.c`.
        sanitize
            With AddressSanitizer and UndefinedBehaviorSanitizer; the process must have libasan loaded first.
        options
            Further options of the compiler; they win over those before them.

        Raises
        ------
        ToolError
            There is no C compiler, no source, or it does not compile.
        """
        sources = _sources(generated_dir)
        wanted = os.environ.get("EISHIL_CORE_OPTIONS", "").split()
        flags = (*FLAGS, *WARNINGS, *(SANITIZERS if sanitize else ()), *options, *wanted)
        path = _cache_dir() / f"core_{_content_hash(sources, generated_dir, flags)}.so"
        if not path.exists():
            _compile(sources, generated_dir, flags, path)
        return cls(path, _declarations(generated_dir))

    @cached_property
    def model(self) -> Any:
        """`const model_t *` of the generated model."""
        return self.ffi.addressof(self.lib, "eishil_model")

    def estimator(self) -> CEstimator:
        """A new estimator at the model's prior."""
        return CEstimator(self)

    def network(self, v: NDArray[np.floating]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Accumulators (m,) and Jacobian accumulators (m, n_inputs) at physical inputs `v` (n_inputs,)."""
        nn = self.ffi.addressof(self.model.network)
        q = [self.lib.nn_quantise_input(nn, j, float(value)) for j, value in enumerate(v)]
        return self.network_quantised(np.array(q, dtype=np.int32))

    def network_quantised(self, q: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The same at 12-bit inputs `q` (n_inputs,)."""
        nn = self.ffi.addressof(self.model.network)
        inputs = np.ascontiguousarray(q, dtype=np.int32)
        if inputs.shape != (nn.n_inputs,):
            raise ValueError(f"the network has {nn.n_inputs} inputs, not shape {inputs.shape}")
        work = self.ffi.new("nn_work_t *")
        self.lib.nn_evaluate(nn, self.ffi.from_buffer("int32_t[]", inputs), work)
        rows, columns = range(nn.n_outputs), range(nn.n_inputs)
        accumulator = np.array([self.lib.nn_accumulator(nn, work, i, 0) for i in rows], np.int32)
        jacobian = np.array([[self.lib.nn_jacobian_accumulator(work, i, c) for c in columns] for i in rows], np.int32)
        return accumulator, jacobian


class CEstimator:
    """One `estimator_t`; starts at the model's prior."""

    def __init__(self, core: CoreLibrary) -> None:
        self.core = core
        self.state: Any = core.ffi.new("estimator_t *")
        self._work: Any = core.ffi.new("estimator_work_t *")
        self._output: Any = core.ffi.new("estimator_output_t *")
        self.reset()

    def reset(self) -> None:
        """Back to the prior."""
        self.core.lib.estimator_init(self.state, self.core.model)

    def network(self, v: NDArray[np.floating]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """As `CoreLibrary.network`."""
        return self.core.network(v)

    def step(self, step: StepInput) -> StepOutput:
        """One spectrum, in float32; after a refused one the estimate before it, with NIS and n_used 0."""
        ffi, lib, model = self.core.ffi, self.core.lib, self.core.model
        z = np.asarray(step.z_ohm)
        if z.shape != (model.n_frequencies,) or step.valid.shape != z.shape:
            raise ValueError(f"the model has {model.n_frequencies} frequencies, not shape {z.shape}")
        z_real_ohm = _float32(z.real)
        z_imag_ohm = _float32(z.imag)
        given = ffi.new("estimator_input_t *")
        given.elapsed_cycles = step.elapsed_cycles
        given.voltage_V = step.voltage_V
        given.temperature_degC = step.temperature_degC
        given.valid_mask = sum(1 << k for k, valid in enumerate(step.valid) if valid)
        given.z_real_ohm = ffi.from_buffer("float[]", z_real_ohm)
        given.z_imag_ohm = ffi.from_buffer("float[]", z_imag_ohm)
        status = lib.estimator_step(self.state, model, self._work, given, self._output)
        if status in REJECTED:
            lib.estimator_report(self.state, model, self._work, self._output)
        return self._to_output(status)

    def _to_output(self, status: int) -> StepOutput:
        out, n = self._output, self.core.model.n_states
        P = np.zeros((n, n), dtype=np.float32)
        P[np.triu_indices(n)] = list(out.P)
        return StepOutput(
            status=status,
            n_used=out.n_used,
            nis=out.nis,
            x=np.array(list(out.x), dtype=np.float32),
            P=P + np.triu(P, 1).T,
            readout=np.array(list(out.readout), dtype=np.float32),
            readout_sigma=np.array(list(out.readout_sigma), dtype=np.float32),
        )


def _float32(values: NDArray[np.floating]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # infinity is what the core shall see
        return np.ascontiguousarray(values, dtype=np.float32)


def compiler() -> str:
    """The C compiler: `$CC` or `cc`."""
    name = os.environ.get("CC", "cc")
    found = shutil.which(name)
    if found is None:
        raise ToolError(f"there is no C compiler `{name}`; install one, for example `apt-get install gcc`, or set CC")
    return found


def _sources(generated_dir: Path) -> list[Path]:
    sources = sorted(CORE.glob("*.c"))
    model = generated_dir / "model.c"
    if not sources:
        raise ToolError(f"{CORE}: the C core is not there; run eishil from a checkout of its repository")
    if not model.is_file():
        raise ToolError(f"{model}: there is no generated model; `eishil generate RECIPE` makes one")
    return [*sources, *sorted(generated_dir.glob("*.c"))]


def _content_hash(sources: list[Path], generated_dir: Path, options: tuple[str, ...]) -> str:
    files = [*sources, *sorted(CORE.glob("*.h")), *sorted(generated_dir.glob("*.h"))]
    content = hashlib.sha256(repr((compiler(), options)).encode())
    for file in files:
        content.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()[:16]


def _cache_dir() -> Path:
    """Beside the sources, or where they are read-only in the user's own cache: never where others may write."""
    if "EISHIL_CORE_CACHE" in os.environ:
        return Path(os.environ["EISHIL_CORE_CACHE"])
    if os.access(REPOSITORY, os.W_OK):
        return REPOSITORY / "build" / "ccore"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "eishil" / "ccore"


def _compile(sources: list[Path], generated_dir: Path, options: tuple[str, ...], path: Path) -> None:
    command = [compiler(), *options, "-shared", "-fPIC", "-Wl,-Bsymbolic", f"-I{CORE}", f"-I{generated_dir}"]
    if COVERAGE in options:  # its notes and counts lie beside the library, under the library's first name
        path.parent.mkdir(parents=True, exist_ok=True)
        _run([*command, "-o", str(path), *map(str, sources), "-lm"])
        return
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / path.name
        _run([*command, "-o", str(built), *map(str, sources), "-lm"])
        write_atomic(path, built.read_bytes())


def _declarations(generated_dir: Path) -> str:
    """Types and prototypes of the headers, without those of the system: cffi knows the integer types by itself."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("math.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"):
            (Path(scratch) / name).touch()
        api = Path(scratch) / "api.h"
        api.write_text("".join(f'#include "{name}"\n' for name in API_HEADERS))
        text = _run([compiler(), "-E", "-P", "-nostdinc", f"-I{scratch}", f"-I{CORE}", f"-I{generated_dir}", str(api)])
    text = _without_bodies(text)
    # Of a library that is opened by name, cffi takes a const variable for a constant that it would have to compile.
    return text.replace("extern const", "extern")


def _without_bodies(text: str) -> str:
    """Inline functions as prototypes; static functions and tables, which no library exports, not at all."""
    text = re.sub(r"static const [^;]*;", "", text)
    text = re.sub(r"(?ms)^(?:static )?inline [^;{]*\{.*?^\}", lambda found: found[0].split("{")[0].strip() + ";", text)
    return re.sub(r"(?m)^static [^;]*;", "", text).replace("inline ", "")


def _run(command: list[str]) -> str:
    # What a sanitized core needs loaded first is for this process: a compiler under it takes half as long again.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode != 0:
        lines = (line for line in result.stderr.splitlines() if "error" in line)
        first = next(lines, result.stderr.strip()[:200])
        raise ToolError(f"{Path(command[0]).name} failed to compile the C core: {first}")
    return result.stdout
