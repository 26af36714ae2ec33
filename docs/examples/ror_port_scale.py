"""A layer that many networks of 2016 carried: gamma · x + beta along one axis, as a package that extends ror-port."""

from dataclasses import replace

from ror_port.errors import UnknownNetwork
from ror_port.extensions import add_layer
from ror_port.layout import Layout, PermuteFlattened, extent
from ror_port.mapping.weights import Weight
from ror_port.network.layers.layer import (
    KerasLayer,
    Layer,
    Moved,
    OnnxOperator,
    TorchCode,
    axis_of,
    immutable,
    moved_axis,
)


@immutable()
class Scale(Layer):
    keras = ("Scale", "EinsumDense")  # its class in stored architectures, and what Keras 3 has for it
    passes_masks = True
    axis: int = -1  # counts the batch as 0
    shape: tuple[int | None, ...] = ()  # of its input, without the batch

    @classmethod
    def from_keras(cls, settings):
        if settings.class_name == "Scale":
            return [cls(settings.get("axis", default=-1))]
        axes, _, along = settings.get("equation").partition("->")[0].partition(",")
        if len(along) != 1 or settings.get("bias_axes") != along:
            raise settings.refuse("another EinsumDense")
        settings.read |= {"output_shape", "activation"}
        return [cls(axes.index(along))]

    def bound(self, *inputs):
        return replace(self, axis=axis_of(self.axis, inputs[0]), shape=extent(inputs[0]))

    def weights(self, *inputs):
        return dict.fromkeys(("gamma", "beta"), (inputs[0][axis_of(self.axis, inputs[0]) - 1],))

    def moved(self, target, arrived, inputs):  # to another order of axes
        (arrangement,) = arrived
        rows = Layout((arrangement,)) if isinstance(arrangement, PermuteFlattened) else Layout(())
        changes = dict.fromkeys(("gamma", "beta"), rows)
        return Moved(replace(self, axis=moved_axis(self.axis, arrangement)), (arrangement,), arrangement, changes)

    def to_keras(self):
        if self.axis != len(self.shape):
            raise UnknownNetwork(f"a Scale along axis {self.axis}; Keras has one along the last")
        axes = "abcdefgh"[: len(self.shape) + 1]
        equation, along = f"{axes},{axes[self.axis]}->{axes}", axes[self.axis]
        return KerasLayer("EinsumDense", {"equation": equation, "output_shape": self.shape, "bias_axes": along})

    def to_torch(self, *inputs):
        size = self.shape[self.axis - 1]
        module = f'nn.ParameterDict({{"gamma": torch.ones({size}), "beta": torch.zeros({size})}})'
        call = f'({{x}}.movedim({self.axis}, -1) * {{module}}["gamma"] + {{module}}["beta"]).movedim(-1, {self.axis})'
        return TorchCode(module, call)

    def to_onnx(self, *inputs):
        last = [axis for axis in range(len(self.shape) + 1) if axis != self.axis] + [self.axis]
        there, back = (
            OnnxOperator("Transpose", {"perm": p}) for p in (last, [last.index(a) for a in range(len(last))])
        )
        return [there, OnnxOperator("Mul", weights=("gamma",)), OnnxOperator("Add", weights=("beta",)), back]


def scale(layer, call):  # what it computes: NumPy, float64
    shape = [-1 if axis == layer.axis else 1 for axis in range(call.x.ndim)]
    return call.weights["gamma"].reshape(shape) * call.x + call.weights["beta"].reshape(shape)


def extend():  # the entry point
    rows = [  # layer, role, axes, flips, and its name in Keras 1, 2, 3, PyTorch, ONNX
        Weight(Scale, "gamma", "C", False, "gamma", "gamma", "0", "gamma", "gamma"),
        Weight(Scale, "beta", "C", False, "beta", "beta", "1", "beta", "beta"),
    ]
    add_layer(Scale, scale, rows)
