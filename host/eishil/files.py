"""Files that are either there as a whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from eishil.errors import EishilError


class AtomicFile:
    """A file written piece by piece beside `path`, which it replaces when it is committed and not before.

    The folder of `path` is made when it is missing. `discard` removes what was not committed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            self._temporary = Path(name)
            try:
                self.file = os.fdopen(descriptor, "wb")
            except OSError:
                self._temporary.unlink()
                raise

    def commit(self) -> None:
        """Make the content durable and put it under its name."""
        with _told_of(self._path):
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self._temporary.chmod(0o666 & ~_umask())
            self._temporary.replace(self._path)

    def discard(self) -> None:
        """Remove the temporary file; after `commit` there is none."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part.

    Text is written as UTF-8. The folder of `path` is made when it is missing.

    Raises
    ------
    EishilError
        The operating system refused (disk full, no permission); neither `path` nor a temporary file is left behind.
    """
    whole = AtomicFile(path)
    try:
        with _told_of(path):
            whole.file.write(data.encode("utf-8") if isinstance(data, str) else data)
        whole.commit()
    finally:
        whole.discard()


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EishilError(f"{path}: cannot be written: {error.strerror or error}; nothing was changed") from None


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
