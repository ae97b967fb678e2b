"""What importing eishil costs and offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import eishil


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60)
    return set(result.stdout.split())


def test_importing_eishil_imports_nothing_heavy() -> None:
    assert not modules_after("import eishil") & {"numpy", "scipy", "pandas", "pydantic", "casadi", "pybamm"}


def test_recipes_are_read_without_pybamm() -> None:
    assert not modules_after("import eishil.dataset.recipe") & {"scipy", "pandas", "casadi", "pybamm"}


def test_data_sets_are_read_without_pybamm() -> None:
    assert not modules_after("import eishil.dataset.tables, eishil.dataset.measurement") & {"casadi", "pybamm"}


def test_pybamm_is_told_to_make_no_network_calls() -> None:
    code = "import os, eishil; eishil.impedance; print(os.environ['PYBAMM_DISABLE_TELEMETRY'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60)
    assert result.stdout.strip() == "true"


@pytest.mark.parametrize("name", eishil.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(eishil, name).__name__ == name


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="module 'eishil' has no attribute 'impedence'"):
        _ = eishil.impedence
