"""The same network in code that others generate, counted in the same way: what ours has to be compared with."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from eishil.errors import ToolError
from eishil.files import write_atomic
from eishil.network.mlp import FloatNetwork
from eishil_bench.dut import target_spec
from eishil_bench.firmware import toolchain
from eishil_bench.firmware.counts import Count, CountingQemu

SOURCES = Path(__file__).resolve().parents[2] / "emulation" / "peers"
FLAGS = ("-std=gnu11", "-O2", "-g", "-ffp-contract=off", "-fno-math-errno", "-ffunction-sections", "-fdata-sections")
MACHINE = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
LINK = ("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", f"-Wl,-T{SOURCES / 'peer.ld'}")
_ENTRY = "call_peer"
_TIMEOUT_s = 120.0


def count_emlearn(network: FloatNetwork) -> Count:
    """One forward pass by the C that emlearn generates (float32, its default).

    Raises
    ------
    ToolError
        emlearn or a compiler is missing, or its code does not build.
    """
    with TemporaryDirectory(prefix="eishil-peer-") as folder:
        write_atomic(Path(folder) / "network.h", _emlearn_header(network))
        return count_program(Path(folder), [SOURCES / "emlearn.c"], [str(_emlearn_folder())])


def count_network(generated_dir: Path, definitions: Sequence[str] = ()) -> Count:
    """One forward pass of our own network, without Jacobian, by the sources of the firmware.

    `definitions` are those of the build, `-DNETWORK_IS_REAL` for one.
    """
    core = toolchain.PROJECT_ROOT / "firmware" / "core"
    with TemporaryDirectory(prefix="eishil-peer-") as folder:
        sources = [SOURCES / "network.c", *sorted(core.glob("*.[cS]")), *sorted(generated_dir.glob("*.c"))]
        return count_program(Path(folder), sources, [str(core), str(generated_dir)], definitions)


def count_program(folder: Path, sources: list[Path], includes: list[str], definitions: Sequence[str] = ()) -> Count:
    """Mean of the calls of `call_peer` in a bare program."""
    elf = folder / "peer.elf"
    command = [str(toolchain.cross_compiler()[0]), *FLAGS, *MACHINE, *LINK, *definitions, f"-I{folder}"]
    # The peers' own headers are not held to our warnings.
    command += [word for include in includes for word in ("-isystem", include)]
    command += [str(SOURCES / "start.c"), *map(str, sources), "-o", str(elf), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_s, check=False)
    if done.returncode != 0:
        raise ToolError(
            f"building {sources[0].name} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
        )
    semihosting = ("-semihosting-config", "enable=on,target=native")
    board = CountingQemu(target_spec("qemu"), elf, (_ENTRY,), semihosting)
    with board:
        count = board.wait()[_ENTRY]
    return count.per_call()


def _emlearn_folder() -> Path:
    spec = find_spec("emlearn")
    if spec is None or spec.origin is None:
        raise ToolError("the peer emlearn is not installed: pip install 'eishil[peers]'")
    return Path(spec.origin).parent


def _emlearn_header(network: FloatNetwork) -> str:
    _emlearn_folder()
    # Importing emlearn makes numpy raise on every underflow, for the whole process.
    before = np.geterr()
    from emlearn import net

    np.seterr(**before)

    activations = ["tanh"] * (len(network.weights) - 1) + ["identity"]
    weights = [weight.T for weight in network.weights]
    code: str = net.c_generate_net_loadable(activations, weights, list(network.biases), "network")
    features = ", ".join(f"{value:.6f}f" for value in np.linspace(-1.0, 1.0, network.n_inputs))
    return f"{code}\n#define FEATURES {{{features}}}\n#define N_OUTPUTS {len(network.biases[-1])}\n"
