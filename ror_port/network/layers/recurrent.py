"""SimpleRNN, GRU and LSTM: sequences of (steps, features), one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

from ror_port.errors import UnknownNetwork
from ror_port.layout import Shape
from ror_port.network.layers.activation import FUNCTIONS, HARD_SIGMOID_OF_KERAS_3, function_named, keras_name
from ror_port.network.layers.layer import Assembly, KerasLayer, Layer, Mask, OnnxOperator, TorchCode, immutable
from ror_port.network.layers.settings import Settings

State = Literal["h", "c"]

SLOPES = 0.2 * 6
"""By how much the hard_sigmoid of Keras 1 and 2 is steeper than that of Keras 3."""


@immutable()
class Recurrent(Layer):
    """kernel: (features, gates · units), recurrent_kernel: (units, gates · units), bias: (gates · units,).

    go_backwards: from the last step to the first; outputs stay in the order in which they are computed.
    has_mask: whether the input has a mask: where a step does not count, states and output stay those of the step
    before, and the first ones are zeros. separate: whether each gate has weights of its own, as in Keras 0.x and 1.
    return_state: whether a call gives the states behind the last step too. gives: which of these results it is.
    stateful: whether a call begins with the states that the one before ended with.

    Further inputs are the states before the first step, in the place of zeros; an output before the first step that
    counts is zeros nevertheless.
    """

    gates: ClassVar[tuple[str, ...]]
    """In the order of their columns."""

    kept: ClassVar[tuple[str, ...]]
    """In the order in which Keras 1 keeps them, where they are separate."""

    onnx_gates: ClassVar[tuple[str, ...]]
    """In ONNX' order."""

    states: ClassVar[Sequence[State]] = ("h",)
    """What one step hands to the next, in the order of Keras and of ONNX."""

    units_are_called: ClassVar[tuple[str, ...]] = ("units", "output_dim")

    onnx_functions: ClassVar[tuple[str, ...]] = ("recurrent_activation", "activation")
    """The settings that are ONNX' activations, in its order."""

    units: int
    activation: str = "tanh"
    use_bias: bool = True
    return_sequences: bool = False
    go_backwards: bool = False
    has_mask: bool = False
    separate: bool = False
    return_state: bool = False
    stateful: bool = False
    gives: Literal["output"] | State = "output"

    @classmethod
    def from_keras(cls, settings: Settings) -> Sequence[Layer]:
        return [cls(**cls._settings(settings))]

    @classmethod
    def _settings(cls, settings: Settings) -> dict[str, Any]:
        """What all kinds have."""
        settings.read.update((
            "unroll", "implementation", "dropout", "recurrent_dropout", "dropout_W", "dropout_U", "input_dim",
            "input_length", "unit_forget_bias", "use_cudnn",
        ))  # fmt: skip
        for name in ("time_major", "zero_output_for_mask"):
            if settings.flag(name, default=False):
                raise settings.refuse(f"{name} is not supported")
        if settings.keras_0 and settings.flag("stateful", default=False):
            raise settings.refuse("stateful is not supported")
        settings.not_before_0_3_2("it skipped steps that are zero, and its masks were others")
        if "activation" not in settings.config:  # which has a default, but not as other layers have it
            raise settings.refuse("its activation is not stated")
        usual = "cpu" if settings.keras_0 else "gpu"
        way = settings.choice("consume_less", choices=("cpu", "mem", "gpu"), default=usual)
        return {
            "units": settings.integer(*cls.units_are_called),
            "activation": function_named(settings, settings.get("activation")),
            "use_bias": settings.flag("use_bias", default=True),
            "return_sequences": settings.flag("return_sequences", default=False),
            "go_backwards": settings.flag("go_backwards", default=False),
            "separate": way != "gpu" and len(cls.gates) > 1,
            "return_state": settings.flag("return_state", default=False),
            "stateful": settings.flag("stateful", default=False),
        }

    def fitted(self, stored: Sequence[Shape], *inputs: Shape) -> Self:
        """The weights may be of another generation than the architecture."""
        one = 3 if self.use_bias else 2
        counts = {one: False, one * len(self.gates): len(self.gates) > 1}
        return replace(self, separate=counts.get(len(stored), self.separate))

    def masked(self, name: str, *masks: Mask) -> tuple[Self, Mask]:
        sequence = self.return_sequences and self.gives == "output"
        return replace(self, has_mask=bool(masks[0])), masks[0] if sequence else ()

    @property
    def result(self) -> tuple[int, int] | None:
        results = ("output", *self.states)
        return (results.index(self.gives), len(results)) if self.return_state else None

    @property
    def called(self) -> Self:
        return replace(self, gives="output")

    def output_shape(self, *inputs: Shape) -> Shape:
        x, *states = inputs
        if len(x) != 2:
            raise ValueError(f"a value of shape {x} is no sequence")
        if states and states != [(self.units,)] * len(self.states):
            raise ValueError(
                f"states of shapes {', '.join(map(str, states))}; {len(self.states)} of {self.units} units"
            )
        if states and self.stateful:
            raise ValueError("a stateful layer that is given its initial state is not supported")
        if self.gives != "output" and not (self.return_state and self.gives in self.states):
            raise ValueError(f"a {type(self).__name__} does not return {self.gives}")
        return (x[0], self.units) if self.return_sequences and self.gives == "output" else (self.units,)

    def of_a_gate(self, shape: Shape) -> Mapping[str, Shape]:
        """Role → shape, of the weights of a gate; shape: of the input."""
        return {
            "kernel": (shape[-1], self.units),
            "recurrent_kernel": (self.units, self.units),
            **({"bias": (self.units,)} if self.use_bias else {}),
        }

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        shapes = self.of_a_gate(inputs[0])
        if self.separate:
            return {f"{role}_{gate}": shape for gate in self.kept for role, shape in shapes.items()}
        return {role: (*shape[:-1], shape[-1] * len(self.gates)) for role, shape in shapes.items()}

    @property
    def canonical(self) -> Self:
        return replace(self, separate=False)

    def pieces(self, role: str) -> tuple[str, ...]:
        return tuple(f"{role}_{gate}" for gate in self.gates) if self.separate else (role,)

    def to_keras(self) -> KerasLayer:
        config = {
            "units": self.units,
            "activation": keras_name(self.activation),
            "use_bias": self.use_bias,
            "return_sequences": self.return_sequences,
            "go_backwards": self.go_backwards,
            "return_state": self.return_state,
            "stateful": self.stateful,
        }
        return KerasLayer(type(self).__name__, config)

    def _flags(self) -> str:
        """The settings of the PyTorch module that are not as usual, as source text."""
        names = ("use_bias", "return_sequences", "go_backwards", "return_state", "stateful")
        usual = (True, False, False, False, False)
        flags = [f"{n}={getattr(self, n)}" for n, value in zip(names, usual, strict=True) if getattr(self, n) != value]
        return "".join(f", {flag}" for flag in flags)

    def to_torch(self, *inputs: Shape) -> TorchCode:
        kind = type(self).__name__
        functions = [torch_function(name) for name in self._functions().values()]
        arguments = f"{inputs[0][-1]}, {self.units}, {', '.join(functions)}{self._flags()}"
        given = ["{x}", *(["{mask}"] if self.has_mask else [])]
        if states := [f"{{{number}}}" for number in range(1, len(inputs))]:
            given.append(f"initial_state=({', '.join(states)}{',' if len(states) == 1 else ''})")
        return TorchCode(f"{kind}({arguments})", f"{{module}}({', '.join(given)})", needs=(kind, *functions))

    def to_torch_module(self, *inputs: Shape) -> TorchCode | None:
        """The same by PyTorch's own module, where its arithmetic is this layer's; None where it is not."""
        module = self._torch_module()
        if module is None or self.has_mask or self.stateful or self.return_state or len(inputs) > 1:
            return None
        kind, more = module
        bias = "" if self.use_bias else ", bias=False"
        x = "{x}.flip(1)" if self.go_backwards else "{x}"
        last = "" if self.return_sequences else "[:, -1]"
        made = f"nn.{kind}({inputs[0][-1]}, {self.units}{more}{bias}, batch_first=True)"
        return TorchCode(made, f"{{module}}({x})[0]{last}")

    def _torch_module(self) -> tuple[str, str] | None:
        """PyTorch's module that computes a step as this layer does, and the arguments that it needs for it."""
        return None

    def _functions(self) -> Mapping[str, str]:
        """Setting → activation."""
        return {"activation": self.activation}

    def _function_of(self, gate: str) -> str:
        """Which setting is the activation of a gate's sum."""
        return "activation"

    @property
    def steep(self) -> frozenset[str]:
        """The settings that are the hard_sigmoid of Keras 1 and 2; that of Keras 3 is the same of 6/5 of a sum."""
        return frozenset(name for name, value in self._functions().items() if value == "hard_sigmoid")

    def for_keras(self, g: Assembly, *inputs: str) -> str:
        return g.add("", self.of_keras_3, *inputs)

    @property
    def of_keras_3(self) -> Self:
        """The same function in an activation that Keras 3 has, of weights that are multiplied by `factors`."""
        return replace(self, **dict.fromkeys(self.steep, HARD_SIGMOID_OF_KERAS_3))  # type: ignore[arg-type]

    def factors(self, role: str) -> Sequence[float]:
        gates = [SLOPES if self._function_of(gate) in self.steep else 1.0 for gate in self.gates]
        return [factor for factor in gates for _ in range(self.units)] if self.steep else ()

    def _onnx_functions(self) -> Mapping[str, Any]:
        """The attributes of ONNX that state the activations: first that of the gates."""
        names = [self._functions()[name] for name in self.onnx_functions]
        for name in names:
            if FUNCTIONS[name].onnx not in ONNX_FUNCTIONS:
                raise UnknownNetwork(f"a {type(self).__name__} with the activation {name} cannot be written to ONNX")
        spellings = [FUNCTIONS[name] for name in names]
        found: dict[str, object] = {"activations": [spelling.onnx for spelling in spellings]}
        for key in ("alpha", "beta"):  # the first function that has one takes the first number, and so on
            numbers = [{**ONNX_DEFAULTS.get(s.onnx, {}), **s.attributes}.get(key) for s in spellings]
            if stated := [number for number in numbers if number is not None]:
                found[f"activation_{key}"] = stated
        return found

    def to_onnx(self, *inputs: Shape) -> Sequence[OnnxOperator]:
        """Steps that count are brought to the front, which ONNX takes for a sequence of that length, and back."""
        if self.stateful:
            raise UnknownNetwork(f"a stateful {type(self).__name__}: ONNX keeps no states from one run to the next")
        x, mask = "0", "mask"
        operators: list[OnnxOperator] = []

        def add(
            kind: str, *inputs: str, constants: Sequence[Sequence[float]] = (), position: int = 0, **more: Any
        ) -> str:
            operators.append(OnnxOperator(kind, more, constants=constants, takes=inputs, position=position))
            return f"#{len(operators) - 1}"

        if self.go_backwards:
            x = add("Slice", x, constants=REVERSED)
            mask = add("Slice", mask, constants=REVERSED) if self.has_mask else mask
        if self.has_mask:
            ones = add("Add", add("Mul", mask, constants=[(0.0,)]), constants=[(1.0,)])
            count, steps = (add("CumSum", each, constants=[(1,)]) for each in (mask, ones))
            place = add("Mul", count, mask)
            before, behind = (
                add("CastLike", add("Equal", *(add("Unsqueeze", v, constants=[(axis,)]) for v, axis in pair)), x)
                for pair in (((steps, 2), (place, 1)), ((count, 2), (steps, 1)))
            )
            x = add("MatMul", before, x)
            lengths = [add("Cast", add("ReduceSum", mask, constants=[(1,)], keepdims=0), to=6)]
        else:
            lengths = [""]
        sequence = add("Transpose", x, perm=[1, 0, 2])
        weights = [
            add("Unsqueeze", add("Transpose", self._onnx_gates(add, role), perm=[1, 0]), constants=[(0,)])
            for role in ("kernel", "recurrent_kernel")
        ]
        bias = [self._onnx_bias(add)] if self.use_bias else [""]
        attributes = {"hidden_size": self.units, **self._onnx_functions(), **self._onnx_attributes()}
        states = [add("Unsqueeze", str(number), constants=[(0,)]) for number in range(1, len(inputs))]
        given = (sequence, *weights, *bias, *lengths, *states)
        while not given[-1]:
            given = given[:-1]
        kind = ONNX_KINDS[type(self).__name__]
        if self.gives != "output" or not self.return_sequences:
            position = 1 + self.states.index("h" if self.gives == "output" else self.gives)
            last = add(kind, *given, position=position, **attributes)
            if self.has_mask and states and self.gives != "output":  # ONNX gives zeros where no step counts
                some = add("Cast", add("Unsqueeze", lengths[0], constants=[(-1,)]), to=9)
                last = add("Where", some, last, states[position - 1])
            add("Squeeze", last, constants=[(0,)])
            return operators
        found = add("Squeeze", add(kind, *given, **attributes), constants=[(1,)])
        found = add("Transpose", found, perm=[1, 0, 2])
        if self.has_mask:
            add("MatMul", behind, found)
        return operators

    def _onnx_gates(self, add: Callable[..., str], role: str) -> str:
        """A weight with its columns in ONNX' order of gates."""
        if self.onnx_gates == self.gates:
            return role
        columns = [self.gates.index(gate) * self.units + unit for gate in self.onnx_gates for unit in range(self.units)]
        return add("Gather", role, constants=[columns], axis=-1)

    def _onnx_bias(self, add: Callable[..., str]) -> str:
        """ONNX has a second bias behind the first, for the recurrent side."""
        own = self._onnx_gates(add, "bias")
        bias = add("Concat", own, add("Sub", own, own), axis=0)
        return add("Unsqueeze", bias, constants=[(0,)])

    def _onnx_attributes(self) -> Mapping[str, Any]:
        return {}


def was_multiplied(layer: Layer) -> bool:
    """Whether its weights may be those of another hard_sigmoid, see `Layer.factors`."""
    inner = getattr(layer, "layer", layer)
    return HARD_SIGMOID_OF_KERAS_3 in (getattr(inner, name, "") for name in ("activation", "recurrent_activation"))


REVERSED = ((-1,), (-(1 << 31),), (1,), (-1,))
"""Start, end, axis and step of ONNX's Slice that reverses the steps."""

ONNX_KINDS = {"SimpleRNN": "RNN", "GRU": "GRU", "LSTM": "LSTM"}
ONNX_FUNCTIONS = {"Relu", "Tanh", "Sigmoid", "HardSigmoid", "Elu", "Softsign", "Softplus"}
"""What the recurrent operators of ONNX take, with the defaults that the plain operators have."""

ONNX_DEFAULTS: Mapping[str, Mapping[str, float]] = {"Elu": {"alpha": 1.0}}
"""Numbers that a function takes and its spelling leaves out."""


def torch_function(name: str) -> str:
    """What the function is called in PyTorch; of those that PyTorch has not, in the generated definition."""
    call, _, rest = FUNCTIONS[name].torch.partition("({x})")
    return name if rest or not call.startswith(("torch.", "nn.")) or "{" in call else call


class SimpleRNN(Recurrent):
    """h = activation(x · kernel + h · recurrent_kernel + bias)."""

    keras = ("SimpleRNN",)
    gates = kept = onnx_gates = ("",)
    onnx_functions = ("activation",)

    def _torch_module(self) -> tuple[str, str] | None:
        more = {"tanh": "", "relu": ', nonlinearity="relu"'}.get(self.activation)
        return None if more is None else ("RNN", more)


@immutable()
class Gated(Recurrent):
    """recurrent_activation: of the gates."""

    recurrent_activation: str = "hard_sigmoid"

    candidate: ClassVar[str]
    """What is among the gates, but is no gate: it has the other activation."""

    @classmethod
    def _settings(cls, settings: Settings) -> dict[str, Any]:
        found = super()._settings(settings)
        if not {"recurrent_activation", "inner_activation"} & settings.config.keys():
            raise settings.refuse("the activation of its gates is not stated")
        gate = settings.get("recurrent_activation", "inner_activation")
        return {**found, "recurrent_activation": function_named(settings, gate)}

    def to_keras(self) -> KerasLayer:
        kind, config = super().to_keras()
        return KerasLayer(kind, {**config, "recurrent_activation": keras_name(self.recurrent_activation)})

    def _functions(self) -> Mapping[str, str]:
        return {"activation": self.activation, "recurrent_activation": self.recurrent_activation}

    def _function_of(self, gate: str) -> str:
        return "activation" if gate == self.candidate else "recurrent_activation"


@immutable()
class GRU(Gated):
    """With z and r, the gates, of the sums x · kernel + h · recurrent_kernel + bias: h = z · h + (1 − z) · candidate.

    The candidate's sum has r · h in the place of h or, reset_after, r · (h · recurrent_kernel + its second bias). bias
    is (2, 3 · units) then: of the input, and of the recurrence.
    """

    keras = ("GRU",)
    gates = kept = onnx_gates = ("z", "r", "h")
    candidate = "h"

    reset_after: bool = False

    @classmethod
    def _settings(cls, settings: Settings) -> dict[str, Any]:
        default = settings.session.version >= (3,)
        return {**super()._settings(settings), "reset_after": settings.flag("reset_after", default=default)}

    def weights(self, *inputs: Shape) -> Mapping[str, Shape]:
        found = dict(super().weights(*inputs))
        if self.reset_after and "bias" in found:
            found["bias"] = (2, *found["bias"])
        return found

    def to_keras(self) -> KerasLayer:
        kind, config = super().to_keras()
        return KerasLayer(kind, {**config, "reset_after": self.reset_after})

    def _flags(self) -> str:
        return super()._flags() + (", reset_after=True" if self.reset_after else "")

    def _torch_module(self) -> tuple[str, str] | None:
        usual = self.reset_after and (self.activation, self.recurrent_activation) == ("tanh", "sigmoid")
        return ("GRU", "") if usual else None

    def _onnx_bias(self, add: Callable[..., str]) -> str:
        if not self.reset_after:
            return super()._onnx_bias(add)
        return add("Reshape", "bias", constants=[(1, -1)])

    def _onnx_attributes(self) -> Mapping[str, Any]:
        return {"linear_before_reset": int(self.reset_after)}


@immutable()
class LSTM(Gated):
    """With i, f and o, the gates, and the candidate c: cell = f · cell + i · c; output = o · activation(cell)."""

    keras = ("LSTM",)
    gates = ("i", "f", "c", "o")
    kept = ("i", "c", "f", "o")
    candidate = "c"
    onnx_functions = ("recurrent_activation", "activation", "activation")
    onnx_gates = ("i", "o", "f", "c")
    states: ClassVar[Sequence[State]] = ("h", "c")

    def _torch_module(self) -> tuple[str, str] | None:
        usual = (self.activation, self.recurrent_activation) == ("tanh", "sigmoid")
        return ("LSTM", "") if usual else None

    @property
    def of_keras_3(self) -> Self:
        """Its activation is that of the cell too, which is no sum that could be multiplied."""
        steep = self.recurrent_activation == "hard_sigmoid"
        return replace(self, recurrent_activation=HARD_SIGMOID_OF_KERAS_3) if steep else self
