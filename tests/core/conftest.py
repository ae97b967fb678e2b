"""The C core on this machine: with the first-light model, and with random ones.

With EISHIL_CORE_SANITIZE=1 the same tests run on a core that is built with AddressSanitizer and UBSan.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from eishil.ccore import CoreLibrary
from eishil.model import Model
from support.core_cases import CASES, Case, make_case

ROOT = Path(__file__).resolve().parents[2]
SANITIZE = os.environ.get("EISHIL_CORE_SANITIZE") == "1"
# How long an example takes says nothing here, least of all under a sanitizer; there the second look takes fewer.
settings.register_profile("core", deadline=None, max_examples=30 if SANITIZE else 100)
settings.load_profile("core")


@pytest.fixture(scope="session", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(request.param, tmp_path_factory.mktemp(request.param), SANITIZE)


@pytest.fixture(scope="session")
def first_light() -> Model:
    return Model.load(ROOT / "datasets" / "models" / "first_light" / "model.json")


@pytest.fixture(scope="session")
def core() -> CoreLibrary:
    return CoreLibrary.build(ROOT / "firmware" / "generated", sanitize=SANITIZE)
