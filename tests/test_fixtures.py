"""fixtures/ is what the recorder wrote: every file has the sha256 that its manifest states.

Of single layers there are archives instead of manifests, which keep a checksum of every array; see test_genuine_layers.
"""

import hashlib
import json

import pytest

from genuine import FIXTURES
from genuine_layers import APPLICATIONS, LAYERS

MANIFESTS = sorted(FIXTURES.glob("*/manifest_*.json"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_manifest(path) -> None:
    manifest = json.loads(path.read_text())
    assert {manifest.get("backend", "theano"), "keras", "numpy", "h5py", "python"} <= set(manifest["versions"])
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == digest, name


def test_every_fixture_has_a_manifest_for_each_precision() -> None:
    for folder in set(FIXTURES.iterdir()) - {LAYERS, APPLICATIONS, FIXTURES / "scripts"}:
        expected = {"float32"} if "tensorflow" in folder.name else {"float32", "float64"}
        assert {path.stem.removeprefix("manifest_") for path in folder.glob("manifest_*.json")} == expected
