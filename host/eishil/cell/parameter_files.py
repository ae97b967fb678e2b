"""A user's own cell: a BPX file, or what `pybamm.ParameterValues.to_json` wrote. Both are data, and are held to that.

PyBaMM's other form, a Python module, would run whatever stands in it. The two JSON forms are not harmless either, since
PyBaMM imports each class that a file names and bpx compiles expressions: here classes have to be those of expressions,
and an expression of BPX may call nothing but BPX's own functions.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pybamm

from eishil.errors import EishilError

SIZE_LIMIT_bytes = 20_000_000
_EXPRESSIONS = re.compile(
    r"pybamm\.expression_tree\.((binary_operators|unary_operators|scalar|parameter|array|interpolant)\.\w+"
    r"|functions\.(?!Function$|SpecificFunction$)\w+|operations\.serialise\.ExpressionFunctionParameter)"
    r"|numpy\.ndarray|builtins\.(float|tuple|slice)"
)
_TAGS = ("$type", "type", "py/object", "module", "class")  # all that PyBaMM takes for a class to be imported
_BPX_WORDS = {"x", "exp", "tanh", "cosh"}


def read(path: Path) -> Any:
    """`pybamm.ParameterValues` of a file.

    Raises
    ------
    EishilError
        The file is missing, too large, no JSON, neither of the two forms, or names what it may not.
    """
    content = _content(path)
    try:
        with warnings.catch_warnings():  # BPX files often leave out voltages that PyBaMM takes from the cut-offs
            warnings.simplefilter("ignore")
            return _of_bpx(content) if "Parameterisation" in content else _of_pybamm(content)
    except EishilError as error:
        raise EishilError(f"{path}: {error}") from None
    except Exception as error:  # pydantic, pyparsing, PyBaMM: a hundred ways of saying the same
        reason = " ".join(str(error).split())[:200]
        raise EishilError(f"{path}: cannot be read as a BPX file or as PyBaMM's parameters: {reason}") from error


def _content(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > SIZE_LIMIT_bytes:
            raise EishilError(f"{path}: has more than {SIZE_LIMIT_bytes:,} bytes; a cell's parameters have fewer")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise EishilError(f"{path}: cannot be read: {error.strerror}; give a BPX file or PyBaMM's to_json") from None
    except (ValueError, RecursionError):
        raise EishilError(f"{path}: this is not JSON; give a BPX file or what ParameterValues.to_json wrote") from None
    if not isinstance(content, dict):
        raise EishilError(f"{path}: has to be a JSON object, as BPX files and PyBaMM's to_json are")
    return content


def _of_bpx(content: dict[str, Any]) -> Any:
    for text in _texts(content["Parameterisation"]):
        words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"\d\.?[eE](?=[-+\d])", "0", text)))
        for word in sorted(words - _BPX_WORDS):
            raise EishilError(f"the expression {text[:60]!r} has {word!r}; only x, exp, tanh and cosh may stand there")
    return pybamm.ParameterValues.create_from_bpx_obj(content)


def _of_pybamm(content: dict[str, Any]) -> Any:
    for node in _objects(content):
        for tag in (node[key] for key in _TAGS if key in node):
            if not _EXPRESSIONS.fullmatch(str(tag)):
                raise EishilError(f"has a {str(tag)[:80]!r}, which is no mathematical expression of PyBaMM")
    return pybamm.ParameterValues.from_json(content)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in _parts(value):
        yield from _texts(part)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    for part in _parts(value):
        if isinstance(part, dict):
            yield part
        yield from _objects(part)


def _parts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
