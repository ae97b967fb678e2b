"""The figures of `eishil bench link`, each from a campaign of `campaigns`."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eishil.files import write_atomic
from eishil.model import Model
from eishil.progress import Progress
from eishil_bench.firmware.model_variants import with_modes_as_states
from eishil_bench.link.campaigns import (
    DATASETS,
    ONLY_BYTES,
    WINDOW,
    Bench,
    disturb,
    kill,
    parse_noise,
    speeds,
    utilise,
)
from eishil_bench.record.recorded import MODEL_FILE

BAUD_Bd = 921_600


@dataclass(frozen=True)
class LinkFigures:
    """Figures of `eishil bench link`.

    `frames`: put on the damaged line, both ways; of their bytes `damaged` were changed, dropped or doubled. `lost`:
    exchanges given up; `wrong`: estimates that differ from the undisturbed run's. `resets`, `closed_ports`, `kills`: of
    target, line and host, all in the same runs. `bit_equal`: whether every estimate of all campaigns was that of the
    undisturbed run. `random_bytes`: taken by each parser; `accepted`: frames that either found in them; `grown_bytes`:
    of the device's memory meanwhile. `wire_utilisation`: step traffic of the busier direction over what a paced
    pseudo-terminal at `baud_Bd` carries.

    Under QEMU, one device and image, in turns: `steps_per_s_stop_and_wait`, brief replies, each request sent when the
    reply before it is there; `steps_per_s_windowed`, brief replies, several requests on their way;
    `steps_per_s_full_replies`, one at a time, a covariance in every reply. `speedup_over_stop_and_wait` is the second
    over the first, `speedup_over_full_replies` the second over the third. `host_ms_per_step` and
    `emulator_ms_per_step` are processor time of the first and, `_windowed`, of the second: what there is to overlap.
    """

    frames: int
    damaged: int
    lost: int
    wrong: int
    bit_equal: bool
    resets: int
    closed_ports: int
    kills: int
    random_bytes: int
    accepted: int
    grown_bytes: int
    baud_Bd: int
    wire_utilisation: float
    steps_per_s_stop_and_wait: float
    steps_per_s_windowed: float
    speedup_over_stop_and_wait: float
    steps_per_s_full_replies: float
    speedup_over_full_replies: float
    round_trip_median_ms: float
    host_ms_per_step: float
    emulator_ms_per_step: float
    emulator_ms_per_step_windowed: float


def bench_link(progress: Progress, scale: float = 1.0, seed: int = 0) -> LinkFigures:
    """All campaigns; `scale` makes them shorter."""
    model = Model.load(DATASETS / "models" / "first_light" / MODEL_FILE)

    def count(full: int) -> int:
        return max(1, int(full * scale))

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # A reply of 12 states, 406 bytes, would get through such a line once in 60 times.
        small = Bench.make(with_modes_as_states(model), "native", folder / "small")
        whole = Bench.make(model, "native", folder / "whole")
        progress("link", 0, 4, "speed")
        speeds = _speeds(whole, Bench.make(model, "nucleo_f446re", folder / "emulated"), count(1000))
        progress("link", 1, 4, "damaged bytes")
        noisy = disturb(small, ONLY_BYTES, seed, frames=count(100_000), tell=progress)
        progress("link", 2, 4, "random bytes")
        n_bytes = count(10_000_000)
        accepted, grown_bytes = parse_noise(whole, n_bytes, seed + 1)
        progress("link", 3, 4, "kills of the host and resets of the target")
        killed = kill(whole, count(100), count(100), seed + 2, folder, progress)
        progress("link", 4, 4)
    return LinkFigures(
        frames=noisy.frames,
        damaged=noisy.damaged,
        lost=noisy.lost,
        wrong=noisy.wrong,
        bit_equal=noisy.wrong == 0 and killed.bit_equal,
        resets=killed.resets,
        closed_ports=killed.closed_ports,
        kills=killed.kills,
        random_bytes=n_bytes,
        accepted=accepted,
        grown_bytes=grown_bytes,
        **speeds,
    )


def _speeds(native: Bench, emulated: Bench, steps: int) -> dict[str, Any]:
    """The figures of time, by name."""
    utilisation = utilise(native, steps, BAUD_Bd)
    one, windowed, full = speeds(emulated, "qemu", steps, [(1, steps), (WINDOW, steps), (1, 1)])
    return {
        "baud_Bd": BAUD_Bd,
        "wire_utilisation": utilisation,
        "steps_per_s_stop_and_wait": one.steps_per_s,
        "steps_per_s_windowed": windowed.steps_per_s,
        "speedup_over_stop_and_wait": windowed.steps_per_s / one.steps_per_s,
        "steps_per_s_full_replies": full.steps_per_s,
        "speedup_over_full_replies": windowed.steps_per_s / full.steps_per_s,
        "round_trip_median_ms": one.round_trip_ms,
        "host_ms_per_step": one.host_ms,
        "emulator_ms_per_step": one.emulator_ms,
        "emulator_ms_per_step_windowed": windowed.emulator_ms,
    }


def save(figures: LinkFigures, path: Path) -> None:
    """Write the figures as JSON."""
    write_atomic(path, json.dumps(asdict(figures), indent=1) + "\n")


def command(path: Path | None, scale: float) -> None:
    """Run the campaigns, tell the figures, and write them where wanted."""
    from eishil_bench import terminal
    from eishil_bench.dut import require_target, target_spec

    require_target(target_spec("qemu"))
    with terminal.progress_bars() as progress:
        figures = bench_link(progress, scale)
    if path is not None:
        save(figures, path)
    for name, value in asdict(figures).items():
        terminal.results_console().print(f"{name:<28} {value:g}" if isinstance(value, float) else f"{name:<28} {value}")
