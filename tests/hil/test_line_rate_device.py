"""The device's own way back to its first line rate: the firmware's loop on a port whose clock the test moves."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from eishil import wire
from eishil.ccore import FLAGS, REPOSITORY, WARNINGS
from support.line import frame, message_of

FIRMWARE = REPOSITORY / "firmware"
SLOW_Bd, FAST_Bd = 115_200, 921_600
SESSION = 7
OK, REJECTED_INPUT = wire.ENUMS["status"]["OK"], wire.ENUMS["status"]["REJECTED_INPUT"]
Talk = Callable[..., list[tuple[int, bytes]]]


@pytest.fixture(scope="module")
def talk(generated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Talk:
    """Commands to the firmware and, for each reply, the rate at which it was sent and its payload."""
    program = tmp_path_factory.mktemp("virtual_time") / "firmware"
    absent = [FIRMWARE / "port" / "absent" / name for name in ("chip.c", "watchdog.c")]
    port = [Path(__file__).parent / "virtual_time" / "port.c", *absent]
    sources = [*FIRMWARE.glob("core/*.c"), *FIRMWARE.glob("app/*.c"), *port]
    include = [f"-I{path}" for path in (FIRMWARE / "core", FIRMWARE / "app", FIRMWARE / "port", generated_dir)]
    build_id = f"-DEISHIL_BUILD_ID={','.join('0' * 8)}"
    command = ["cc", *FLAGS, *WARNINGS, build_id, *include, *map(str, sources), str(generated_dir / "model.c")]
    subprocess.run([*command, "-lm", "-o", str(program)], check=True)

    def run(*commands: bytes) -> list[tuple[int, bytes]]:
        said = subprocess.run([program], input=b"".join(commands), capture_output=True, check=True, timeout=30).stdout
        replies = []
        while said:
            rate_Bd, n = struct.unpack_from("<II", said)
            replies.append((rate_Bd, unframe(said[8 : 8 + n])))
            said = said[8 + n :]
        return replies

    return run


def unframe(encoded: bytes) -> bytes:
    from cobs import cobs

    assert encoded.endswith(b"\0")
    return cobs.decode(encoded[:-1])[:-4]


def after(ms: int) -> bytes:
    return b"T" + struct.pack("<I", ms)


def at(rate_Bd: int, data: bytes) -> bytes:
    return b"B" + struct.pack("<II", rate_Bd, len(data)) + data


def request(rate_Bd: int, sequence: int, name: str = "status", value: int = 0) -> bytes:
    """Every request that is used here has one number for a body; a delimiter ends what may stand in the decoder."""
    epoch = 0 if name == "hello" else 1
    code = wire.BY_NAME[f"{name}_request"].code
    return at(rate_Bd, b"\0" + frame(struct.pack("<BBHII", code, epoch, sequence, SESSION, value)))


HELLO = request(SLOW_Bd, 0, "hello", wire.PROTOCOL_VERSION)
RAISED = (HELLO, request(SLOW_Bd, 1, "baud", FAST_Bd))
LOST = at(SLOW_Bd, frame(bytes(24)))  # at another rate than the device's


def told(replies: list[tuple[int, bytes]]) -> list[tuple[int, str, int]]:
    """Rate, name and sequence number of each reply."""
    return [(rate, message_of(reply).name, struct.unpack_from("<H", reply, 2)[0]) for rate, reply in replies]


def test_rate_changes_behind_the_reply_and_stays_while_frames_come(talk: Talk) -> None:
    """Twice 1.9 s, and over the counter's wrap."""
    still_there = (after(1900), request(FAST_Bd, 2), after(1900), request(FAST_Bd, 3))
    assert told(talk(*RAISED, *still_there))[1:] == [
        (SLOW_Bd, "baud_reply", 1),
        (FAST_Bd, "status_reply", 2),
        (FAST_Bd, "status_reply", 3),
    ]


@pytest.mark.parametrize(
    "silence",
    [(after(2100),), (after(1000), after(1100)), (after(1900), LOST, after(200)), (after(900), LOST, after(1200))],
    ids=["at once", "in two parts", "garbled bytes", "garbled bytes before"],
)
def test_device_that_hears_no_frame_for_two_seconds_goes_back(talk: Talk, silence: tuple[bytes, ...]) -> None:
    too_late, again = request(FAST_Bd, 2), request(SLOW_Bd, 2)
    assert told(talk(*RAISED, *silence, too_late, again))[2:] == [(SLOW_Bd, "status_reply", 2)]


def test_host_that_never_got_the_reply_finds_the_device_again(talk: Talk) -> None:
    """It repeats its request at the first rate; the answer is the one that is kept, and the rate stays."""
    repeated = request(SLOW_Bd, 1, "baud", FAST_Bd)
    replies = talk(*RAISED, after(500), repeated, after(1600), repeated, request(SLOW_Bd, 2))
    assert told(replies)[2:] == [(SLOW_Bd, "baud_reply", 1), (SLOW_Bd, "status_reply", 2)]


def test_at_the_first_rate_silence_changes_nothing(talk: Talk) -> None:
    assert told(talk(HELLO, after(60_000), request(SLOW_Bd, 1)))[1:] == [(SLOW_Bd, "status_reply", 1)]


def test_rate_that_the_clock_cannot_give_is_refused(talk: Talk) -> None:
    replies = talk(HELLO, request(SLOW_Bd, 1, "baud", 2_000_000), request(SLOW_Bd, 2))
    assert struct.unpack_from("<I", replies[1][1], 8) == (REJECTED_INPUT,)
    assert told(replies)[2:] == [(SLOW_Bd, "status_reply", 2)]
