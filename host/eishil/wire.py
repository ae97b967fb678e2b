"""Every message between bench and device, declared once.

A message is a little-endian record whose fields are naturally aligned. Array lengths are symbols (`n_states`) that a
model gives values to: `dtype(message, dimensions)` makes the numpy dtype, `codegen_wire.py` the C struct with its
`_Static_assert`. `digest()` is taken over the symbolic table, so that it names the protocol and not the model; the
model has an identity of its own (`model_id`).

On the line a frame is COBS(header + body + CRC-32) + 0x00. The header is `HEADER`; the CRC-32 is the one of zlib and
Ethernet (reflected, polynomial 0x04C11DB7), little-endian, over header and body. A reply carries the sequence number
of its request and the request's type with `REPLY_BIT` set. docs/protocol.md has the rules: sessions, the window,
repeated requests, recovery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

PROTOCOL_VERSION = 3
REPLY_BIT = 0x80
FRAME_DELIMITER = 0x00


@dataclass(frozen=True)
class Field:
    """One field: name (unit last), type (`u1 u2 u4 i2 i4 f4`, little-endian), length as a number or a symbol."""

    name: str
    type: str
    length: int | str = 1
    comment: str = ""


@dataclass(frozen=True)
class Message:
    """One message body; `code` is the type byte of the header (replies have `REPLY_BIT` set)."""

    name: str
    code: int
    fields: tuple[Field, ...]
    comment: str = ""


# Dimensions that a model gives values to. `n_covariance` is the upper triangle of P by rows: n (n + 1) / 2;
# `n_jacobian` is n_observations * n_inputs, by rows.
SYMBOLS = ("n_states", "n_covariance", "n_frequencies", "n_observations", "n_inputs", "n_jacobian", "n_readouts")

ENUMS: dict[str, dict[str, int]] = {
    # Which counter `count` was read from. DWT counts core cycles on silicon; TIM2 counts timer ticks, which under
    # QEMU's `-icount shift=0` are executed instructions; NONE on the host.
    "counter": {"NONE": 0, "DWT": 1, "TIM2": 2},
    # Verdict of a request. OUTLIER: the spectrum was not believed, and the estimate is the prediction. After anything
    # but that, OK and POINTS_SKIPPED the estimator's state is unchanged. NO_SESSION and OUT_OF_ORDER come in an
    # error_reply: the request was not looked at. So does OTHER_PROTOCOL, the answer to a hello of another version.
    "status": {
        "OK": 0,
        "POINTS_SKIPPED": 1,
        "REJECTED_INPUT": 2,
        "REJECTED_COVARIANCE": 3,
        "NOT_INITIALISED": 4,
        "UNKNOWN_MESSAGE": 5,
        "BAD_LENGTH": 6,
        "MODEL_CORRUPTED": 7,
        "NO_SESSION": 8,
        "OUT_OF_ORDER": 9,
        "OUTLIER": 10,
        "OTHER_PROTOCOL": 11,
    },
    # What a commission_request does: forget what was learned; add a spectrum of the fresh cell; learn from those added.
    "commissioning": {"CLEAR": 0, "ADD": 1, "FINISH": 2},
    # The last fault since power-on, kept over a reset of the core.
    "fault": {"NONE": 0, "HARD_FAULT": 1, "STACK_OVERFLOW": 2, "WATCHDOG": 3, "ASSERTION": 4},
}

HEADER = Message(
    "header",
    0x00,
    (
        Field("type", "u1"),
        Field("epoch", "u1", 1, "low byte of `sessions` in the reply to hello; 0 in a hello_request"),
        Field("sequence", "u2", 1, "hello starts it anywhere; every further request of the session adds one"),
        Field("session", "u4", 1, "chosen at random by the host for each hello that shall open a session"),
    ),
    "Before every body.",
)

# One filter of the bank, as raw float32: restored, it goes on bit for bit.
SNAPSHOT = (
    Field("filter", "u4", 1, "of the bank, from 0"),
    Field("steps", "u4", 1, "spectra taken since init, outliers among them"),
    Field("outliers_in_row", "u4", 1, "spectra that were not believed, up to the last one"),
    Field("probation", "u4", 1, "plausible spectra until the innovation gate is armed"),
    Field("cycles", "f4", 1, "equivalent full cycles since init"),
    Field("log_weight", "f4", 1, "of this filter"),
    Field("state", "f4", "n_states", "of this filter"),
    Field("covariance", "f4", "n_covariance", "upper triangle by rows"),
)

_STATUS = Field("status", "u4", 1, "enum status")

_SPECTRUM = (
    Field("elapsed_cycles", "f4", 1, "equivalent full cycles since the last spectrum; 0 for the first"),
    Field("voltage_V", "f4", 1, "measured at rest"),
    Field("temperature_degC", "f4"),
    Field("valid_mask", "u4", 1, "bit k: the point at frequency k was measured"),
    Field("z_real_ohm", "f4", "n_frequencies"),
    Field("z_imag_ohm", "f4", "n_frequencies", "capacitive is negative"),
)

_VERDICT = (
    _STATUS,
    Field("steps", "u4", 1, "spectra taken since init, outliers among them"),
    Field("count", "u4", 1, "of `counter`, for the estimator step alone"),
    Field("interrupts", "u4", 1, "that fell into the count; 0: the count is the step's alone"),
    Field("n_used", "u4", 1, "scalar observations used"),
    Field("nis", "f4", 1, "normalised innovation squared; n_used degrees of freedom"),
    Field("state", "f4", "n_states"),
)

_READOUTS = (
    Field("readout", "f4", "n_readouts", "SOH first"),
    Field("readout_sigma", "f4", "n_readouts"),
)

MESSAGES: tuple[Message, ...] = (
    Message(
        "hello_request",
        0x01,
        (Field("protocol_version", "u4", 1, "of the host; a device of another one answers OTHER_PROTOCOL"),),
        "Who are you? Opens the session of its header, unless that one is open already. Works whatever the model.",
    ),
    Message(
        "hello_reply",
        0x81,
        (
            Field("wire_digest", "u1", 8, "first 8 bytes of digest()"),
            Field("build_id", "u1", 8, "first 8 bytes of the SHA-256 over the firmware's sources and options"),
            Field("model_id", "u1", 8, "first 8 bytes of the SHA-256 over what the model computes"),
            Field("core_clock_Hz", "u4"),
            Field("boot_count", "u4", 1, "resets since power-on, from RAM that a reset keeps"),
            Field("sessions", "u4", 1, "opened since the start, with this one: 1 tells a device that has started anew"),
            Field("window_bytes", "u2", 1, "encoded bytes that may be on their way to the device at a time"),
            Field("window_requests", "u1", 1, "unanswered requests at a time; as many replies are kept to be repeated"),
            Field("counter", "u1", 1, "enum counter"),
            Field("n_states", "u1"),
            Field("n_frequencies", "u1"),
            Field("n_inputs", "u1"),
            Field("n_readouts", "u1"),
            Field("n_filters", "u1"),
            Field("reserved", "u1", 3),
            Field("board", "u1", 16, "ASCII, padded with zero bytes"),
        ),
    ),
    Message("init_request", 0x02, (Field("reserved", "u4"),), "Start from the model's prior."),
    Message("init_reply", 0x82, (_STATUS,)),
    Message("step_request", 0x03, _SPECTRUM, "One spectrum at the model's frequencies."),
    Message(
        "step_reply",
        0x83,
        (*_VERDICT, Field("covariance", "f4", "n_covariance", "upper triangle by rows"), *_READOUTS),
    ),
    Message(
        "network_request",
        0x04,
        (Field("input", "f4", "n_inputs", "physical units, the model's input order"),),
        "Evaluate the observation network alone: the proof that it is the same integers everywhere.",
    ),
    Message(
        "network_reply",
        0x84,
        (
            _STATUS,
            Field("count", "u4", 1, "of `counter`, for the network and its Jacobian"),
            Field("accumulator", "i4", "n_observations", "last layer before its scale"),
            Field("jacobian_accumulator", "i4", "n_jacobian", "by rows"),
        ),
    ),
    Message("status_request", 0x05, (Field("reserved", "u4"),)),
    Message(
        "status_reply",
        0x85,
        (
            Field("frames_received", "u4", 1, "with a correct CRC"),
            Field("crc_errors", "u4"),
            Field("framing_errors", "u4", 1, "COBS, length or overlong frames"),
            Field("overruns", "u4", 1, "bytes lost before the frame decoder"),
            Field("steps_rejected", "u4"),
            Field("outliers", "u4", 1, "spectra that were not believed, in all"),
            Field("fault", "u4", 1, "enum fault"),
            Field("fault_count", "u4"),
            Field("fault_address", "u4", 1, "program counter where known, else 0"),
            Field("stack_used_bytes", "u4", 1, "high-water mark by painted stack; 0 where unknown"),
            Field("stack_size_bytes", "u4"),
        ),
    ),
    Message(
        "snapshot_request",
        0x06,
        (Field("filter", "u4", 1, "of the bank, from 0"),),
        "What the estimator knows, one filter of its bank at a time.",
    ),
    Message("snapshot_reply", 0x86, (_STATUS, *SNAPSHOT)),
    Message("restore_request", 0x07, SNAPSHOT, "Put snapshots back, filters from 0 on; then the estimator runs again."),
    Message("restore_reply", 0x87, (_STATUS,)),
    Message(
        "baud_request",
        0x08,
        (Field("baud_Bd", "u4"),),
        "Answered at the present rate; the line then changes. A device that hears no frame there goes back.",
    ),
    Message("baud_reply", 0x88, (_STATUS,)),
    Message("brief_step_request", 0x09, _SPECTRUM, "A step, answered with standard deviations, not the covariance."),
    Message(
        "brief_step_reply",
        0x89,
        (*_VERDICT, Field("state_sigma", "f4", "n_states", "square roots of the covariance's diagonal"), *_READOUTS),
    ),
    Message(
        "commission_request",
        0x0A,
        (*_SPECTRUM, Field("action", "u4", 1, "enum commissioning")),
        "The cell's own constants. CLEAR, ADD for each spectrum of the fresh cell, FINISH, then init. Lost at a reset. "
        "A fresh cell has no history: elapsed_cycles plays no part, but is looked at like every field of a spectrum.",
    ),
    Message(
        "commission_reply",
        0x8A,
        (
            _STATUS,
            Field("spectra", "u4", 1, "added since the last CLEAR"),
            Field("offset", "f4", "n_observations", "of ln Z, measured minus expected; 0 before FINISH"),
            Field("variance", "f4", "n_observations", "(ln ohm)^2 that the offset leaves; 0 before FINISH"),
        ),
    ),
    Message(
        "error_reply",
        0xFF,
        (
            _STATUS,
            Field("type", "u4", 1, "of the request"),
            Field("expected", "u4", 1, "sequence number of the request that is applied next"),
            Field("protocol_version", "u4", 1, "of the device"),
        ),
        "This message, the header and hello_request stay as they are from version 3 on: any two sides can part.",
    ),
)

BY_NAME = {message.name: message for message in (HEADER, *MESSAGES)}


def dimensions(n_states: int, n_frequencies: int, n_inputs: int, n_readouts: int) -> dict[str, int]:
    """Values of all `SYMBOLS` for a model."""
    return {
        "n_states": n_states,
        "n_covariance": n_states * (n_states + 1) // 2,
        "n_frequencies": n_frequencies,
        "n_observations": 2 * n_frequencies,
        "n_inputs": n_inputs,
        "n_jacobian": 2 * n_frequencies * n_inputs,
        "n_readouts": n_readouts,
    }


def dtype(message: Message, sizes: Mapping[str, int]) -> np.dtype:
    """The numpy dtype of a message body, packed and little-endian; fields keep their natural alignment."""
    fields = []
    offset = 0
    for field in message.fields:
        length = field.length if isinstance(field.length, int) else sizes[field.length]
        base = np.dtype("<" + field.type)
        if offset % base.itemsize:
            raise ValueError(f"{message.name}.{field.name} is not naturally aligned: offset {offset}")
        fields.append(
            (field.name, base) if length == 1 and isinstance(field.length, int) else (field.name, base, (length,))
        )
        offset += base.itemsize * length
    return np.dtype(fields)


def table() -> str:
    """The canonical text of the protocol: what `digest` is taken over."""
    lines = [f"protocol {PROTOCOL_VERSION} cobs crc32"]
    for enum, values in ENUMS.items():
        lines.append(f"enum {enum} " + " ".join(f"{name}={value}" for name, value in values.items()))
    for message in (HEADER, *MESSAGES):
        lines.append(f"message {message.name} {message.code:#04x}")
        lines += [f"  {field.name} {field.type} {field.length}" for field in message.fields]
    return "\n".join(lines) + "\n"


def digest() -> bytes:
    """SHA-256 of `table()`; the wire carries its first 8 bytes."""
    return hashlib.sha256(table().encode("ascii")).digest()
