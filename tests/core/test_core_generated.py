"""Generated C: the committed files, their exactness, and the models that have no C."""

from __future__ import annotations

import re
from pathlib import Path

import cffi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eishil import c_literals, codegen, wire
from eishil.ccore import CoreLibrary
from eishil.codegen_wire import wire_header
from eishil.errors import RecipeError, ToolError
from eishil.model import Model
from eishil.network.onnx_files import load_float_network
from support.core_cases import Case

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "firmware" / "generated"


def test_equality_1_generated_files_are_byte_equal(first_light: Model, tmp_path: Path) -> None:
    network = load_float_network(ROOT / "datasets" / "models" / "first_light" / "network_float.onnx")
    written = codegen.generate(first_light, tmp_path, network)
    assert [path.name for path in written] == ["wire.h", "model_size.h", "model.c", "network_real.c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in GENERATED.iterdir())
    for path in written:
        assert path.read_bytes() == (GENERATED / path.name).read_bytes(), f"{path.name}: {codegen.__doc__}"


def test_tanh_table_is_byte_equal() -> None:
    assert (ROOT / "firmware" / "core" / "nn_tanh_table.c").read_text() == codegen.tanh_table_source()


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float_literals_are_exact(value: float) -> None:
    literal = c_literals.float_literal("x", value).split("f /*")[0]
    assert np.float32(float.fromhex(literal)).tobytes() == np.float32(value).tobytes()


@given(value=st.floats(-3e38, 3e38))
def test_floats_are_rounded_once(value: float) -> None:
    literal = c_literals.float_literal("x", value).split("f /*")[0]
    assert float.fromhex(literal) == float(np.float32(value))


def test_wire_structs_have_the_layout_of_the_table(case: Case) -> None:
    sizes = case.model.dimensions()
    ffi = cffi.FFI()
    text = re.sub(r"_Static_assert\(.*?\);|#include.*|#define WIRE_DIGEST.*", "", wire_header(sizes))
    text = re.sub(r"#ifndef.*|#endif|#define EISHIL_WIRE_H", "", text)
    for symbol, size in sizes.items():
        text = text.replace(f"[WIRE_{symbol.upper()}]", f"[{size}]")
    ffi.cdef(text)
    for message in (wire.HEADER, *wire.MESSAGES):
        record, name = wire.dtype(message, sizes), f"wire_{message.name}_t"
        assert ffi.sizeof(name) == record.itemsize
        assert record.fields is not None
        for field, (_, offset) in record.fields.items():
            assert ffi.offsetof(name, field) == offset


def test_model_struct_carries_the_model(case: Case) -> None:
    model, c = case.model, case.core.model
    assert (c.n_states, c.n_modes, c.n_frequencies) == (model.n_states, model.n_modes, model.n_frequencies)
    assert (c.n_priors, c.n_series_terms) == (len(model.priors), len(model.series_terms))
    assert bytes(case.core.ffi.buffer(c.model_id)) == model.model_id[:8]
    weights = np.exp([c.prior[b].log_weight for b in range(c.n_priors)])
    expected = np.array([prior.weight for prior in model.priors])
    assert np.allclose(weights, expected / expected.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"noise": {"voltage_std_V": 1e60}}, "voltage_std_V: .* is not a finite float32"),
    ],
)
def test_a_number_that_does_not_fit_is_named(
    first_light: Model, tmp_path: Path, change: dict[str, dict[str, float]], sentence: str
) -> None:
    document = first_light.model_dump()
    for section, values in change.items():
        for key, value in values.items():
            if isinstance(document[section][key], list):
                document[section][key][0][0] = value
            else:
                document[section][key] = value
    with pytest.raises(RecipeError, match=sentence):
        codegen.generate(Model.model_validate(document), tmp_path / "generated")
    assert not (tmp_path / "generated").exists()


def test_bias_that_could_overflow_the_accumulator_is_refused(first_light: Model) -> None:
    document = first_light.model_dump()
    document["network"]["layers"][0]["bias"][3] = 2**31 - 1
    with pytest.raises(ValueError, match=r"layer 0: the accumulator of row 3 could leave int32"):
        Model.model_validate(document)


def test_a_hostile_name_stays_in_its_comment(first_light: Model, tmp_path: Path) -> None:
    named = first_light.model_copy(update={"name": "*/ #error no\n#error no"})
    codegen.generate(named, tmp_path)
    assert "#error" not in re.sub(r"/\*.*?\*/", "", (tmp_path / "model.c").read_text(), flags=re.DOTALL)
    CoreLibrary.build(tmp_path)


def test_missing_compiler_and_missing_model_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"model\.c: there is no generated model"):
        CoreLibrary.build(tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(ToolError, match="no C compiler `no-such-compiler`"):
        CoreLibrary.build(GENERATED)


def test_a_compile_error_is_told(tmp_path: Path, first_light: Model) -> None:
    codegen.generate(first_light, tmp_path)
    (tmp_path / "model.c").write_text("int broken(;\n")
    with pytest.raises(ToolError, match=r"failed to compile the C core: .*error"):
        CoreLibrary.build(tmp_path)
