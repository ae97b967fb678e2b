"""Runs in another environment, which has pybammeis and no eishil: spectra of a request on stdin, as JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"

import pybamm


def main() -> None:
    """One model, built once, solved for every cell of the request."""
    import pybammeis  # type: ignore[import-not-found]

    request = json.load(sys.stdin)
    names = list(request["cells"][0])
    values = pybamm.ParameterValues("Chen2020")
    values.update(dict.fromkeys(names, "[input]"), check_already_exists=False)
    values.update({"Initial temperature [K]": pybamm.InputParameter("Ambient temperature [K]")})
    model = getattr(pybamm.lithium_ion, request["model"])(
        {"surface form": "differential", "SEI": "constant", "contact resistance": "true"}
    )
    built = pybammeis.EISSimulation(model, parameter_values=values, **_mesh(model, request))
    spectra, cpu_ms = [], []
    for cell in request["cells"]:
        start = time.process_time()
        spectra.append(built.solve(request["frequency_Hz"], inputs=cell))
        cpu_ms.append(1e3 * (time.process_time() - start))
    answer = {"z_real_ohm": [z.real.tolist() for z in spectra], "z_imag_ohm": [z.imag.tolist() for z in spectra]}
    print(json.dumps(answer | {"cpu_ms": cpu_ms, "version": version("pybammeis")}))


def _mesh(model: Any, request: dict[str, Any]) -> dict[str, Any]:
    submeshes = dict(model.default_submesh_types)
    if request["radial_stretch"] is not None:
        stretch = {"side": "right", "stretch": request["radial_stretch"]}
        graded = pybamm.MeshGenerator(pybamm.Exponential1DSubMesh, stretch)
        submeshes |= {"negative particle": graded, "positive particle": graded}
    return {"submesh_types": submeshes, "var_pts": model.default_var_pts | request["points"]}


if __name__ == "__main__":
    main()
