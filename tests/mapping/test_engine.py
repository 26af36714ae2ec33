"""The table of weights, bound to networks."""

import pytest

from ror_port.layout import SAME, Flip, Transpose
from ror_port.mapping import weights
from ror_port.mapping.convention import ONNX_CONVENTION, PYTORCH_CONVENTION, TENSORFLOW, THEANO, Convention
from ror_port.mapping.engine import MappingError, bind
from ror_port.mapping.software import KERAS_1, KERAS_3
from ror_port.network.families.ror_wrn import RoRWRN
from ror_port.network.graph import Parameter
from ror_port.network.layers import Conv2D, Dense
from ror_port.network.layers.layer import Composed

GRAPH = RoRWRN(2, 2).graph("channels_first")
CONVENTIONS = [THEANO, TENSORFLOW, Convention(KERAS_3), PYTORCH_CONVENTION, ONNX_CONVENTION]


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda convention: convention.software.name)
def test_every_software_covers_the_network_one_to_one(convention) -> None:
    entries = bind(convention, GRAPH.parameters)
    assert [entry.parameter for entry in entries] == list(GRAPH.parameters)
    assert len({entry.foreign for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.layout.inverse.shape(entry.foreign_shape) == entry.parameter.shape


def test_faults_are_named_all_at_once(monkeypatch) -> None:
    def some(kind: type) -> dict:
        return {role: row for role, row in rows(kind).items() if role == "kernel"}

    rows = weights.of_layer
    monkeypatch.setattr(weights, "of_layer", some)
    with pytest.raises(MappingError) as error:
        bind(PYTORCH_CONVENTION, GRAPH.parameters, lambda _: "all")
    assert "stem/conv/bias: no row for the bias of a Conv2D" in str(error.value)
    assert "head/bn/gamma: no row" in str(error.value)
    assert f"all.weight: stands for {sum(p.role == 'kernel' for p in GRAPH.parameters)} parameters" in str(error.value)


def test_every_layer_has_its_weights_once() -> None:
    assert len({(row.layer, row.role) for row in weights.WEIGHTS}) == len(weights.WEIGHTS)
    for kind in weights.KINDS:
        rows = weights.of_layer(kind).values()
        for software in ("keras_1", "keras_2", "keras_3", "torch", "onnx"):
            names = [getattr(row, software) for row in rows]
            assert len(set(names)) == len(names) or (set(names) == {None} and issubclass(kind, Composed))


def test_theano_turns_kernels_of_convolutions_and_nothing_else() -> None:
    conv, dense = Conv2D(4, (3, 3), (1, 1), data_format="channels_first"), Dense(10)
    for layer, role, shape in ((conv, "kernel", (3, 3, 2, 4)), (conv, "bias", (4,)), (dense, "kernel", (64, 10))):
        steps = THEANO.layout(Parameter("node", layer, role, shape)).steps
        expected = (Flip((0, 1)), Transpose((3, 2, 0, 1))) if layer is conv and role == "kernel" else ()
        assert steps == expected


def test_keras_1_keeps_kernels_by_the_data_format_of_their_layer() -> None:
    """dim ordering "tf" on Theano: the axes of TensorFlow, flipped all the same."""
    layer = Conv2D(4, (3, 3), (1, 1), data_format="channels_last")
    assert Convention(KERAS_1, theano=True).layout(Parameter("node", layer, "kernel", (3, 3, 2, 4))).steps == (
        Flip((0, 1)),
    )
    assert TENSORFLOW.layout(Parameter("node", layer, "kernel", (3, 3, 2, 4))) == SAME


def test_a_dense_kernel_is_transposed_for_pytorch() -> None:
    kernel = Parameter("head/dense", Dense(10), "kernel", (64, 10))
    assert PYTORCH_CONVENTION.layout(kernel).shape(kernel.shape) == (10, 64)
    assert ONNX_CONVENTION.layout(kernel) == SAME
