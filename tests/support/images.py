"""Which fixture of tests/conftest.py is the image of an environment, built once for all tests."""

from __future__ import annotations

IMAGES = {
    "nucleo_f446re": "qemu_image",
    "nucleo_f411re": "f411_image",
    "nucleo_l476rg": "l476_image",
    "nucleo_g474re": "g474_image",
    "nucleo_h743zi": "h743_image",
    "mps2_an500": "cortex_m7_image",
    "native": "native_image",
    "native_sanitized": "sanitized_image",
}
