"""What a stored call of a layer reads: its inputs, the states that it begins with, and the mask that it is given.

Keras 1 and 2 know masks by their layers alone. Keras 3 writes the operations that make them into the architecture, and
states each mask as an argument of what is given it; that is followed where it is the mask that Keras 1 and 2 had there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ror_port.errors import UnknownNetwork
from ror_port.network.graph import Node
from ror_port.network.layers import Masking

Json = Mapping[str, Any]

TAKE_STATES = ("SimpleRNN", "GRU", "LSTM", "RNN")
"""Classes of layers that are called with the argument initial_state."""

TAKE_MASKS = ("SimpleRNN", "GRU", "LSTM", "Bidirectional", "GlobalAveragePooling1D", "BatchNormalization")
"""Classes of layers of Keras 3 that are called with the argument mask, and make of it what their predecessors did."""

MASK_OPERATIONS = ("NotEqual", "Any", "LogicalAnd")
"""Operations of Keras 3 that masks are made by."""

LARGEST = 3e38
"""What a mask is made by is no larger: float32 has no such number."""

Unequal = tuple[str, float, bool]
"""What makes a mask: a node, what its elements must be other than, and whether any of a step's is enough."""


class MaskValue(NamedTuple):
    """What an operation of Keras 3 gives that is a mask, or a part of one; all of it must agree."""

    made_of: frozenset[Unequal]


class Reads(NamedTuple):
    """Each as [layer, call, output], where it is as it should be. tensors: inputs, and states that a layer begins with.

    mask: what it is given as one; None where nothing is.
    """

    tensors: list[Any]
    mask: Any = None


def mask_value(operation: Json, number: int, nodes: Sequence[str], masks: Sequence[MaskValue]) -> MaskValue | None:
    """What a call of an operation gives; None where neither Embedding nor Masking makes such a mask, nor a layer joins.

    number: of the call. nodes, masks: what it reads.
    """
    match operation["class_name"], nodes, masks:
        case "NotEqual", [node], []:
            constants = [c for c in operation["inbound_nodes"][number]["args"] if type(c) in (int, float)]
            if len(constants) == 1 and abs(constants[0]) <= LARGEST:
                return MaskValue(frozenset({(node, float(constants[0]), False)}))
        case "Any", [], [MaskValue(made_of)] if len(made_of) == 1:
            config = operation["config"]
            ((node, constant, over_steps),) = made_of
            if not over_steps and config.get("axis") in (-1, [-1]) and not config.get("keepdims"):
                return MaskValue(frozenset({(node, constant, True)}))
        case "LogicalAnd", [], [first, second]:
            return MaskValue(first.made_of | second.made_of)
    return None


def mask_of(makers: Iterable[Node]) -> MaskValue:
    """The mask of the nodes that make it."""

    def made(by: Node) -> Unequal:
        return (
            (by.inputs[0], by.layer.mask_value, True) if isinstance(by.layer, Masking) else (by.inputs[0], 0.0, False)
        )

    return MaskValue(frozenset(map(made, makers)))


def read(node: Any, kind: str, where: str) -> Reads:
    """What a call reads. node: one of the inbound_nodes of a layer of class `kind`.

    Raises UnknownNetwork for arguments that are not supported.
    """
    if kind in MASK_OPERATIONS:
        return Reads(_of_operation(node, where))
    if not isinstance(node, dict):
        return Reads(_of_keras_2(node, kind in TAKE_STATES))
    return _of_keras_3(node, where, kind in TAKE_STATES, kind in TAKE_MASKS)


def listed_tensors(stated: Any) -> list[Any]:
    """A list of tensors; Keras 3 writes a single one without the list."""
    if isinstance(stated, list) and stated and isinstance(stated[0], str):
        return [stated]
    return stated if isinstance(stated, list) else []


def _of_keras_2(node: Any, states: bool) -> list[Any]:
    """states: whether they may be an argument, which stands in each tensor."""
    tensors = listed_tensors(node)
    match tensors:
        case [[layer, call, output, {"initial_state": given, **rest}]] if states and not rest:
            return [[layer, call, output], *listed_tensors(given)]
    return tensors


def _of_operation(node: Any, where: str) -> list[Any]:
    """Without what else it is given."""
    args = node.get("args") if isinstance(node, dict) else None
    if not isinstance(args, list) or node.get("kwargs") not in ({}, None):
        raise _unsupported(where)
    return [_history(argument) for argument in args if isinstance(argument, dict)]


def _of_keras_3(node: Json, where: str, states: bool, masks: bool) -> Reads:
    args, kwargs = node.get("args"), node.get("kwargs")
    given = kwargs.get("initial_state") if isinstance(kwargs, dict) and states else None
    mask = kwargs.get("mask") if isinstance(kwargs, dict) and masks else None
    idle = kwargs is None or (
        isinstance(kwargs, dict)
        and kwargs.keys() <= {"mask", "training", *(["initial_state"] if states else [])}
        and (masks or kwargs.get("mask") is None)
        and kwargs.get("training") in (None, False)
    )
    if not isinstance(args, list) or len(args) != 1 or not idle:
        raise _unsupported(where)
    tensors = args[0] if isinstance(args[0], list) else args
    tensors = [*tensors, *(given if isinstance(given, list) else [given] if given is not None else [])]
    return Reads([_history(tensor) for tensor in tensors], None if mask is None else _history(mask) or ())


def _history(tensor: Any) -> Any:
    """[layer, call, output] of a tensor of Keras 3; None where it is none."""
    config = tensor.get("config") if isinstance(tensor, dict) else None
    return config.get("keras_history") if isinstance(config, dict) else None


def _unsupported(where: str) -> UnknownNetwork:
    return UnknownNetwork(f"{where} is called with arguments that are not supported")
