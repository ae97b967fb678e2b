"""docs/protocol.md is enough to write another client: one that was talks to the firmware as the bench does."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from eishil_bench.dut import open_dut
from eishil_bench.link.session import Session, step_fields, stream
from support import page_client
from support.estimates import life_of_spectra
from support.page_client import PageClient, decode, encode

IMAGES = {"native_sanitized": "sanitized_image", "qemu": "qemu_image"}


@pytest.mark.parametrize("target", IMAGES)
def test_client_of_the_page_gets_what_the_bench_gets(target, first_light_model, request):
    image, spectra = request.getfixturevalue(IMAGES[target]), life_of_spectra(first_light_model, 9)
    with open_dut(target, image) as dut:
        session = Session(dut, first_light_model)
        session.hello()
        expected = stream(session, spectra)
    with open_dut(target, image) as dut:
        client = PageClient(dut, session=0xC0FFEE)
        assert bytes(client.hello()["build_id"]) == image.build_id[:8]
        assert client.ask("init", 0)["status"] == 0
        for index, (spectrum, step) in enumerate(zip(spectra, expected, strict=True)):
            fields = step_fields(spectrum)
            z_ohm = (*fields.pop("z_real_ohm").tolist(), *fields.pop("z_imag_ohm").tolist())
            reply = client.ask(("step", "brief_step")[index % 2], *fields.values(), *z_ohm)
            assert reply["status"] == step.output.status
            for name, value in (("state", step.output.x), ("readout", step.output.readout)):
                assert np.array(reply[name], np.float32).tobytes() == value.tobytes()
        assert client.ask("status", 0)["fault_count"] == 0


@pytest.mark.parametrize("n", [0, 1, 253, 254, 255, 508, 600])
def test_frames_of_the_page_client_are_those_of_a_library(n):
    from cobs import cobs

    rng = np.random.default_rng(n)
    for data in (rng.bytes(n), bytes(n), b"\1" * n, rng.integers(0, 2, n).astype(np.uint8).tobytes()):
        assert decode(encode(data)[:-1]) == data
        assert cobs.decode(encode(data)[:-1]) == data


def test_it_imports_nothing_of_eishil():
    tree = ast.parse(Path(page_client.__file__).read_text())
    roots = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    roots |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert roots <= set(sys.stdlib_module_names)
