"""Constant data as C text: exact float32 literals, checked integers, wrapped arrays, designated initialisers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eishil.errors import RecipeError

LINE_LENGTH = 120
Numbers = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.uint32]
INTEGER_BITS = {"int8_t": 8, "uint8_t": 8, "int16_t": 16, "int32_t": 32}


class Source:
    """Collects definitions in order; each method adds one and returns its name, or NULL where there is nothing.

    `blocks` has the name of every array of numbers with its bytes as a little-endian target holds them.
    `storage`, where it is asked for, is what stands between static and the type.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.blocks: list[tuple[str, bytes]] = []

    def floats(self, name: str, values: object) -> str:
        flat = np.ravel(np.asarray(values, dtype=np.float64)).tolist()
        words = [float_literal(name, value) for value in flat]
        return self._array(name, "float", words, np.asarray(flat, "<f4").tobytes())

    def integers(self, name: str, c_type: str, values: object, storage: str = "const") -> str:
        flat = np.ravel(np.asarray(values, dtype=object)).tolist()
        words = [integer_literal(name, c_type, value) for value in flat]
        little_endian = np.dtype(c_type.removesuffix("_t")).newbyteorder("<")
        return self._array(name, c_type, words, np.asarray(flat, little_endian).tobytes(), storage)

    def words(self, name: str, values: NDArray[np.uint32], storage: str = "const") -> str:
        """32-bit words in hexadecimal."""
        flat = np.ravel(values)
        literals = [f"0x{value:08x}" for value in flat.tolist()]
        return self._array(name, "uint32_t", literals, flat.astype("<u4").tobytes(), storage)

    def records(self, name: str, c_type: str, fields: Sequence[Numbers], storage: str = "const") -> str:
        """An array of structures of 32-bit numbers: each field (n, ...), float64 for float, uint32, else int32."""
        encoded = [_encoded(name, field) for field in fields]
        rows = [
            ", ".join(_braced(field) for field in row) for row in zip(*(words for words, _ in encoded), strict=True)
        ]
        data = np.concatenate([values.reshape(len(values), -1) for _, values in encoded], axis=1)
        return self._array(name, c_type, [f"{{{row}}}" for row in rows], data.tobytes(), storage)

    def structs(self, name: str, c_type: str, rows: Sequence[Mapping[str, str]]) -> str:
        if not rows:
            return "NULL"
        body = "".join(f"    {initialiser(row, indent=8)},\n" for row in rows)
        self.parts.append(f"\nstatic const {c_type} {name}[] = {{\n{body}}};\n")
        return name

    def _array(self, name: str, c_type: str, words: Sequence[str], data: bytes, storage: str = "const") -> str:
        if not words:
            return "NULL"
        self.blocks.append((name, data))
        self.parts.append(f"\nstatic {storage} {c_type} {name}[] = {{\n{wrapped(words)}}};\n")
        return name


def _encoded(name: str, field: Numbers) -> tuple[NDArray[np.object_], NDArray[np.uint32]]:
    """Literals and bits, both of the field's shape."""
    if field.dtype == np.float64:
        literals, bits = [float_literal(name, float(value)) for value in field.flat], field.astype("<f4").view("<u4")
    elif field.dtype == np.uint32:
        literals, bits = [f"0x{value:08x}" for value in field.flat], field.astype("<u4")
    else:
        literals = [integer_literal(name, "int32_t", int(value)) for value in field.flat]
        bits = field.astype("<i4").view("<u4")
    return np.array(literals, object).reshape(field.shape), bits


def _braced(literals: NDArray[np.object_] | str) -> str:
    """Nested initialiser."""
    return literals if isinstance(literals, str) else "{" + ", ".join(_braced(value) for value in literals) + "}"


def initialiser(fields: Mapping[str, str], indent: int) -> str:
    space = " " * indent
    body = "".join(f"{space}.{name} = {value},\n" for name, value in fields.items())
    return f"{{\n{body}{space[:-4]}}}"


def wrapped(words: Iterable[str]) -> str:
    lines = []
    line = "   "
    for word in words:
        if line.strip() and len(line) + len(word) + 2 > LINE_LENGTH:
            lines.append(line + "\n")
            line = "   "
        line += f" {word},"
    return "".join(lines) + line + "\n"


def float_literal(place: str, value: float) -> str:
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value))
    if not math.isfinite(rounded):
        raise RecipeError(f"model: {place}: {value} is not a finite float32; every number must be within 3.4e38")
    mantissa, exponent = rounded.hex().split("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}f /* {rounded:.5g} */"


def integer_literal(place: str, c_type: str, value: int) -> str:
    bits = INTEGER_BITS[c_type]
    low, high = (0, 2**bits - 1) if c_type.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not low <= value <= high:
        raise RecipeError(f"model: {place}: {value} is outside {low}..{high} of {c_type}")
    # The most negative int32 is an expression in C: its digits alone do not fit.
    return str(value) if value > -(2**31) else "-2147483647 - 1"
