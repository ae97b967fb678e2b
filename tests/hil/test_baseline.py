"""Flash, RAM, stack and instructions of the committed model's firmware against bench/baseline.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from eishil.errors import RecipeError
from eishil.model import Model
from eishil_bench.firmware.baseline import Baseline, Bounds, growths, load_baseline, write_baseline
from eishil_bench.firmware.build import FirmwareImage, build_firmware
from eishil_bench.firmware.environments import boards
from eishil_bench.firmware.firmware_bench import bounds_of, build_variant, core_sizes
from eishil_bench.firmware.model_variants import variants
from support.images import IMAGES


@pytest.mark.parametrize("env", boards())
def test_nothing_grew_beyond_the_baseline(
    env: str, generated_dir: Path, first_light_model: Model, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    image: FirmwareImage = (
        request.getfixturevalue(IMAGES[env]) if env in IMAGES else build_firmware(env, generated_dir, tmp_path)
    )
    assert [str(growth) for growth in growths(load_baseline(), {env: bounds_of(image, first_light_model)})] == []


def test_a_core_of_five_states_is_small(first_light_model: Model, tmp_path: Path) -> None:
    """The bounds of docs/cycles.md: core with its model in the flash, one cell with the work area in the RAM, stack."""
    image = build_variant(variants(first_light_model)["ekf 5"], "nucleo_f446re", tmp_path)
    core = core_sizes(tmp_path, "nucleo_f446re")
    sizes = {name: core[name] or 0 for name in core}
    assert 8 * 1024 < sizes["flash_bytes"] <= 16 * 1024
    assert 1024 < sizes["instance_ram_bytes"] + sizes["work_ram_bytes"] <= 3 * 1024
    assert 0 < sizes["stack_bytes"] < (image.stack_bytes or 0) <= 1024


def test_the_image_of_the_committed_model_needs_little_stack(qemu_image: FirmwareImage) -> None:
    assert qemu_image.stack_bytes is not None and 0 < qemu_image.stack_bytes <= 1024


def small(**changes: int) -> Bounds:
    figures = {"flash_bytes": 1000, "ram_bytes": 1000, "stack_bytes": 1000, "step_instructions": 1000}
    return Bounds.model_validate(figures | changes)


def test_a_figure_that_grew_is_named() -> None:
    baseline = Baseline(reason="figures of a test", allowed_growth_percent=3, environments={"a": small()})
    assert growths(baseline, {"a": small(flash_bytes=1030, ram_bytes=10)}) == []
    (growth,) = growths(baseline, {"a": small(stack_bytes=1031)})
    assert str(growth) == "a: stack_bytes 1031 is 3.1% above 1000 of bench/baseline.toml"
    (growth,) = growths(baseline, {"a": small(step_instructions=2000)})
    assert growth.figure == "step_instructions"
    with pytest.raises(RecipeError, match="has no environment unknown"):
        growths(baseline, {"unknown": small()})


def test_a_baseline_without_a_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    baseline = Baseline(reason="figures of a test", allowed_growth_percent=3, environments={"a": small()})
    write_baseline(baseline, path)
    assert load_baseline(path) == baseline
    path.write_text(path.read_text().replace("figures of a test", ""))
    with pytest.raises(RecipeError, match=r"baseline\.toml: reason: "):
        load_baseline(path)
