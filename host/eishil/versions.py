"""Versions of everything that shapes a result, for manifests."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

PACKAGES = ("eishil", "pybamm", "casadi", "numpy", "scipy", "pyarrow", "scikit-learn", "onnx", "onnxruntime")


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Name -> version of Python and of those `packages` that are installed; nothing is imported."""
    found = {package: version for package in packages if (version := _version(package)) is not None}
    return {"python": platform.python_version()} | found


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
