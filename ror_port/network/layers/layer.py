"""What every kind of layer provides: its settings, its shapes, and how each software spells it.

A layer is an immutable description. It holds no weights and belongs to no framework: what it computes is its twin in
`ror_port.theano`; what its weights are called, and how they lie, is in `ror_port.mapping.weights`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeVar, dataclass_transform

from ror_port.layout import Axes, DataFormat, Layout, PermuteFlattened, Shape
from ror_port.network.layers.settings import Settings

Arrangement = Axes | PermuteFlattened | None
"""How a value lies in another graph than its own: with its axes permuted, as a vector that was flattened with its axes
permuted, or as it is (None)."""

Mask = tuple[str, ...]
"""Which steps of a sequence count: the nodes that say it, all of which must agree; empty where every step counts."""


class KerasLayer(NamedTuple):
    """A stock layer of Keras 2 and 3. config: every setting that changes what it computes, without name and dtype."""

    class_name: str
    config: Mapping[str, Any]


class OnnxOperator(NamedTuple):
    """An ONNX operator. weights: the roles of those that it takes, where the layer has them.

    constants: further inputs that are lists of integers or of floats; an empty one is left out.
    folds: whether the operator takes two inputs and is applied to the first two, then to that and the third, and so on.
    takes: its inputs, where they are not what the operator before it gives, or of the first the node's: "0", "1" … are
    the node's, "#0", "#1" … of the operators before, "mask" is that of the node's first input, a role is a weight, and
    "" one that is left out. position: of its output, among those that it has.
    """

    kind: str
    attributes: Mapping[str, Any] = {}
    weights: Sequence[str] = ()
    constants: Sequence[Sequence[float]] = ()
    folds: bool = False
    takes: Sequence[str] = ()
    position: int = 0


MODULE_CALL = "{module}({x})"
"""The plain call of a module."""


class TorchCode(NamedTuple):
    """PyTorch source text. module: an expression that makes an ``nn.Module``; None where the layer is a function call.

    call: the expression in ``forward``, with ``{x}`` for the first input, ``{0}``, ``{1}`` … for each, ``{xs}`` for all
    inputs separated by commas, ``{mask}`` for the mask of the first, and ``{module}`` for the module.
    needs: names of `ror_port.models.recurrent_torch` that the definition has to hold.
    """

    module: str | None
    call: str = MODULE_CALL
    needs: tuple[str, ...] = ()


class Assembly(Protocol):
    """A graph under construction, in the place of one node."""

    def add(self, suffix: str, layer: Layer, *inputs: str) -> str:
        """A node called as the one that is replaced, with a suffix where that is not empty."""

    def shape(self, name: str) -> Shape:
        """Of the output of a node."""


L = TypeVar("L", bound="Layer")


class Moved(NamedTuple):
    """A layer in another order of axes; see `ror_port.network.relayout`.

    layer: with its settings translated. inputs: the arrangement in which each input must come.
    output: the arrangement in which the output comes. weights: role → how its weight changes, old → new canonical form.
    """

    layer: Layer
    inputs: tuple[Arrangement, ...]
    output: Arrangement = None
    weights: Mapping[str, Layout] = {}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(kw_only: bool = False) -> Callable[[type[L]], type[L]]:
    """Makes a kind of layer: a dataclass whose fields are its settings.

    What dataclass would make for each of fifty kinds, `Layer` has once for all: making it takes longer than a small
    file does.
    """

    def made(kind: type[L]) -> type[L]:
        dataclass(init=False, eq=False, repr=False, kw_only=kw_only)(kind)
        kind.defaults = {setting.name: setting.default for setting in fields(kind)}
        return kind

    return made


@immutable()
class Layer:
    """One kind of layer with its settings. Subclasses are immutable and compare by value.

    Shapes are without the batch, in the order of axes that the graph has.
    """

    keras: ClassVar[tuple[str, ...]] = ()
    """Class names in stored architectures of Keras 1 to 3, today's first."""

    keras_1: ClassVar[str | None] = None
    """Its class in Keras 1, where that is another; empty where Keras 1 on Theano has none."""

    merges: ClassVar[bool] = False
    """Whether it takes several inputs, in Keras as a list."""

    elementwise: ClassVar[bool] = False
    """Whether an element of the output depends on the same element of its inputs alone, so that no axis matters."""

    passes_masks: ClassVar[bool] = False
    """Whether its output has the mask of its input, as that of an elementwise layer. Keras admits none elsewhere."""

    defaults: ClassVar[Mapping[str, Any]] = {}
    """Setting → what it is where it is not given, or dataclasses' MISSING."""

    def __init__(self, *values: Any, **settings: Any) -> None:
        given = dict(zip(self.__match_args__, values, strict=False)) | settings
        own = {name: given.get(name, default) for name, default in self.defaults.items()}
        if len(given) < len(values) + len(settings) or not given.keys() <= own.keys() or MISSING in own.values():
            raise TypeError(f"{type(self).__name__} takes the settings {', '.join(self.defaults)}")
        vars(self).update(own)
        self.__post_init__()

    def __post_init__(self) -> None:
        """Completes the settings."""

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(name)

    @property
    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.defaults)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or self._values == other._values

    def __hash__(self) -> int:
        return hash((type(self), *self._values))

    def __repr__(self) -> str:
        settings = (f"{name}={getattr(self, name)!r}" for name in self.defaults)
        return f"{type(self).__name__}({', '.join(settings)})"

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        """The layers that a stored configuration stands for, one after the other; the first has the weights."""
        return [cls()]

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape of the output. Raises ValueError where the inputs do not fit."""
        return inputs[0]

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        """Role → canonical shape, in the order in which Keras keeps them, for inputs of the given shapes."""
        return {}

    def bound(self, *inputs: Shape) -> Self:
        """The same layer with every setting in normal form, for inputs of the given shapes.

        Two layers that compute the same by other words become equal: axes count from the front, for example.
        """
        return self

    def masked(self, name: str, *masks: Mask) -> tuple[Layer, Mask]:
        """The layer, told whether its input has a mask, and the mask of its output. name: of its node.

        masks: of its inputs. Raises ValueError where it takes none.
        """
        if any(masks) and not (self.elementwise or self.passes_masks):
            raise ValueError(f"a {type(self).__name__} takes no masked sequence, in Keras either")
        return self, joint(*masks)

    def factors(self, role: str) -> Sequence[float]:
        """What `for_keras` multiplies a weight by, along its last axis; nothing where it stays as it is."""
        return ()

    @property
    def result(self) -> tuple[int, int] | None:
        """Which of how many results of one call it is, where a call has several: each of them is a node."""
        return None

    @property
    def called(self) -> Layer:
        """The layer that is called, whichever of its results this is."""
        return self

    @property
    def canonical(self) -> Layer:
        """The layer with its weights in canonical form, where its own Keras kept or used them otherwise."""
        return self

    def pieces(self, role: str) -> tuple[str, ...]:
        """The weights that a canonical one is made of, side by side along its last axis."""
        return (role,)

    def fitted(self, stored: Sequence[Shape], *inputs: Shape) -> Layer:
        """The layer with what its configuration leaves to the shapes of its weights in the file."""
        return self

    def moved(self, target: DataFormat, arrived: Sequence[Arrangement], inputs: Sequence[Shape]) -> Moved:
        """The layer in a graph whose images are brought to `target`.

        arrived: the arrangements in which its inputs arrive there. inputs: their shapes in the old graph. A layer that
        looks at every element alike takes them as they come, if all come alike; any other asks for the old order.
        """
        alike = arrived[0] if self.elementwise and len(set(arrived)) == 1 else None
        return Moved(self, (alike,) * len(arrived), alike)

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        """Adds the same function in layers that Keras 3 has; returns the name of the last of them.

        That one has the suffix "". Weights stay in their order.
        """
        return g.add("", self, *inputs)

    def is_composed(self, keras: bool, shows_masked_steps: bool) -> bool:
        """Whether other layers are put in its place for PyTorch and ONNX, and, keras, for Keras too.

        shows_masked_steps: whether it matters what it gives where a step does not count.
        """
        return False

    def in_parts(self, g: Assembly, *inputs: str) -> str:
        """Adds the same function in layers that all have, where it is composed; otherwise as `for_keras`."""
        raise NotImplementedError(f"no parts of {self}")

    def same_on_theano(self, *inputs: Shape) -> bool:
        """Whether Theano pads as this layer does, for inputs of the given shapes: TensorFlow's 'same' is another."""
        return True

    def to_keras(self) -> KerasLayer:
        """The stock layer of Keras 2 and 3."""
        raise NotImplementedError(f"no Keras layer for {self}")

    def to_torch(self, *inputs: Shape) -> TorchCode:
        """PyTorch source text, for inputs of the given shapes, images channels_first."""
        raise NotImplementedError(f"no PyTorch code for {self}")

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        """ONNX operators, one after the other; the first takes the node's inputs. Shapes as for `to_torch`."""
        raise NotImplementedError(f"no ONNX operator for {self}")


class Composed(Layer):
    """A layer that no software of today has: each is given others in its place."""

    def is_composed(self, keras: bool, shows_masked_steps: bool) -> bool:
        return True


def joint(*masks: Mask) -> Mask:
    """The mask where several apply."""
    return tuple(sorted(set().union(*masks)))


def axis_of(axis: int, shape: Shape) -> int:
    """An axis as Keras counts it, with the batch as 0 or from the end, counted from the front.

    Raises ValueError where there is no such axis.
    """
    found = axis + len(shape) + 1 if axis < 0 else axis
    if not 0 < found <= len(shape):
        raise ValueError(f"there is no axis {axis} in a value of shape {shape}")
    return found


def moved_axis(axis: int, arrangement: Arrangement) -> int:
    """Where an axis, counted from the front with the batch as 0, lies in a value with its axes permuted."""
    return 1 + arrangement.index(axis - 1) if isinstance(arrangement, tuple) else axis
