"""What runs in a process of its own: the user's script, with a stand-in where it imports Keras.

    python -m ror_port.source.script.child REQUEST DESCRIPTOR

Request, and answer to the file descriptor: JSON, see `ror_port.source.script.running`.

Nothing of the program's own is entrusted to this process: all that comes back is JSON, read like that of a file.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import tokenize
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NoReturn

from ror_port.safety import limits
from ror_port.source.script import older, without_effect
from ror_port.source.script.stand_in import Keras, Misuse, Session
from ror_port.source.script.stand_in.inert import InertModule
from ror_port.source.script.stand_in.models import Network

OTHER_FRAMEWORKS = ("theano", "tensorflow", "lasagne", "cntk", "tensorflow_backend", "IPython")
"""Packages that are inert whether they are installed or not: nothing of them is part of a model of Keras."""

OF_PYTHON_2 = {
    "cPickle", "cStringIO", "StringIO", "Queue", "ConfigParser", "urllib2", "urlparse", "httplib", "commands",
    "__builtin__", "Tkinter", "exceptions", "thread", "cookielib", "HTMLParser", "SocketServer",
}  # fmt: skip
"""Modules whose absence scripts handle themselves."""


class OutOfTime(BaseException):
    """The script took more time than it was given."""


def main(request: dict[str, Any], answer: int) -> NoReturn:
    """Runs the script and writes what it built to the file descriptor `answer`; ends the process."""

    def end(*_: Any) -> NoReturn:
        raise OutOfTime

    _limit(request["seconds"], end)
    sys.setrecursionlimit(20_000)
    without_effect.install()
    path = Path(request["script"])
    older.install()
    keras = Keras(
        Session(
            tuple(request["version"]),
            request["ordering"],
            request["ordering_known"],
            request["backend"],
            folder=path.parent,
        )
    )
    finder = Finder(keras, path.parent)
    sys.meta_path.insert(0, finder.first())
    sys.meta_path.append(finder)
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path)]
    found: dict[str, Any] = {"models": [], "error": None, "misuse": False, "timed_out": False}
    namespace: dict[str, Any] = {}
    try:
        namespace = _run(path, request["name"])
        if request["name"]:
            _choose(namespace, request["name"])
    except BaseException as error:  # also SystemExit, and what the script itself raises of such
        namespace = Running.module.__dict__ if Running.module is not None else {}
        _note(error, path, found)
    _relieve()
    variables = {id(value): name for name, value in namespace.items() if isinstance(value, Network)}
    for model in keras.session.models:
        try:
            stated = model.stated()
        except Exception as error:  # also of the script's own layers, whose get_config is the script's
            found["models"].append(_described(model, variables) | {"error": " ".join(str(error).split())[:500]})
            continue
        described = _described(model, variables)
        states = [state for state in model.saved if state != stated]
        found["models"] += [described | {"stated": state, "finished": True} for state in states]
        found["models"].append(described | {"stated": stated})
    found |= {
        "asked": sorted(keras.session.asked),
        "missing": sorted(finder.missing),
    }
    content = json.dumps(found).encode()
    while content:
        content = content[os.write(answer, content) :]
    os._exit(0)


def _limit(seconds: int, end: Callable[..., NoReturn]) -> None:
    """Has the script interrupted when its time is over, and the process ended soon after."""
    import resource

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGXCPU, end)
    for which, wanted in (
        (resource.RLIMIT_CORE, (0, 0)),
        (resource.RLIMIT_CPU, (seconds, seconds + limits.MAX_IDLE_SECONDS)),
        (resource.RLIMIT_AS, (limits.MAX_SCRIPT_BYTES, resource.RLIM_INFINITY)),
    ):
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted[0], hard), hard if wanted[1] == resource.RLIM_INFINITY else min(wanted[1], hard)
        resource.setrlimit(which, wanted)


def _relieve() -> None:
    """The script is over: what it held must not keep its answer from being written."""
    import resource

    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _described(model: Network, variables: dict[int, str]) -> dict[str, Any]:
    return {
        "variable": variables.get(id(model)),
        "chosen": bool(getattr(model, "chosen", None)),
        "finished": model.finished,
        "line": model.made_at[1] if model.made_at else None,
        "file": model.made_at[0] if model.made_at else None,
    }


def _run(path: Path, name: str | None) -> dict[str, Any]:
    """Runs a script as `python SCRIPT` does; where a name in it is asked for, as `import` does."""
    code = compiled(path)
    module = ModuleType("__main__" if name is None else path.stem)
    module.__file__ = str(path)
    sys.modules["__main__"] = module
    Running.module = module
    exec(code, module.__dict__)  # this is what the user asked for
    return module.__dict__


class Running:
    """The module that the script is."""

    module: ModuleType | None = None


def _choose(namespace: dict[str, Any], name: str) -> None:
    """Marks the model that a name stands for: a variable, or what a function without arguments returns."""
    if name not in namespace:
        raise Misuse(f"there is no {name!r} in it")
    found = namespace[name]
    if not isinstance(found, Network) and callable(found):
        found = found()
    models = [found] if isinstance(found, Network) else [item for item in found if isinstance(item, Network)] \
        if isinstance(found, tuple | list) else []  # fmt: skip
    if len(models) != 1:
        what = "gives no model" if not models else f"gives {len(models)} models"
        raise Misuse(f"{name!r} {what}")
    models[0].chosen = True


def compiled(path: Path) -> CodeType:
    """A script as code: of Python 3, or of Python 2 by way of a converter. Raises SyntaxError or Misuse."""
    try:
        with tokenize.open(path) as file:
            text = file.read()
    except (SyntaxError, UnicodeDecodeError):
        text = path.read_bytes().decode("latin-1")
    text = text.replace("\r\n", "\n").lstrip("\ufeff")
    from ror_port.source.script import python_2

    try:
        tree = ast.parse(text, str(path))
    except TabError:
        return python_2.compiled(text.expandtabs(8), str(path), None)  # as Python 2 counts them
    except (ValueError, MemoryError, RecursionError):
        raise Misuse("is no Python") from None
    except SyntaxError as problem:
        return python_2.compiled(text, str(path), problem)
    if python_2.is_meant(tree):
        return python_2.compiled(text, str(path), None)
    return compile(text, str(path), "exec", dont_inherit=True)


def _note(error: BaseException, path: Path, found: dict[str, Any]) -> None:
    """What stopped the script, with the line of it; the end that it chose itself is none."""
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path
    ]  # fmt: skip
    line = lines[-1] if lines else getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    match error:
        case OutOfTime():
            text, found["timed_out"] = "takes longer than it is given", True
        case SystemExit():
            text = f"ends with exit code {error.code}"
        case Misuse():
            text = str(error)
        case _:
            text = type(error).__name__
            with suppress(Exception):  # its text is the script's
                text = f"{text}: {error}" if str(error) else text
    found |= {"error": " ".join(text.split())[:500], "line": line, "misuse": isinstance(error, Misuse)}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the stand-in for Keras, and something inert for what is not installed.

    The latter for imports that stand in the script's own folder alone: libraries handle what they miss themselves.
    """

    def __init__(self, keras: Keras, folder: Path) -> None:
        self.keras, self.folder = keras, folder
        self.missing: set[str] = set()
        """Packages that the script imports and that are not installed."""

    def first(self) -> _First:
        return _First(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in OF_PYTHON_2 or not self._is_of_script():
            return None
        self.missing.add(name.partition(".")[0])
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def _is_of_script(self) -> bool:
        for frame in _frames():
            file = frame.f_code.co_filename
            if "importlib" not in file and file != __file__:
                return self.folder in Path(file).parents and "site-packages" not in file
        return False

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        own = self.keras.modules.get(spec.name)
        if own is not None:
            return own
        if spec.name.partition(".")[0] == "keras":
            raise Misuse(f"there is no module {spec.name}, as Keras is known here")
        if spec.name.startswith(("tensorflow.keras", "tensorflow.python.keras")):
            raise Misuse("tensorflow.keras, which is not the Keras of that time; only `import keras` is supported")
        members = {"floatX": "float32"} if spec.name in ("theano.config", "theano.configdefaults") else {}
        if spec.name == "theano":
            members["config"] = InertModule("theano.config", floatX="float32")  # type: ignore[assignment]
        return InertModule(spec.name, **members)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _First(importlib.abc.MetaPathFinder):
    """Goes before what is installed: for Keras and for what it computes on."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in ("keras", *OTHER_FRAMEWORKS):
            return importlib.machinery.ModuleSpec(name, self.finder, is_package=True)
        return None


def _frames() -> Iterator[Any]:
    frame = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
