"""The wire table as C: `wire.h`."""

from __future__ import annotations

from collections.abc import Mapping

from eishil import wire
from eishil.c_literals import NOTICE

C_TYPES = {"u1": "uint8_t", "u2": "uint16_t", "u4": "uint32_t", "i2": "int16_t", "i4": "int32_t", "f4": "float"}


def wire_header(sizes: Mapping[str, int]) -> str:
    """C header of the wire table at the sizes of one model (`wire.dimensions`)."""
    messages = (wire.HEADER, *wire.MESSAGES)
    digest = ", ".join(f"0x{byte:02x}" for byte in wire.digest()[:8])
    requests = [wire.dtype(m, sizes).itemsize for m in wire.MESSAGES if not m.code & wire.REPLY_BIT]
    replies = [wire.dtype(m, sizes).itemsize for m in wire.MESSAGES if m.code & wire.REPLY_BIT]
    parts = [
        NOTICE.format("The protocol is declared in host/eishil/wire.py."),
        "#ifndef EISHIL_WIRE_H\n#define EISHIL_WIRE_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n",
        f"#define WIRE_PROTOCOL_VERSION {wire.PROTOCOL_VERSION}U\n",
        f"#define WIRE_REPLY_BIT 0x{wire.REPLY_BIT:02X}U\n",
        "/* First 8 bytes of the SHA-256 over the table. */\n",
        f"#define WIRE_DIGEST {{{digest}}}\n\n",
        *(f"#define WIRE_{symbol.upper()} {sizes[symbol]}U\n" for symbol in wire.SYMBOLS),
        "\n/* The longest bodies. */\n",
        f"#define WIRE_REQUEST_BYTES_MAX {max(requests)}U\n",
        f"#define WIRE_REPLY_BYTES_MAX {max(replies)}U\n\n",
        *(f"#define WIRE_{m.name.upper()} 0x{m.code:02X}U\n" for m in wire.MESSAGES),
        *(_enum(name, values) for name, values in wire.ENUMS.items()),
        *(_struct(message, sizes) for message in messages),
        "\n#endif\n",
    ]
    return "".join(parts)


def _enum(name: str, values: Mapping[str, int]) -> str:
    lines = [f"    WIRE_{name.upper()}_{key} = {value},\n" for key, value in values.items()]
    return f"\ntypedef enum {{\n{''.join(lines)}}} wire_{name}_t;\n"


def _struct(message: wire.Message, sizes: Mapping[str, int]) -> str:
    name = f"wire_{message.name}_t"
    record = wire.dtype(message, sizes)
    comment = f"/* {message.comment} */\n" if message.comment else ""
    lines = []
    for field in message.fields:
        length = "" if field.length == 1 else f"[{_length(field.length)}]"
        note = f" /* {field.comment} */" if field.comment else ""
        lines.append(f"    {C_TYPES[field.type]} {field.name}{length};{note}\n")
    asserts = [f'_Static_assert(sizeof({name}) == {record.itemsize}U, "{name} is padded");\n']
    if record.names is not None and record.fields is not None:
        last = record.names[-1]
        asserts.append(f'_Static_assert(offsetof({name}, {last}) == {record.fields[last][1]}U, "{name} is padded");\n')
    return f"\n{comment}typedef struct {{\n{''.join(lines)}}} {name};\n{''.join(asserts)}"


def _length(length: int | str) -> str:
    return str(length) if isinstance(length, int) else f"WIRE_{length.upper()}"
