"""Output appears complete or not at all: written beside, read again, flushed to the disk, renamed into place."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ror_port.errors import OutputError

OWN_FOLDERS = (
    {"README.md", "config.json", "model.safetensors", "modeling_ror.py"},
    {"saved_model.pb", "fingerprint.pb", "assets", "variables"},
)
"""Contents of the folders that ror-port writes; a folder with anything else in it is never replaced."""


def is_own(folder: Path) -> bool:
    """Whether a folder holds what ror-port writes to one, and nothing else."""
    try:
        names = {item.name for item in folder.iterdir()}
    except OSError:  # no folder, or none that may be read
        names = set()
    return any(names and names <= own for own in OWN_FOLDERS)


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # met again, and said, when it is to be written to
        return False


def check(path: Path, source: Path, *, folder: bool, force: bool) -> None:
    """Raises OutputError, before any work is done, where an output may not or cannot be written.

    folder: whether the output is one. Like replaces like: a file a file, a folder a folder of our own.
    """
    try:
        target = path.resolve()
        if target.exists() and target.samefile(source):
            raise OutputError(f"{path}: is the input itself, which is never changed", "choose {path}")
        if target.exists() and not force:
            raise OutputError(f"{path}: exists already", "{force} replaces it, {path} writes elsewhere")
        if target.exists() and not (is_own(target) if folder else target.is_file()):
            kind = "a folder that ror-port wrote" if folder else "a regular file"
            raise OutputError(f"{path}: is not {kind}, and is left as it is", "choose {path}")
        if target.parent.exists() and not target.parent.is_dir():
            raise OutputError(f"{path}: {target.parent} is not a folder")
    except (OSError, RuntimeError) as error:  # a name too long, a loop of symlinks, no permission
        raise OutputError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from None


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write a file or a folder to; it takes its place on success.

    Where `path` is a symlink, what it points to is replaced. The stage ends in the same suffix, so that what
    was written can be tried before it counts. The folder is made where there is none, and taken back on failure.
    """
    target = path.resolve()
    stage = target.with_name(f".part-{os.urandom(4).hex()}-{target.name[-48:]}")
    replaces, made = target.exists(), False
    try:
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True)
            made = True
        yield stage
        for item in (stage, *stage.rglob("*")):
            _flush(item)
        _take_place(stage, target, replaces)
        _flush(target.parent)
        made = False
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        try:
            _remove(stage)
        finally:
            _remove(stage)  # what a signal left of it; there is no second signal
            if made:
                with suppress(OSError):  # another process may have written there
                    target.parent.rmdir()


def _take_place(stage: Path, target: Path, replaces: bool) -> None:
    """Renames the stage to the target, in one step: at every moment there is the old or the new, whole.

    replaces: whether the target was there when the work began; what came since is another's.
    """
    if not replaces:
        _rename(stage, target, NOREPLACE)
    elif stage.is_dir():  # no folder can be renamed over one that has content
        _rename(stage, target, EXCHANGE)
    else:
        stage.replace(target)


NOREPLACE, EXCHANGE = 1, 2
"""Flags of Linux' renameat2: fail where the target exists; let the two change places."""

_HERE = -100
"""AT_FDCWD: paths count from the working directory."""


def _rename(stage: Path, target: Path, flag: int) -> None:
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        code = errno.ENOSYS  # not Linux, or not glibc 2.28
    else:
        failed = renameat2(_HERE, os.fsencode(stage), _HERE, os.fsencode(target), flag)
        code = ctypes.get_errno() if failed else 0
    if code in (errno.ENOSYS, errno.EINVAL) and flag == NOREPLACE and not target.exists():
        stage.rename(target)
    elif code in (errno.ENOSYS, errno.EINVAL) and flag == EXCHANGE:
        raise OSError(code, "this system cannot exchange two folders in one step; remove the old one first")
    elif code:
        raise OSError(code, os.strerror(code), str(target))


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
