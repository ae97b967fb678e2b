"""What several folders of tests share: the committed model and the images built from it, once per session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from eishil.codegen import generate
from eishil.model import Model
from eishil.network.onnx_files import load_float_network
from eishil_bench.dut import load_targets
from eishil_bench.firmware.build import FirmwareImage, build_firmware

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_TARGETS = ("native", "native_sanitized", "qemu", "qemu_m7")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        action="append",
        metavar="NAME",
        help=f"run the tests of this target instead of those of {', '.join(DEFAULT_TARGETS)}; may be repeated. "
        "A named target that is not there fails.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of a target are those with its name in a parameter or in the marker `target`; the others always run."""
    chosen = config.getoption("--target") or DEFAULT_TARGETS
    known = set(load_targets())
    if unknown := set(chosen) - known:
        raise pytest.UsageError(f"--target {unknown.pop()}: known are {', '.join(sorted(known))}")
    wanted = [item for item in items if targets_of(item) & known <= set(chosen)]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    # Files with slow tests first: none of them is then what one worker waits for at the end.
    slow = {item.path for item in wanted if item.get_closest_marker("slow")}
    items[:] = sorted(wanted, key=lambda item: item.path not in slow)


def targets_of(item: pytest.Item) -> set[str]:
    """Strings that may be targets: parameters and markers, but not `env`: builds for boards bear the boards' names."""
    callspec = getattr(item, "callspec", None)
    params = callspec.params.items() if callspec else ()
    named = {value for name, value in params if isinstance(value, str) and name != "env"}
    return named | {marker.args[0] for marker in item.iter_markers("target")}


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """One folder for this session, whichever worker of pytest-xdist asks."""
    base = tmp_path_factory.getbasetemp()
    worker = hasattr(request.config, "workerinput")
    return base.parent if worker else base


@pytest.fixture(scope="session")
def first_light_model() -> Model:
    """The committed model."""
    return Model.load(ROOT / "datasets" / "models" / "first_light" / "model.json")


@pytest.fixture(scope="session")
def generated_dir(first_light_model: Model, shared_dir: Path) -> Path:
    """wire.h, model_size.h, model.c and network_real.c of the committed model, freshly generated."""
    folder = shared_dir / "generated"
    with FileLock(shared_dir / "generated.lock", timeout=120):
        if not (folder / "model.c").is_file():
            network = load_float_network(ROOT / "datasets" / "models" / "first_light" / "network_float.onnx")
            generate(first_light_model, folder, network)
    return folder


def _image_of(env: str) -> Callable[[Path, Path], FirmwareImage]:
    """A fixture: the environment's image, built once however many workers ask."""

    @pytest.fixture(scope="session")
    def image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
        with FileLock(shared_dir / f"{env}.lock", timeout=300):
            return build_firmware(env, generated_dir, shared_dir / "firmware" / env)

    return image


native_image = _image_of("native")
sanitized_image = _image_of("native_sanitized")
qemu_image = _image_of("nucleo_f446re")  # which QEMU and Renode run unchanged
cortex_m7_image = _image_of("mps2_an500")  # for QEMU's Cortex-M7
f411_image = _image_of("nucleo_f411re")  # which QEMU's F405 runs too
h743_image = _image_of("nucleo_h743zi")  # which Renode runs
# Built only: no emulator here knows these chips.
l476_image = _image_of("nucleo_l476rg")
g474_image = _image_of("nucleo_g474re")
