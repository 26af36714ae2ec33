"""UpSampling1D, UpSampling2D and UpSampling3D."""

from __future__ import annotations

from ror_port.network.layers import UpSampling1D, UpSampling2D, UpSampling3D
from ror_port.network.layers.upsampling import UpSampling
from ror_port.theano.convolution import as_layer_has_it, channels_last
from ror_port.theano.twins import Call, Values, twin


@twin(UpSampling1D)
@twin(UpSampling2D)
@twin(UpSampling3D)
def up_sampling(layer: UpSampling, call: Call) -> Values:
    x = channels_last(call.x, layer)
    for axis, times in enumerate(layer.size, 1):
        x = x.repeat(times, axis)
    return as_layer_has_it(x, layer)
