"""The shape of the package, read from its imports: what may import what, no circles, frameworks in one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import ror_port

PACKAGE = Path(ror_port.__file__).parent

BASE = {"errors", "layout", "tolerances"}
MAY_IMPORT: Mapping[str, set[str]] = {
    "errors": set(),
    "layout": set(),
    "tolerances": set(),
    "models": set(),  # users copy them away
    "frameworks": {"errors"},
    "safety": BASE,
    "network": BASE,
    "theano": {"network", "layout"},
    "mapping": BASE | {"network"},
    "html": BASE | {"network"},
    "extensions": {"errors", "network", "theano", "mapping"},
    "formats": BASE | {"frameworks", "safety", "network", "mapping"},
    "source": BASE | {"extensions", "frameworks", "safety", "network", "theano", "mapping", "formats", "html"},
    "convert": BASE | {"frameworks", "safety", "network", "mapping", "formats", "source"},
    "check": BASE
    | {"frameworks", "safety", "network", "theano", "mapping", "formats", "source", "convert", "models", "html"},
    "api": BASE | {"network", "formats", "source", "convert", "check", "html"},
    "many": BASE | {"frameworks", "safety", "formats", "source", "convert", "check", "api"},
    "cli": BASE | {"frameworks", "safety", "network", "formats", "source", "convert", "check", "api", "many"},
    "__init__": {"errors", "source", "check", "api", "many"},
    "__main__": {"cli"},
}
"""Part of the package → the parts that it may import, besides itself."""

FRAMEWORKS = {
    *("tensorflow", "keras", "torch", "onnx", "onnxruntime", "PIL", "jax", "safetensors.torch"),
    *("fsspec", "dask", "distributed"),
}
LOADERS = {"import_module", "find_spec", "__import__"}


def name_of(path: Path) -> str:
    """The name of a module, without "ror_port"; that of a package is the package's."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that source code imports, wherever it does, and every name that it imports from one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in LOADERS and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


IMPORTED = {name: set(imported(ast.parse(path.read_text(encoding="utf-8")))) for name, path in MODULES.items()}


def own(name: str) -> Iterator[str]:
    """The modules of ours that a module imports."""
    for found in IMPORTED[name]:
        if found == "ror_port.__version__":  # which is there before anything is imported
            continue
        if found.partition(".")[0] == "ror_port":
            inner = found.removeprefix("ror_port").removeprefix(".")
            while inner not in MODULES and inner:  # a name within a module
                inner = inner.rpartition(".")[0]
            yield inner or "__init__"


def part(name: str) -> str:
    return name.partition(".")[0]


def test_every_part_has_its_place() -> None:
    assert {part(name) for name in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("name", MODULES)
def test_no_import_runs_backwards(name: str) -> None:
    arrows = {(part(name), part(other)) for other in own(name)}
    assert {to for _, to in arrows} <= MAY_IMPORT[part(name)] | {part(name)}


def test_what_may_be_imported_has_an_order() -> None:
    """Else two parts could import each other, module by module, without a circle."""
    placed: list[str] = []
    while len(placed) < len(MAY_IMPORT):
        ready = [name for name, below in MAY_IMPORT.items() if name not in placed and below <= set(placed)]
        assert ready, f"a circle among {set(MAY_IMPORT) - set(placed)}"
        placed += ready


def test_the_reference_imports_numpy_alone() -> None:
    outside = {found.partition(".")[0] for name in MODULES if part(name) == "theano" for found in IMPORTED[name]}
    assert outside <= {"ror_port", "numpy", "__future__", "collections", "dataclasses", "functools", "math", "typing"}


def test_modules_import_each_other_in_no_circle() -> None:
    remaining = {name: set(own(name)) - {name} for name in MODULES}
    while free := [name for name, others in remaining.items() if not others & set(remaining)]:
        for name in free:
            del remaining[name]
    assert not remaining, f"a circle among {sorted(remaining)}"


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) not in ("frameworks", "models")])
def test_frameworks_are_imported_in_one_module(name: str) -> None:
    found = {item for item in IMPORTED[name] for framework in FRAMEWORKS if f"{item}.".startswith(f"{framework}.")}
    assert not found


def test_tests_import_frameworks_late() -> None:
    """One that is loaded with the tests makes every child process of every test slow, PyTorch four times."""
    for path in Path(__file__).parent.rglob("*.py"):
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
            if isinstance(statement, ast.ImportFrom):
                names.append(statement.module or "")
            late = any(isinstance(node, ast.Attribute) and node.attr == "importorskip" for node in ast.walk(statement))
            own = isinstance(statement, ast.FunctionDef | ast.ClassDef)
            assert own or not late, path
            assert not {name.partition(".")[0] for name in names} & {"torch", "tensorflow", "keras", "tf_keras"}, path
            assert not any(name.startswith("ror_port.models") for name in names), path


def test_the_root_is_small() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 8
