"""A casadi function of many samples: by casadi's own machine, or as machine code through generated C."""

from __future__ import annotations

import ctypes
from typing import Any

import casadi
import numpy as np
from numpy.typing import NDArray

from eishil.cell.compiler import shared_library

Floats = NDArray[np.float64]
# One call for all samples: calling from Python would cost more than evaluating a small model.
LOOP = """
void evaluate_all(long long samples, const long long *columns, const double *const *argument, double *const *result,
                  const double **arg, double **res, long long *iw, double *w)
{
    for (long long k = 0; k < samples; k++) {
        for (int i = 0; i < ARGUMENTS; i++) {
            arg[i] = argument[i] + k * columns[i];
        }
        for (int i = 0; i < RESULTS; i++) {
            res[i] = result[i] + k * columns[ARGUMENTS + i];
        }
        FUNCTION(arg, res, iw, w, 0);
    }
}
"""


class BatchFunction:
    """Arguments and results are (S, size), S samples; pickles."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *arguments: Floats) -> list[Floats]:
        """All results for all samples."""
        rows = [np.ascontiguousarray(argument, float) for argument in arguments]
        results = [np.zeros((len(rows[0]), self.function.nnz_out(i))) for i in range(self.function.n_out())]
        self._evaluate(rows, results)
        return results

    def _evaluate(self, arguments: list[Floats], results: list[Floats]) -> None:
        # Without casadi's matrix conversions, which would cost five times the evaluation.
        buffer, trigger = self.function.buffer()
        for k in range(len(arguments[0])):
            for i, argument in enumerate(arguments):
                buffer.set_arg(i, memoryview(argument[k]))
            for i, result in enumerate(results):
                buffer.set_res(i, memoryview(result[k]))
            trigger()

    def compiled(self) -> BatchFunction:
        """The same as machine code, or this object when it cannot be compiled."""
        library = _compiled(self.function)
        return self if library is None else CompiledFunction(self.function, library)


class CompiledFunction(BatchFunction):
    """A function with its machine code; where it arrives by pickle the code is found or compiled again."""

    def __init__(self, function: Any, library: ctypes.CDLL) -> None:
        super().__init__(function)
        self._library = library

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self.function,)

    def _evaluate(self, arguments: list[Floats], results: list[Floats]) -> None:
        function = self.function
        columns = np.array([rows.shape[1] for rows in (*arguments, *results)], np.int64)
        argument, result = (np.array([rows.ctypes.data for rows in given]) for given in (arguments, results))
        sizes = (function.sz_arg(), function.sz_res(), function.sz_iw(), function.sz_w())
        work = [np.empty(max(size, 1)) for size in sizes]
        pointers = (array.ctypes.data for array in (columns, argument, result, *work))
        self._library.evaluate_all(ctypes.c_longlong(len(arguments[0])), *map(ctypes.c_void_p, pointers))


def _arrived(function: Any) -> BatchFunction:
    return BatchFunction(function).compiled()


def _compiled(function: Any) -> ctypes.CDLL | None:
    generator = casadi.CodeGenerator("generated.c", {"with_header": False})
    generator.add(function)
    names = {"ARGUMENTS": function.n_in(), "RESULTS": function.n_out(), "FUNCTION": function.name()}
    defined = "".join(f"#define {name} {value}\n" for name, value in names.items())
    path = shared_library(generator.dump() + defined + LOOP, "-O1")
    return None if path is None else ctypes.CDLL(str(path))
