"""What pydantic says about a file, as one sentence of eishil's: the key and what would be right."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError


def first_mistake(error: ValidationError, *table: str) -> str:
    """`key: what is wrong`, without the key where the whole content is wrong; `table` is where in the file."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in (*table, *first["loc"]))
    return f"{key}: {_sentence(first)}" if key else _sentence(first)


def _sentence(error: Any) -> str:
    if error["type"] == "missing":
        return "this key is missing"
    if error["type"] == "extra_forbidden":
        return "this key is unknown: check its spelling or remove it"
    if error["type"] == "json_invalid":
        return f"this is not JSON: {error['ctx']['error']}"
    if error["type"] == "model_type":
        return "has to be a table of keys and values"
    message = str(error["msg"]).removeprefix("Value error, ")
    value = error["input"]
    return f"{message}, not {value!r}" if isinstance(value, bool | int | float | str) else message
