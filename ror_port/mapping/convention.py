"""What the tensors of a file mean, and the layouts that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

from ror_port.layout import SAME, DataFormat, Layout, Shape, flip, rearrangement
from ror_port.mapping import weights
from ror_port.mapping.software import KERAS_1, KERAS_2, ONNX, PYTORCH, Software
from ror_port.network.graph import Parameter


@dataclass(frozen=True)
class Convention:
    """software: whose order of axes a file has. theano: whether its kernels are those of Theano's true convolution."""

    software: Software
    theano: bool = False

    def layout(self, parameter: Parameter, stored: Shape | None = None) -> Layout:
        """The rearrangement of a parameter, canonical → file. stored: its shape there, where that is known."""
        weight = weights.row(parameter.layer, parameter.role)
        turned = flip(weight.axes) if self.theano and weight.flips else SAME
        if not weight.axes:
            return turned
        data_format: DataFormat = getattr(parameter.layer, "data_format", "channels_last")
        choices = [
            turned | rearrangement(weight.axes, axes, parameter.shape)
            for axes in self.software.stored_axes(weight, data_format)
        ]
        return next((layout for layout in choices if layout.shape(parameter.shape) == stored), choices[0])


TENSORFLOW = Convention(KERAS_2)
"""Keras 2 and 3 on what cross-correlates, which is also the canonical form."""

THEANO = Convention(KERAS_1, theano=True)
"""Keras 1 on Theano."""

PYTORCH_CONVENTION = Convention(PYTORCH)
ONNX_CONVENTION = Convention(ONNX)
