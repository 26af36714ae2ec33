"""Keras' own large networks at full size: VGG16 and ResNet50 of genuine Keras 1.2.2 on Theano, weights from a seed.

Every target of every one of them is part of a long run: ROR_PORT_THOROUGH=1.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from genuine import relative_l2
from genuine_layers import LayerRecord, application
from ror_port import tolerances
from ror_port.api import save
from ror_port.formats.format import BY_NAME
from ror_port.source.port import Port, load

THOROUGH = bool(os.environ.get("ROR_PORT_THOROUGH"))
NETWORKS = ("resnet50-th", "resnet50-tf", "vgg16-th", "vgg16-tf")
FORMATS = ("keras", "weights", "h5", "safetensors", "pt", "onnx")


@pytest.fixture(scope="module", params=NETWORKS if THOROUGH else NETWORKS[::2])
def network(request, tmp_path_factory) -> tuple[LayerRecord, Path]:
    record = application(request.param)
    path = tmp_path_factory.mktemp(request.param) / "model.h5"
    record.write(path)
    return record, path


def images(port: Port, record: LayerRecord) -> np.ndarray:
    return port.channels_last.value(port.graph.input.name).view(record.inputs[0])


def test_the_reference_computes_what_genuine_keras_did(network) -> None:
    record, path = network
    with load(path) as port:
        found = port.predict(images(port, record))
    assert relative_l2(found, record.outputs[0]) <= tolerances.FLOAT32
    assert relative_l2(found, record.outputs_float64[0]) <= tolerances.FLOAT64


@pytest.mark.parametrize("format", FORMATS if THOROUGH else FORMATS[:1])
@pytest.mark.parametrize("network", NETWORKS if THOROUGH else NETWORKS[:1], indirect=True)
def test_what_is_written_computes_the_same(network, format, tmp_path) -> None:
    """`save` runs the framework and compares it with the reference."""
    _, path = network
    with load(path) as port:
        save(port, BY_NAME[format].path_of(path, tmp_path), format=format)
