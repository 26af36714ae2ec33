"""The notebook in docs/ runs, and what it shows is what the objects show of themselves today."""

from __future__ import annotations

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient

import ror_port
from genuine import ROOT
from genuine_layers import Case, record
from pages import masked

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning"
)  # of Jupyter's packages


def shown(cell: nbformat.NotebookNode) -> list[str]:
    """The texts that a cell shows, without the figures that differ between machines."""
    texts = [output.text if output.output_type == "stream" else output.data["text/html"] for output in cell.outputs]
    kept = [re.sub(r"<svg.*?</svg>", "<svg/>", text, flags=re.DOTALL) for text in texts]
    return ["\n".join(map(masked, text.splitlines())) for text in kept]


def test_the_notebook_runs_and_shows_what_it_showed(tmp_path, monkeypatch) -> None:
    """If it shows something else, and that is right: run it in a clone, and save it."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))))
    before = nbformat.read(NOTEBOOK, as_version=4)
    after = nbformat.from_dict(before)
    NotebookClient(after, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pairs = [(a, b) for a, b in zip(before.cells, after.cells, strict=True) if a.cell_type == "code"]
    assert [shown(one) for one, _ in pairs] == [shown(other) for _, other in pairs]
    pages = [output.data["text/html"] for one, _ in pairs for output in one.outputs if "data" in output]
    assert len(pages) == 4
    assert sum("<svg" in page for page in pages) == 3
    assert "FAILED" in pages[-1]


def test_names_out_of_files_are_nothing_but_names(tmp_path) -> None:
    path = tmp_path / "<script>alert(1)<\\script>.h5"
    record(Case("keras-2.2.4-theano-1.0.5", "dense", "two-th")).write(path)
    with ror_port.load(path) as port:
        written = ror_port.save(port, tmp_path / "<b>.onnx")
        html = [port._repr_html_(), written._repr_html_(), written.verification._repr_html_()]
    assert all(page.startswith('<div class="ror-port">') for page in html)
    assert not [page for page in html if "<script" in page or "<b>.onnx" in page]
    assert "dense_1" in html[0]
    assert "passed" in html[1]


def test_a_network_of_many_layers_is_cut(tmp_path) -> None:
    path = tmp_path / "w.h5"
    record(Case("keras-2.2.4-theano-1.0.5", "networks", "inception-th")).write(path)
    with ror_port.load(path) as port:
        html = port._repr_html_()
        count = len(list(port.graph))
    assert (f"and {count - 40} more" in html) == (count > 40)
