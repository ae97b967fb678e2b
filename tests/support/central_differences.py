"""Gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float64]
STEP = 1e-6


def check_gradients(
    objective: Callable[..., tuple[float, Sequence[Array]]], parameters: list[Array], x: Array, y: Array
) -> None:
    """AssertionError where a gradient of `objective(parameters, x, y)` is not the slope of its value."""
    _, gradients = objective(parameters, x, y)
    for k, gradient in enumerate(gradients):
        for index in np.ndindex(gradient.shape):
            moved = []
            for step in (STEP, -STEP):
                changed = [one.copy() for one in parameters]
                changed[k][index] += step
                moved.append(objective(changed, x, y)[0])
            assert gradient[index] == pytest.approx((moved[0] - moved[1]) / (2 * STEP), rel=1e-5, abs=1e-8)
