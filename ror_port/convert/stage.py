"""Atomic output: written to a temporary name, flushed to the disk, and renamed to its target in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ror_port.errors import OutputError, SystemLimit, system_limit

OUTPUT_FOLDERS = (
    {"README.md", "config.json", "model.safetensors", "modeling_ror.py"},
    {"README.md", "config.json", "metadata.json", "model.weights.h5"},
    {"saved_model.pb", "fingerprint.pb", "assets", "variables"},
)
"""Contents of the folders that ror-port writes; a folder with anything else in it is never replaced."""


def is_output_folder(folder: Path) -> bool:
    """Whether a folder holds what ror-port writes to one, and nothing else."""
    try:
        names = {item.name for item in folder.iterdir()}
    except OSError:  # no folder, or none that may be read
        names = set()
    return any(names and names <= output for output in OUTPUT_FOLDERS)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False where that cannot be found out."""
    try:
        return path.is_dir()
    except OSError:  # reported when it is written to
        return False


def validate_target(path: Path, source: Path, *, folder: bool, force: bool) -> None:
    """Raises OutputError, before any work is done, where an output may not or cannot be written.

    source: the input file, which is never replaced. folder: whether the output is one. force: whether an existing
    output may be replaced; a file replaces a file, a folder one that `is_output_folder`.
    """
    try:
        target = path.resolve()
        if target.exists() and target.samefile(source):
            raise OutputError(f"{path}: is the input itself, which is never changed", "choose {path}")
        if target.exists() and not force:
            raise OutputError(f"{path}: exists already", "{force} replaces it, {path} writes elsewhere")
        if target.exists() and not (is_output_folder(target) if folder else target.is_file()):
            kind = "a folder that ror-port wrote" if folder else "a regular file"
            raise OutputError(f"{path}: is not {kind}, and is left as it is", "choose {path}")
        if target.parent.exists() and not target.parent.is_dir():
            raise OutputError(f"{path}: {target.parent} is not a folder")
    except (OSError, RuntimeError) as error:  # a name too long, a loop of symlinks, no permission
        raise OutputError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from None


@contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write a file or a folder to, which is renamed to `path` at the end.

    On an exception it is removed, and what `path` was before stays. The temporary path is in the same folder and has
    the same suffix, so that what was written can be read again before it is renamed. A missing folder is created, and
    removed on an exception. Where `path` is a symlink, its target is replaced.

    Raises SystemLimit where the system refuses memory or open files, and OutputError where the disk fails, or where
    another process created `path` meanwhile.
    """
    target = path.resolve()
    stage = target.with_name(f".part-{os.urandom(4).hex()}-{target.name[-48:]}")
    created = None
    try:
        replaces = target.exists()
        if not target.parent.exists():
            created = target.parent
            created.mkdir(exist_ok=True)
        with _removed_if_killed(stage):
            yield stage
            for item in (stage, *stage.rglob("*")):
                _flush(item)
            _replace(stage, target, replaces)
        _flush(target.parent)
    except OSError as error:
        if limit := system_limit(error):
            raise SystemLimit(f"{path}: {limit}") from error
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        try:
            _clean_up(stage, created)
        finally:
            _clean_up(stage, created)  # once more, where a signal interrupted it; the next signals are ignored


def _clean_up(stage: Path, created: Path | None) -> None:
    """Removes what is left of the stage, and the folder that was created for it unless that has an output."""
    if stage.is_dir():
        shutil.rmtree(stage)
    else:
        stage.unlink(missing_ok=True)
    if created:
        with suppress(OSError):
            created.rmdir()


@contextmanager
def _removed_if_killed(stage: Path) -> Iterator[None]:
    """Has a process beside this one remove the stage where this one ends before the block does.

    Nothing else can where a library aborts for want of memory, or the system kills. The other process waits for the
    end of a pipe; where it cannot be started, there is none.
    """
    if not hasattr(os, "posix_spawn"):  # Windows
        yield
        return
    reader, writer, process = -1, -1, 0
    with suppress(OSError):
        reader, writer = os.pipe()
        command = ["sh", "-c", 'read -r _ || rm -rf -- "$1"', "sh", os.fspath(stage)]
        actions = [
            (os.POSIX_SPAWN_DUP2, reader, 0),
            *((os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in (1, 2)),
        ]
        process = os.posix_spawn("/bin/sh", command, {"PATH": os.defpath}, file_actions=actions, setpgroup=0)
        os.close(reader)
        reader = -1
    try:
        yield
    finally:
        with suppress(OSError):
            if process:
                os.write(writer, b"done\n")
                os.waitpid(process, 0)
        for handle in (reader, writer):
            if handle >= 0:
                os.close(handle)


def _replace(stage: Path, target: Path, replaces: bool) -> None:
    """Renames the stage to the target in one step: at every moment the target is the old output or the new one, whole.

    replaces: whether the target existed when the work began. What was created since belongs to another process.
    """
    if not replaces:
        _rename(stage, target, NOREPLACE)
    elif stage.is_dir():  # no folder can be renamed over one that has content
        _rename(stage, target, EXCHANGE)
    else:
        stage.replace(target)


NOREPLACE, EXCHANGE = 1, 2
"""Flags of Linux' renameat2: fail where the target exists; exchange the two."""

_AT_FDCWD = -100
"""Paths are relative to the working directory."""


def _rename(stage: Path, target: Path, flag: int) -> None:
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        code = errno.ENOSYS  # not Linux, or not glibc 2.28
    else:
        failed = renameat2(_AT_FDCWD, os.fsencode(stage), _AT_FDCWD, os.fsencode(target), flag)
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
