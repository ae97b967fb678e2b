"""Versions of everything that shapes a result, for manifests."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = ("eishil", "pybamm", "casadi", "numpy", "scipy", "pyarrow", "scikit-learn", "onnx", "onnxruntime")


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Name -> version of Python and of those `packages` that are installed; nothing is imported."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
