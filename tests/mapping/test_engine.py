import pytest
from ror_port.mapping.keras import KERAS_3, keras_1, keras_2, keras_layer_name
from ror_port.mapping.onnx import CONVENTION as ONNX_CONVENTION
from ror_port.mapping.onnx import onnx
from ror_port.mapping.torch import TORCH, module_path

from ror_port.layout import HWIO_TO_OIHW, SAME
from ror_port.mapping.convention import CANONICAL, Convention
from ror_port.mapping.engine import MappingError, Rule, Table
from ror_port.network.families.ror_wrn import RoRWRN
from ror_port.network.graph import Parameter

GRAPH = RoRWRN(2, 2).graph()
THEANO = Convention(flipped=True, kernels="OIHW", rows="CHW")
TABLES = [
    (keras_1(THEANO), keras_layer_name),
    (keras_2(CANONICAL), keras_layer_name),
    (KERAS_3, keras_layer_name),
    (TORCH, module_path),
    (onnx(ONNX_CONVENTION), str),
]


@pytest.mark.parametrize(("table", "layer"), TABLES, ids=lambda value: getattr(value, "format", ""))
def test_every_table_covers_the_network_one_to_one(table, layer) -> None:
    entries = table.bind(GRAPH.parameters, layer)
    assert [entry.parameter for entry in entries] == list(GRAPH.parameters)
    assert len({entry.foreign for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.layout.inverse.shape(entry.foreign_shape) == entry.parameter.shape


def test_faults_are_named_all_at_once() -> None:
    table = Table("partial", (Rule("conv", "kernel", "weight", HWIO_TO_OIHW), Rule("dense", "bias", "bias", SAME)))
    with pytest.raises(MappingError) as error:
        table.bind(GRAPH.parameters, module_path)
    assert "stem/conv/bias: no rule" in str(error.value)
    assert "head/bn/gamma: no rule" in str(error.value)
    assert f"weight: stands for {sum(p.kind == 'conv' and p.role == 'kernel' for p in GRAPH.parameters)}" in str(
        error.value
    )


def test_two_rules_for_one_parameter_are_refused() -> None:
    rule = Rule("conv", "bias", "{layer}.bias")
    with pytest.raises(MappingError, match="more than one rule"):
        Table("double", (rule, rule))


def test_a_dense_kernel_behind_one_position_keeps_its_rows() -> None:
    kernel = Parameter("head/dense", "dense", "kernel", (64, 10), (1, 1, 64))
    assert TORCH.layout(kernel).shape(kernel.shape) == (10, 64)
