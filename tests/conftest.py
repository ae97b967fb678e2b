"""What several folders of tests share: the committed model and the images built from it, once per session."""

from __future__ import annotations

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
    items[:] = wanted


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


def _build(env: str, generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    with FileLock(shared_dir / f"{env}.lock", timeout=300):
        return build_firmware(env, generated_dir, shared_dir / "firmware" / env)


@pytest.fixture(scope="session")
def native_image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    """The firmware as a program of this machine."""
    return _build("native", generated_dir, shared_dir)


@pytest.fixture(scope="session")
def sanitized_image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    """The same under AddressSanitizer and UndefinedBehaviorSanitizer."""
    return _build("native_sanitized", generated_dir, shared_dir)


@pytest.fixture(scope="session")
def qemu_image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    """The Nucleo's image, which QEMU runs unchanged."""
    return _build("nucleo_f446re", generated_dir, shared_dir)


@pytest.fixture(scope="session")
def f411_image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    """An F411's image, which QEMU's F405 runs too."""
    return _build("nucleo_f411re", generated_dir, shared_dir)


@pytest.fixture(scope="session")
def l476_image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    """Built only: no emulator here knows the chip."""
    return _build("nucleo_l476rg", generated_dir, shared_dir)


@pytest.fixture(scope="session")
def g474_image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    """Built only: no emulator here knows the chip."""
    return _build("nucleo_g474re", generated_dir, shared_dir)


@pytest.fixture(scope="session")
def h743_image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    """Built only: no emulator here knows the chip."""
    return _build("nucleo_h743zi", generated_dir, shared_dir)


@pytest.fixture(scope="session")
def cortex_m7_image(generated_dir: Path, shared_dir: Path) -> FirmwareImage:
    """The firmware for QEMU's Cortex-M7."""
    return _build("mps2_an500", generated_dir, shared_dir)
