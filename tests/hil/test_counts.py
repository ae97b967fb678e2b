"""Counts by stage from QEMU's plugin: they add up, they are what the board's own counter says, and they repeat."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from eishil.errors import ToolError
from eishil.model import Model
from eishil_bench.dut import open_dut, target_spec
from eishil_bench.firmware import firmware_bench, peers
from eishil_bench.firmware.build import FirmwareImage
from eishil_bench.firmware.cortex_m4 import Image
from eishil_bench.firmware.counts import CountingQemu, build_plugin, read_counts
from eishil_bench.firmware.environments import definitions_of
from eishil_bench.firmware.firmware_bench import ENTRY, FUNCTIONS, STAGES
from eishil_bench.firmware.model_variants import variants
from eishil_bench.link.session import DeviceStep, Session, stream
from support.estimates import bits

# 100 calls of a function of 2 + 3 * 10 + 1 instructions, within a stage that adds its own around them.
PROGRAM = r"""
void call_peer(unsigned repetition);
void inner(void);
__attribute__((naked, noinline)) void inner(void)
{
    __asm volatile("movs r0, #10\n nop\n 1: subs r0, #1\n nop\n bne 1b\n bx lr");
}
void call_peer(unsigned repetition)
{
    (void)repetition;
    for (unsigned i = 0; i < 100; i++) {
        inner();
    }
}
"""
READING_PROGRAM = r"""
void call_peer(unsigned repetition);
extern const unsigned table[1024];
const unsigned table[1024] __attribute__((aligned(16))) = {1};
static volatile unsigned sum;
void call_peer(unsigned repetition)
{
    unsigned found = repetition;
    for (unsigned i = 0; i < 1024; i++) {
        found += ((const volatile unsigned *)table)[i];
    }
    sum = found;
}
"""
# 100 reads of two words, one of them halves of two.
SPLIT_PROGRAM = r"""
void call_peer(unsigned repetition);
static char bytes[12] __attribute__((aligned(4)));
__attribute__((naked, noinline)) static void read_words(const char *from)
{
    __asm volatile("ldr r1, [r0]\n ldr r1, [r0, #OFFSET]\n ldrd r2, r3, [r0, #4]\n bx lr");
}
void call_peer(unsigned repetition)
{
    (void)repetition;
    for (unsigned i = 0; i < 100; i++) {
        read_words(bytes);
    }
}
"""
# Reading TIM2 before and after a step.
COUNTER_instructions = 40


@pytest.fixture
def spectra(first_light_model: Model):
    return firmware_bench.held_out_spectra(first_light_model)[:3]


def test_counts_of_a_program_whose_counts_are_known(tmp_path: Path) -> None:
    (tmp_path / "loop.c").write_text(PROGRAM)
    whole = peers.count_program(tmp_path, [tmp_path / "loop.c"], [])
    semihosting = ("-semihosting-config", "enable=on,target=native")
    board = CountingQemu(target_spec("qemu"), tmp_path / "peer.elf", ("call_peer", "inner"), semihosting)
    with board:
        counts = board.wait()
    assert counts["inner"].calls == 8 * 100
    assert counts["inner"].instructions == 8 * 100 * 33
    assert (counts["inner"].least, counts["inner"].most) == (33, 33)
    assert 8 * whole.instructions == counts["inner"].instructions + counts["call_peer"].instructions
    # 9 taken branches and the return refill the pipeline.
    assert counts["inner"].cycles_0ws == 8 * 100 * (33 + 10 * 2)


def test_constants_in_the_flash_are_waited_for(tmp_path: Path) -> None:
    """1024 words are 256 lines of the accelerator, each read once: five cycles for each."""
    (tmp_path / "read.c").write_text(READING_PROGRAM)
    count = peers.count_program(tmp_path, [tmp_path / "read.c"], [])
    assert 256 * 5 <= count.cycles_5ws - count.cycles_0ws < 1.1 * 256 * 5


def test_a_word_across_two_takes_two_accesses(tmp_path: Path) -> None:
    """Cortex-M4 Technical Reference Manual, "Load/store timings": one cycle more as two half-words, two as three."""

    def cycles(offset: int) -> int:
        source = tmp_path / "split.c"
        source.write_text(SPLIT_PROGRAM.replace("OFFSET", str(offset)))
        return peers.count_program(tmp_path, [source], []).cycles_0ws

    aligned = cycles(4)
    assert [cycles(offset) - aligned for offset in (2, 5)] == [100, 200]


def test_stages_add_up_to_what_the_board_counts(qemu_image: FirmwareImage, first_light_model: Model, spectra) -> None:
    board = CountingQemu(target_spec("qemu"), qemu_image.elf, FUNCTIONS)
    with board:
        session = Session(board, first_light_model)
        session.hello()
        steps = stream(session, spectra)
        counts = board.finish()
    assert counts[ENTRY].calls == len(spectra)
    own = sum(counts[name].instructions for names in STAGES.values() for name in names if name in counts)
    # Every step takes the same. A request that was sent again interrupts one: the board counts that, a stage does not.
    told = [step.count for step in steps if step.interrupts == 0]
    assert len(told) > 0 and 0 < told[-1] - own / len(spectra) <= COUNTER_instructions
    assert 0.99 * counts[ENTRY].least * len(spectra) <= own <= counts[ENTRY].most * len(spectra)
    for stage, functions in STAGES.items():
        assert any(counts[name].instructions for name in functions if name in counts), stage
    for count in counts.values():
        assert count.instructions <= count.cycles_0ws <= count.cycles_5ws


def test_a_window_changes_no_estimate_and_no_clean_count(qemu_image: FirmwareImage, first_light_model: Model) -> None:
    """A count that says that no interrupt fell into it is that of a step alone."""

    def steps(window: int) -> list[DeviceStep]:
        with open_dut("qemu", qemu_image) as dut:
            session = Session(dut, first_light_model, window=window)
            session.hello()
            return stream(session, life)

    life = firmware_bench.held_out_spectra(first_light_model)[:24]
    one, several = steps(1), steps(4)
    assert [bits(step.output) for step in one] == [bits(step.output) for step in several]
    assert not any(step.interrupts for step in one)
    assert max(step.timing.round_trip_us for step in several) > max(step.timing.interval_us for step in several)
    clean = [index for index, step in enumerate(several) if step.interrupts == 0]
    assert clean
    for index in clean:
        assert abs(several[index].count - one[index].count) <= COUNTER_instructions


def test_counts_repeat(qemu_image: FirmwareImage, first_light_model: Model, spectra) -> None:
    def rows() -> list[dict[str, object]]:
        spec = target_spec("qemu")
        return firmware_bench.measure(spec, qemu_image, first_light_model, spectra, None).rows

    first = rows()
    assert {row["stage"] for row in first} == {*STAGES, "step", "step, worst case", "frame handling"}
    by_stage = {str(row["stage"]): row for row in first}
    assert by_stage["step, worst case"]["instructions"] >= 0.9 * by_stage["step"]["instructions"]  # type: ignore[operator]
    for row, other in zip(first, rows(), strict=True):
        if (
            row["stage"] == "frame handling"
        ):  # how often the line interrupts differs, and so does what the cache then holds
            continue
        assert (row["instructions"], row["estimated_cycles_0ws"]) == (
            other["instructions"],
            other["estimated_cycles_0ws"],
        )
        if row["estimated_cycles_5ws"] is not None:
            assert row["estimated_cycles_5ws"] == pytest.approx(other["estimated_cycles_5ws"], rel=0.01, abs=20)


def test_cortex_m7_has_instructions_and_no_cycles(
    cortex_m7_image: FirmwareImage, first_light_model: Model, spectra
) -> None:
    spec = target_spec("qemu_m7")
    run = firmware_bench.measure(spec, cortex_m7_image, first_light_model, spectra, None)
    for row in run.rows:
        assert row["instructions"] > 0
        assert row["estimated_cycles_0ws"] is None and row["estimated_cycles_5ws"] is None


def test_forward_pass_and_jacobian_add_up(
    generated_dir: Path, qemu_image: FirmwareImage, first_light_model: Model, spectra
) -> None:
    run = firmware_bench.measure(target_spec("qemu"), qemu_image, first_light_model, spectra, None)
    (both,) = (row for row in run.rows if row["stage"] == firmware_bench.NETWORK)
    assert run.with_jacobian is not None
    firmware_bench.split_network(run.rows, run.with_jacobian, peers.count_network(generated_dir))
    network, jacobian = (next(row for row in run.rows if row["stage"] == name) for name in ("network", "jacobian"))
    for figure in ("instructions", "estimated_cycles_0ws", "estimated_cycles_5ws"):
        assert network[figure] + jacobian[figure] == both[figure]
    macs = sum(len(layer.weight) * len(layer.weight[0]) for layer in first_light_model.network.layers)
    # SMLAD makes two products at once: no instruction count below half a one for each product is honest.
    assert macs / 2 < network["instructions"] < jacobian["instructions"]


def test_definitions_of_a_build() -> None:
    assert definitions_of("nucleo_f446re") == []
    assert definitions_of("nucleo_f446re_float64") == ["-DNETWORK_IS_REAL", "-DREAL_IS_DOUBLE"]


def test_emlearn_computes_the_same_network_and_is_counted() -> None:
    (row,) = firmware_bench.peers()
    assert (row["build"], row["stage"]) == ("emlearn float", "network")
    assert row["instructions"] > 6 * 32 + 32 * 32 + 32 * 22


def test_a_named_peer_that_is_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"the peer emlearn is not installed: pip install 'eishil\[peers\]'"):
        firmware_bench.peers()


def test_variants_are_valid_models_of_the_sizes_that_others_publish(first_light_model: Model) -> None:
    states = {variant.n_states for variant in variants(first_light_model).values()}
    assert states == {5, 12}


def test_a_plugin_that_wrote_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="QEMU's plugin wrote no counts"):
        read_counts(tmp_path / "missing", Image({}), ("",))
    (tmp_path / "cut").write_text("insn 0 0x8000000 1 0\n")
    with pytest.raises(ToolError, match="QEMU's plugin wrote no counts"):
        read_counts(tmp_path / "cut", Image({}), ("",))


def test_the_plugin_refuses_what_it_does_not_know(tmp_path: Path, qemu_image: FirmwareImage) -> None:
    plugin = build_plugin(tmp_path)
    command = ["qemu-system-arm", "-machine", "netduinoplus2", "-kernel", str(qemu_image.elf), "-display", "none"]
    done = subprocess.run([*command, "-plugin", f"{plugin},depth=3"], capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    assert b"stage_counts: unknown argument depth=3" in done.stderr
