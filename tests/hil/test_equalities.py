"""Equalities of docs/design.md that need a target: it computes what Python and the host's C compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eishil import wire
from eishil.ccore import CoreLibrary
from eishil.dataset.recipe import Recipe
from eishil.dataset.tables import Dataset
from eishil.filters.ekf import Ekf
from eishil.filters.step import StepInput, StepOutput
from eishil.model import Model
from eishil.network.integer import IntegerReference
from eishil.network.onnx_files import load_float_network
from eishil_bench.dut import open_dut
from eishil_bench.firmware.build import FirmwareImage
from eishil_bench.firmware.firmware_bench import build_variant
from eishil_bench.firmware.model_variants import variants
from eishil_bench.link.session import Session, refuse_stranger, stream
from eishil_bench.runs.limits import load_limits
from eishil_bench.runs.stimulus import held_out_trajectories
from support.estimates import bits, spoiled

IMAGES = {
    "native": "native_image",
    "native_sanitized": "sanitized_image",
    "qemu": "qemu_image",
    "qemu_m7": "cortex_m7_image",
    "renode": "qemu_image",
    "renode_h743": "h743_image",
}
DATASETS = Path(__file__).resolve().parents[2] / "datasets"


@pytest.fixture(scope="module")
def lives(first_light_model: Model) -> list[list[StepInput]]:
    """Held-out cells of the committed sample, and one more whose last third has points masked or of a wrong sign."""
    sample, recipe = Dataset.open(DATASETS / "sample"), Recipe.load(DATASETS / "recipes" / "first_light.toml")
    trajectories = held_out_trajectories(sample, recipe, first_light_model)
    cells = [[spectrum.measured for spectrum in trajectory.spectra] for trajectory in trajectories]
    rng, sound = np.random.default_rng(11), 2 * len(cells[0]) // 3
    return [*cells, [*cells[0][:sound], *(spoiled(rng, step) for step in cells[0][sound:])]]


def on_target(target: str, image: FirmwareImage, model: Model, lives: list[list[StepInput]]) -> list[StepOutput]:
    with open_dut(target, image) as dut:
        session = Session(dut, model)
        refuse_stranger(dut.name, session.hello(), model, image.build_id)
        return [step.output for life in lives for step in stream(session, life)]


@pytest.mark.parametrize("target", IMAGES)
def test_equality_2_integer_network_on_target(target, request, first_light_model):
    image = request.getfixturevalue(IMAGES[target])
    reference = IntegerReference(first_light_model.network)
    rng = np.random.default_rng(2)
    mean, std = np.array(first_light_model.network.input_mean), 512 / np.array(first_light_model.network.input_scale)
    inputs = mean + std * rng.normal(0.0, 1.5, (40, len(mean)))
    extremes = mean + std * np.outer([-1e6, -4.0, 0.0, 4.0, 1e6], np.ones(len(mean)))
    with open_dut(target, image) as dut:
        session = Session(dut, first_light_model)
        session.hello()
        for v in (*inputs, *extremes):
            accumulator, jacobian = session.network(v)
            expected, expected_jacobian = reference.accumulators(reference.quantise(v))
            assert np.array_equal(accumulator, expected)
            assert np.array_equal(jacobian, expected_jacobian)


def test_equality_3_float32_core_is_bit_equal_native_cortex_m4_cortex_m7(
    first_light_model, native_image, qemu_image, cortex_m7_image, generated_dir, lives
):
    host = []
    for life in lives:
        estimator = CoreLibrary.build(generated_dir).estimator()
        host += [bits(estimator.step(step)) for step in life]
    native = [bits(output) for output in on_target("native", native_image, first_light_model, lives)]
    emulated = [bits(output) for output in on_target("qemu", qemu_image, first_light_model, lives)]
    cortex_m7 = [bits(output) for output in on_target("qemu_m7", cortex_m7_image, first_light_model, lives)]
    assert native == host
    assert emulated == host
    assert cortex_m7 == host
    # An estimator that stands still, or spectra that it all accepts, would prove less.
    assert len({estimate[2:] for estimate in host[: len(lives[0])]}) == len(lives[0])
    assert {estimate[0] for estimate in host} >= {wire.ENUMS["status"]["OK"], wire.ENUMS["status"]["POINTS_SKIPPED"]}


def test_assembly_for_five_states_is_bit_equal_to_c(first_light_model, lives, tmp_path):
    """The demo's model has twelve; the paths that only a small one takes (`ekf_five.h`, `information_six.h`)."""
    small = variants(first_light_model)["ekf 5"]
    image = build_variant(small, "nucleo_f446re", tmp_path)
    core = CoreLibrary.build(tmp_path / "generated")
    host = []
    for life in lives:
        estimator = core.estimator()
        host += [bits(estimator.step(step)) for step in life]
    assert [bits(output) for output in on_target("qemu", image, small, lives)] == host
    assert {estimate[0] for estimate in host} >= {wire.ENUMS["status"]["OK"], wire.ENUMS["status"]["POINTS_SKIPPED"]}


def test_equality_4_float32_against_float64_within_limits(first_light_model, qemu_image, lives):
    limits = load_limits()
    device = on_target("qemu", qemu_image, first_light_model, lives)
    ekf = Ekf(first_light_model, load_float_network(DATASETS / "models" / "first_light" / "network_float.onnx"))
    reference = []
    for life in lives:
        ekf.reset()
        reference += [ekf.step(step) for step in life]
    difference = np.array([d.readout[0] - r.readout[0] for d, r in zip(device, reference, strict=True)])
    assert np.sqrt(np.mean(difference**2)) <= limits["rms_soh_difference"].at_most
    assert np.abs(difference).max() <= limits["max_abs_soh_difference"].at_most
    for d, r in zip(device, reference, strict=True):
        assert (d.status, d.n_used) == (r.status, r.n_used)
        sigma = np.sqrt(np.diag(r.P))
        assert np.abs((d.x - r.x) / sigma).max() <= limits["max_abs_state_difference_in_sigma"].at_most
        relative = np.abs(np.sqrt(np.diag(d.P)) / sigma - 1).max()
        assert relative <= limits["max_abs_sigma_difference_relative"].at_most


def test_lives_under_the_sanitizers(first_light_model, sanitized_image, native_image, lives):
    """The sanitizers end the process on a finding, so that answers to every spectrum mean there was none."""
    sanitized = on_target("native_sanitized", sanitized_image, first_light_model, lives)
    plain = on_target("native", native_image, first_light_model, lives)
    assert [output.status for output in sanitized] == [output.status for output in plain]


def test_count_of_a_step_is_in_instructions_and_repeats(first_light_model, qemu_image, lives):
    def counts() -> list[tuple[int, int]]:
        with open_dut("qemu", qemu_image) as dut:
            session = Session(dut, first_light_model)
            assert session.hello().counter == "TIM2"
            return [(step.count, step.interrupts) for step in stream(session, lives[0][:5])]

    first, second = counts(), counts()
    assert all(5_000 < count < 1_000_000 and interrupts == 0 for count, interrupts in first)
    assert first == second
