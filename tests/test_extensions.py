"""The layer that docs/extending.md brings, installed as a package: in a process of its own, as it stays for good."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genuine import ROOT
from genuine_layers import Case, record
from ror_port.api import load
from ror_port.errors import UnknownNetwork

STACKS = ("keras-1.2.2-theano-0.9.0", "keras-2.2.4-theano-1.0.5")
CASES = [Case(stack, "custom", f"scale-{name}-th") for stack in STACKS for name in ("image", "rows", "vector")]

CHECK = """
import json, sys
from pathlib import Path
import numpy as np
from genuine import relative_l2
from genuine_layers import Case, record
from ror_port.api import load, save
from ror_port.errors import UnknownNetwork

found = {}
for case in (Case(*names) for names in json.loads(sys.argv[1])):
    genuine, path = record(case), Path(sys.argv[2]) / f"{case.stack}-{case.name}.h5"
    genuine.write(path)
    with load(path) as port:
        (begin,), (end,), axes = port.graph.inputs, port.graph.outputs, port.channels_last
        inputs = {begin.name: axes.value(begin.name).view(genuine.inputs[0])}
        output = axes.value(end).inverse.view(port.outputs(inputs, end)[end])
        figures = {"reference": float(relative_l2(output, genuine.outputs_float64[0]))}
        for format, ending in json.loads(sys.argv[3]):
            target = path.with_name(path.stem + ending)
            try:
                save(port, target, format=format)
            except UnknownNetwork as error:
                figures[format] = str(error)
                continue
            with load(target) as again:
                figures[format] = len(again.graph.parameters)
                back = path.with_name(f"{path.stem}-{format}.th.h5")
                save(again, back, format="theano")
                with load(back) as returned:
                    same = all(np.array_equal(returned.untouched(p), port.untouched(p)) for p in port.graph.parameters)
                    figures[f"{format} back"] = same
    found[str(case)] = figures
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the package as an installer would leave it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "docs" / "examples" / "ror_port_scale.py", folder)
    about = folder / "ror_port_scale-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ror-port-scale\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ror_port.extensions]\nscale = ror_port_scale:extend\n")
    return folder


def test_the_page_names_the_entry_point() -> None:
    page = (ROOT / "docs" / "extending.md").read_text()
    assert '[project.entry-points."ror_port.extensions"]\nscale = "ror_port_scale:extend"' in page


@pytest.mark.parametrize("formats", [[("safetensors", "-net"), ("onnx", ".onnx")], [("keras", ".keras")]])
def test_a_layer_that_a_package_brings_is_a_layer_like_any_other(formats, installed, tmp_path) -> None:
    cases = CASES if formats[0][0] != "keras" else CASES[:3]
    arguments = [json.dumps(cases), str(tmp_path), json.dumps(formats)]
    paths = os.pathsep.join([str(installed), str(ROOT), str(ROOT / "tests")])
    run = subprocess.run(
        [sys.executable, "-c", CHECK, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert set(found) == set(map(str, cases))
    for case, figures in found.items():
        assert figures.pop("reference") <= 1e-12, case
        for format, _ in formats:
            if format == "keras" and "rows" in case:
                assert "along axis 2; Keras has one along the last" in figures[format]
            else:
                assert figures[f"{format} back"] is True, case


@pytest.mark.parametrize("code", ["import nothing_of_that_name", "def extend(): raise RuntimeError('x')", "extend = 3"])
def test_one_that_fails_is_named_in_one_line(code, installed, tmp_path) -> None:
    shutil.copytree(installed, tmp_path / "site")
    (tmp_path / "site" / "ror_port_scale.py").write_text(code)
    record(CASES[0]).write(tmp_path / "model.h5")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])}
    command = [sys.executable, "-m", "ror_port", "to-onnx", str(tmp_path / "model.h5")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert "the installed extension 'scale' ('ror_port_scale:extend') fails: " in line


def test_without_it_the_layer_is_refused_by_its_name_and_the_page(tmp_path) -> None:
    record(CASES[0]).write(tmp_path / "model.h5")
    with pytest.raises(UnknownNetwork, match=r"layers of class 'Scale' are not supported; .*docs/extending\.md"):
        load(tmp_path / "model.h5")
