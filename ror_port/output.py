"""Output appears complete or not at all: written beside, flushed to the disk, renamed into place."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ror_port.errors import OutputError

OWN_FOLDERS = (
    {"README.md", "config.json", "model.safetensors", "modeling_ror.py"},
    {"saved_model.pb", "fingerprint.pb", "assets", "variables"},
)
"""Contents of the folders that ror-port writes; a folder with anything else in it is never replaced."""


def is_own(folder: Path) -> bool:
    """Whether a folder holds what ror-port writes to one, and nothing else."""
    names = {item.name for item in folder.iterdir()} if folder.is_dir() else set()
    return any(names and names <= own for own in OWN_FOLDERS)


def check(path: Path, source: Path, *, folder: bool, force: bool) -> None:
    """Raises OutputError, before any work is done, where an output may not or cannot be written.

    folder: whether the output is one. Like replaces like: a file a file, a folder a folder of our own.
    """
    try:
        target = path.resolve()
        if target.exists() and target.samefile(source):
            raise OutputError(f"{path}: is the input itself, which is never changed; choose another name with -o")
        if target.exists() and not force:
            raise OutputError(f"{path}: exists already; --force replaces it, -o writes elsewhere")
        if target.exists() and not (is_own(target) if folder else target.is_file()):
            kind = "a folder that ror-port wrote" if folder else "a regular file"
            raise OutputError(f"{path}: is not {kind}, and is left as it is; choose another name with -o")
        if target.parent.exists() and not target.parent.is_dir():
            raise OutputError(f"{path}: {target.parent} is not a folder")
    except (OSError, RuntimeError) as error:  # a name too long, a loop of symlinks, no permission
        raise OutputError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from None


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write a file or a folder to; it takes its place on success.

    Where `path` is a symlink, what it points to is replaced. The stage ends in the same suffix, so that what
    was written can be tried before it counts.
    """
    target = path.resolve()
    stage = target.with_name(f".part-{secrets.token_hex(4)}-{target.name}")
    try:
        try:
            yield stage
            for item in (stage, *stage.rglob("*")):
                _flush(item)
            _replace(stage, target)
            _flush(target.parent)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        _remove(stage)


def _replace(stage: Path, target: Path) -> None:
    if target.is_dir():  # a folder cannot be renamed over one that has content
        old = stage.with_name(stage.name + ".old")
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
