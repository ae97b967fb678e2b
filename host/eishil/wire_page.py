"""The tables of docs/protocol.md, from `wire.py`. The committed page is remade by

python -m eishil.wire_page docs/protocol.md
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from eishil import wire
from eishil.files import write_atomic

BEGIN = "<!-- from here on made by `python -m eishil.wire_page docs/protocol.md` -->\n"
WIDTH = 120
_NAMES = {"u1": "uint8", "u2": "uint16", "u4": "uint32", "i2": "int16", "i4": "int32", "f4": "float32"}


def tables() -> str:
    """All messages and enums as Markdown."""
    parts = [f"\n## Messages\nProtocol version {wire.PROTOCOL_VERSION}, digest `{wire.digest()[:8].hex()}`.\n"]
    parts += [_message(message) for message in (wire.HEADER, *wire.MESSAGES)]
    parts.append("\n## Enums\n")
    for name, values in wire.ENUMS.items():
        parts.append("\n" + _prose(f"**{name}**: " + ", ".join(f"{key} = {value}" for key, value in values.items())))
    return "".join(parts)


def page(old: str) -> str:
    """The page with its prose as it is and its tables made again; ValueError where the marker is missing."""
    prose, marker, _ = old.partition(BEGIN)
    if not marker:
        raise ValueError(f"the page has no line {BEGIN.strip()}")
    return prose + BEGIN + tables()


def _prose(text: str) -> str:
    return textwrap.fill(text, WIDTH) + "\n"


def _message(message: wire.Message) -> str:
    code = "" if message is wire.HEADER else f" `0x{message.code:02x}`"
    comment = f"{_prose(message.comment)}\n" if message.comment else ""
    rows = "".join(_row(field) for field in message.fields)
    return f"\n### {message.name}{code}\n{comment}| field | type | length | |\n|---|---|---|---|\n{rows}"


def _row(field: wire.Field) -> str:
    return f"| `{field.name}` | {_NAMES[field.type]} | {field.length} | {field.comment} |\n"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_atomic(path, page(path.read_text(encoding="utf-8")))
