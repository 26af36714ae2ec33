"""Output appears complete or not at all: written beside, flushed to the disk, renamed into place."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ror_port.errors import OutputError


def check(path: Path, source: Path, *, force: bool) -> None:
    """Raises OutputError, before any work is done, where an output may not or cannot be written."""
    target = path.resolve()
    if target.exists() and source.exists() and target.samefile(source):
        raise OutputError(f"{path}: is the input itself, which is never changed; choose another name with -o")
    if target.exists() and not force:
        raise OutputError(f"{path}: exists already; --force replaces it, -o writes elsewhere")
    if not target.parent.is_dir():
        raise OutputError(f"{path}: no folder {target.parent}")


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write a file or a folder to; it takes its place on success.

    Where `path` is a symlink, the file it points to is replaced.
    """
    target = path.resolve()
    stage = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            yield stage
            for item in (stage, *stage.rglob("*")):
                _flush(item)
            _replace(stage, target)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
        _flush(target.parent)
    finally:
        _remove(stage)


def _replace(stage: Path, target: Path) -> None:
    if target.is_dir():  # a folder cannot be renamed over one that has content
        old = stage.with_suffix(".old")
        target.rename(old)
        stage.rename(target)
        _remove(old)
    else:
        stage.replace(target)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
