"""What a script does to files, and what a notebook has: without effect in the script's process.

It reads what it likes. What it writes goes nowhere, and what it removes stays: training may have overwritten the very
weights that are to be converted.
"""

from __future__ import annotations

import builtins
import io
import os
import shutil
from typing import Any

import numpy as np

from ror_port.source.script.stand_in.inert import Inert

_FILES = ("remove", "unlink", "rmdir", "removedirs", "rename", "renames", "replace", "mkdir", "makedirs", "chmod",
          "symlink", "link", "truncate", "system", "popen")  # fmt: skip
_TREES = ("rmtree", "move", "copy", "copy2", "copyfile", "copytree", "make_archive", "unpack_archive")


def install() -> None:
    really_open, least, most = io.open, min, max

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if isinstance(mode, str) and set(mode) & set("wax+"):
            return really_open(os.devnull, "wb" if "b" in mode else "w")
        return really_open(file, mode, *args, **kwargs)

    def nothing(*args: Any, **kwargs: Any) -> Any:
        return Inert()

    def of_what_is_known(function: Any) -> Any:
        def found(*args: Any, **kwargs: Any) -> Any:
            return Inert() if len(args) == 1 and isinstance(args[0], Inert) else function(*args, **kwargs)

        return found

    builtins.open = io.open = opened
    for name in _FILES:
        setattr(os, name, nothing)
    np.savetxt = nothing
    for name in _TREES:
        setattr(shutil, name, nothing)
    builtins.min, builtins.max = of_what_is_known(least), of_what_is_known(most)
    for name in ("get_ipython", "display"):
        setattr(builtins, name, nothing)
