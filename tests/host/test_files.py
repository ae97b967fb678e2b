"""A file is there as a whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from eishil.errors import EishilError
from eishil.files import sha256_file, write_atomic


def test_writes_bytes_and_text_into_a_new_folder(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "a.txt", "25 °C")
    write_atomic(tmp_path / "new" / "b.bin", b"\x00\xff")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "25 °C".encode()
    assert sha256_file(tmp_path / "new" / "b.bin") == hashlib.sha256(b"\x00\xff").hexdigest()


def test_a_written_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write_atomic(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("call", ["fsync", "fdopen"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "results.json"
    write_atomic(path, "old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(EishilError, match=r"results.json: cannot be written: No space left on device") as caught:
        write_atomic(path, "new" * 10_000)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("I am a file")
    with pytest.raises(EishilError, match="cannot be written"):
        write_atomic(tmp_path / "folder" / "a", b"")
