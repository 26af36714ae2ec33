"""Settings of Sphinx; `scripts/docs` builds the pages.

Their root is that of the repository, so that the links between README, docs/ and files are the same on a code host.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ror_port

for name in ror_port.__all__:
    setattr(ror_port, name, getattr(ror_port, name))  # imported when it is first used, which autodoc does not see

project = "ror-port"
author = "The ror-port developers"
release = version = ror_port.__version__

root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "reference/README.md"]
exclude_patterns = [".*", "build", "fixtures", "reference/.build"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_click"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"ror-port {release}"
html_show_copyright = False
smartquotes = False  # options begin with two hyphens

default_role = "py:obj"  # what docstrings put in single backticks
autodoc_mock_imports = ["keras", "tensorflow", "torch"]
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"  # nobody makes a Port or a Verification by hand


def _verbatim(_: Any, context: Any, lines: list[str]) -> None:
    """The end of the help of `ror-port`, which is laid out for a terminal."""
    if text := context.command.epilog:
        kept = text.replace("\b\n", "").strip("\n").splitlines()
        lines[:] = [".. code-block:: text", "", *(f"   {line}" for line in kept), ""]


def _examples(_: Any, __: str, ___: str, ____: Any, _____: Any, lines: list[str]) -> None:
    """What docstrings indent is literal."""
    for number in range(len(lines) - 1, 0, -1):
        before = next((line for line in reversed(lines[:number]) if line), "")
        if lines[number].startswith("    ") and not lines[number - 1] and not before.startswith(" "):
            lines[number:number] = ["::", ""]


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _examples)
    app.connect("sphinx-click-process-epilog", _verbatim)
