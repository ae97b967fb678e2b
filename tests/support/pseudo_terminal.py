"""A serial port that is a pseudo terminal, with a device on the other end, or nobody."""

from __future__ import annotations

import os
import pty
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from support.fake_dut import FakeDevice


@contextmanager
def serial_port(device: FakeDevice | None) -> Iterator[str]:
    """The port's name; what is written to it is the device's at once, and what the device says is on the line."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    thread = threading.Thread(target=_serve, args=(ours, device), daemon=True)
    thread.start()
    try:
        yield os.ttyname(theirs)
    finally:
        os.close(theirs)
        thread.join(10)


def _serve(ours: int, device: FakeDevice | None) -> None:
    """Until the other end is closed, which shows as an error of the read, or the device raises OSError itself."""
    try:
        while data := os.read(ours, 4096):
            if device is not None:
                device.write(data)
                os.write(ours, device.read(0.0))
    except OSError:
        return
    finally:
        os.close(ours)
