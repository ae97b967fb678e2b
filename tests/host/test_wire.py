"""The wire table: natural alignment, sizes against `struct`, and a digest that names the protocol."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest

from eishil import wire, wire_page

SIZES = wire.dimensions(n_states=5, n_frequencies=11, n_inputs=6, n_readouts=1)
STRUCT_CODE = {"u1": "B", "u2": "H", "u4": "I", "i2": "h", "i4": "i", "f4": "f"}


def native_layout(message: wire.Message) -> str:
    """The `struct` format of a message, with the natural alignment of the host's C compiler ("@")."""
    counts = [field.length if isinstance(field.length, int) else SIZES[field.length] for field in message.fields]
    codes = [STRUCT_CODE[field.type] for field in message.fields]
    return "@" + "".join(f"{count}{code}" for count, code in zip(counts, codes, strict=True))


@pytest.mark.parametrize("message", wire.BY_NAME.values(), ids=lambda message: message.name)
def test_a_c_compiler_would_add_no_padding(message: wire.Message) -> None:
    assert wire.dtype(message, SIZES).itemsize == struct.calcsize(native_layout(message))


@pytest.mark.parametrize("message", wire.BY_NAME.values(), ids=lambda message: message.name)
def test_every_field_is_little_endian_and_aligned(message: wire.Message) -> None:
    dtype = wire.dtype(message, SIZES)
    assert dtype.names is not None and dtype.fields is not None
    for name in dtype.names:
        field, offset = dtype.fields[name][:2]
        base = field.base
        assert offset % base.itemsize == 0
        assert base.newbyteorder("<") == base


def test_a_misaligned_field_is_refused() -> None:
    message = wire.Message("bad", 0x7E, (wire.Field("one", "u1"), wire.Field("four", "u4")))
    with pytest.raises(ValueError, match=r"bad\.four is not naturally aligned: offset 1"):
        wire.dtype(message, SIZES)


def test_codes_are_unique_and_replies_carry_the_reply_bit() -> None:
    assert len({message.code for message in wire.MESSAGES}) == len(wire.MESSAGES)
    for message in wire.MESSAGES:
        assert bool(message.code & wire.REPLY_BIT) == message.name.endswith("_reply")
        if message.name.endswith("_request"):
            reply = wire.BY_NAME[message.name.removesuffix("_request") + "_reply"]
            assert reply.code == message.code | wire.REPLY_BIT


def test_every_symbol_has_a_value() -> None:
    assert set(SIZES) == set(wire.SYMBOLS)
    assert (SIZES["n_covariance"], SIZES["n_observations"], SIZES["n_jacobian"]) == (15, 22, 132)


def test_the_digest_changes_with_the_protocol_and_not_with_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    before = wire.digest()
    status = wire.BY_NAME["status_reply"]
    renamed = dataclasses.replace(status, fields=(wire.Field("frames", "u4"), *status.fields[1:]))
    monkeypatch.setattr(wire, "MESSAGES", tuple(renamed if m is status else m for m in wire.MESSAGES))
    assert wire.digest() != before


def test_a_message_survives_bytes() -> None:
    dtype = wire.dtype(wire.BY_NAME["step_request"], SIZES)
    record = np.zeros((), dtype)
    record["voltage_V"], record["z_imag_ohm"][3] = 3.7, -0.01
    back = np.frombuffer(record.tobytes(), dtype)[0]
    assert back["voltage_V"] == np.float32(3.7) and back["z_imag_ohm"][3] == np.float32(-0.01)


def test_the_page_of_the_protocol_is_up_to_date() -> None:
    """Remade by `python -m eishil.wire_page docs/protocol.md`."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert wire_page.page(page) == page
    for message in (wire.HEADER, *wire.MESSAGES):
        for field in message.fields:
            assert f"| `{field.name}` |" in page


def test_a_page_without_its_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no line"):
        wire_page.page("# A page")
