"""Scripts of Python 2: their syntax by way of fissix, and what a quotient of whole numbers was."""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

import numpy as np

from ror_port.source.script.stand_in import Misuse

NAMES = {"xrange", "raw_input", "unicode", "unichr", "basestring", "long", "execfile", "reduce", "file", "cmp"}
"""Built-in functions of Python 2 that Python 3 has no more, or not under that name."""

METHODS = {"has_key", "iteritems", "itervalues", "iterkeys", "izip", "imap"}

MODULES = {"cPickle", "urllib2", "ConfigParser", "StringIO", "cStringIO", "Queue", "__builtin__"}


def is_meant(tree: ast.Module) -> bool:
    """Whether a script that Python 3 can read is one of Python 2, by names that it uses and does not give itself."""
    used: set[str] = set()
    given: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                given.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                given |= {alias.asname or alias.name.partition(".")[0] for alias in names}
            case ast.Attribute(attr=name) if name in METHODS:
                return True
    at_top = (alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names)
    return bool((used - given) & NAMES) or any(name in MODULES for name in at_top)


def compiled(text: str, path: str, problem: SyntaxError | None) -> CodeType:
    """A script of Python 2 as code of Python 3. Raises Misuse where it is none.

    problem: why Python 3 cannot read it; None where it can, and means something else.
    """
    try:
        from fissix import pgen2, refactor
    except ImportError:
        where = f"line {problem.lineno} is no Python 3" if problem else "it is written in Python 2"
        raise Misuse(f"{where}; to read Python 2, pip install 'ror-port[scripts]'") from None
    fixers = refactor.get_fixers_from_package("fissix.fixes")
    try:
        converted = str(refactor.RefactoringTool(fixers).refactor_string(text + "\n", path))
        tree = ast.parse(converted, path)
    except (SyntaxError, pgen2.parse.ParseError, pgen2.tokenize.TokenError):
        where = f"line {problem.lineno} is" if problem else "it is"
        raise Misuse(f"{where} neither Python 3 nor Python 2 ({problem.msg if problem else 'in part'})") from None
    if not _divides_exactly(tree):
        tree = ast.fix_missing_locations(_Division().visit(tree))
        tree.body[_start(tree) : _start(tree)] = [_import()]
        ast.fix_missing_locations(tree)
    return compile(tree, path, "exec", dont_inherit=True)


def quotient(left: Any, right: Any) -> Any:
    """What / gave in Python 2: of whole numbers a whole number."""
    whole = isinstance(left, int | np.integer) and isinstance(right, int | np.integer)
    return left // right if whole else left / right


class _Division(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return _quotient(node.left, node.right, node) if isinstance(node.op, ast.Div) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        before = ast.parse(ast.unparse(node.target), mode="eval").body
        return ast.copy_location(ast.Assign([node.target], _quotient(before, node.value, node)), node)


def _quotient(left: ast.expr, right: ast.expr, at: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Call(ast.Name("_quotient", ast.Load()), [left, right], []), at)


def _divides_exactly(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" and "division" in {a.name for a in node.names}
        for node in tree.body
    )


def _start(tree: ast.Module) -> int:
    """Behind the docstring and what is imported from __future__, which must come first."""
    return next(
        (
            place
            for place, node in enumerate(tree.body)
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        ),
        len(tree.body),
    )


def _import() -> ast.stmt:
    return ast.ImportFrom(__name__, [ast.alias("quotient", "_quotient")], 0)
