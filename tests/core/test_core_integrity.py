"""The model's checksum in C: right for every model that is generated, wrong after any bit of any array."""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest

from eishil import codegen
from support.core_cases import Case


def test_generated_model_is_intact(case: Case) -> None:
    assert case.core.lib.integrity_verify_model(case.core.model)


def test_every_array_is_covered(case: Case) -> None:
    text = codegen.model_source(case.model)
    number = r"float|u?int\d+_t|observable_t|nn_\w+_t|readout_(?:input|unit)_t"
    arrays = re.findall(rf"^static (?:const|MODEL_WEIGHT) (?:{number}) (\w+)\[\]", text, re.MULTILINE)
    pointed = [name for name in arrays if name != "layer"]  # which has pointers, not numbers
    assert re.findall(r"\.data = &(\w+),\s+\.bytes = sizeof \1,", text) == ["numbers", *pointed]
    c = case.core.model
    assert c.n_blocks == 1 + len(pointed)
    memory = b"".join(bytes(case.core.ffi.buffer(c.block[i].data, c.block[i].bytes)) for i in range(c.n_blocks))
    assert zlib.crc32(memory) == c.crc32


@pytest.mark.parametrize("seed", range(3))
def test_any_flipped_bit_is_noticed(case: Case, seed: int) -> None:
    ffi, c = case.core.ffi, case.core.model
    rng = np.random.default_rng(seed)
    for index in range(c.n_blocks):
        spoiled = bytearray(ffi.buffer(c.block[index].data, c.block[index].bytes))
        spoiled[int(rng.integers(len(spoiled)))] ^= 1 << int(rng.integers(8))
        data = ffi.new("uint8_t[]", bytes(spoiled))
        blocks = ffi.new("model_block_t[]", [(b.data, b.bytes) for b in (c.block[i] for i in range(c.n_blocks))])
        blocks[index].data = data
        model = ffi.new("model_t *", c[0])
        model.block = blocks
        assert not case.core.lib.integrity_verify_model(model), f"block {index}"
