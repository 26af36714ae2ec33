"""Layers as the networks of keras.applications are written in, said in Keras 1 or in Keras 2."""

from __future__ import annotations

from typing import Any, Literal

Shape = tuple[int | None, ...]
Padding = Literal["valid", "same"]


class Parts:
    """Calls layers of a stand-in for Keras, `ror_port.source.script.stand_in.Keras`, of either generation.

    axis: that channels lie on, the batch counted as 0.
    """

    def __init__(self, keras: Any) -> None:
        self.layers, self.models = keras.layers, keras.models
        self.old = keras.session.generation == 1
        self.first = keras.session.ordering == "th"
        self.axis = 1 if self.first else 3

    def model(self, begin: Any, end: Any, name: str) -> Any:
        return self.models["Model"](begin, end, name=name)

    def image(self, rows: int | None, columns: int | None, channels: int = 3) -> Any:
        return self.layers["Input"]((channels, rows, columns) if self.first else (rows, columns, channels))

    def conv(
        self,
        x: Any,
        filters: int,
        size: int | tuple[int, int],
        stride: int = 1,
        padding: Padding = "valid",
        *,
        separable: bool = False,
        bias: bool = True,
        activation: str | None = None,
        initializer: str = "glorot_uniform",
        name: str | None = None,
    ) -> Any:
        sizes = (size, size) if isinstance(size, int) else size
        kind, more = "Separable" if separable else "", {"activation": activation, "name": name}
        if self.old:
            strides = {"subsample": (stride, stride), "border_mode": padding, "bias": bias}
            return self.layers[f"{kind}Convolution2D"](filters, *sizes, **strides, **more)(x)
        if not separable:
            more["kernel_initializer"] = initializer
        strides = {"strides": (stride, stride), "padding": padding, "use_bias": bias}
        return self.layers[f"{kind}Conv2D"](filters, sizes, **strides, **more)(x)

    def norm(self, x: Any, name: str | None = None, *, axis: int | None = None, scale: bool = True) -> Any:
        more: dict[str, Any] = {} if scale else {"scale": False}
        return self.layers["BatchNormalization"](axis=self.axis if axis is None else axis, name=name, **more)(x)

    def relu(self, x: Any, name: str | None = None) -> Any:
        return self.layers["Activation"]("relu", name=name)(x)

    def max_pool(self, x: Any, size: int, stride: int, padding: Padding = "valid", name: str | None = None) -> Any:
        return self._pool("MaxPooling2D", x, size, stride, padding, name)

    def average_pool(self, x: Any, size: int, stride: int, padding: Padding = "valid", name: str | None = None) -> Any:
        return self._pool("AveragePooling2D", x, size, stride, padding, name)

    def _pool(self, kind: str, x: Any, size: int, stride: int, padding: Padding, name: str | None) -> Any:
        word = "border_mode" if self.old else "padding"
        return self.layers[kind]((size, size), strides=(stride, stride), name=name, **{word: padding})(x)

    def global_average(self, x: Any, name: str | None = None) -> Any:
        return self.layers["GlobalAveragePooling2D"](name=name)(x)

    def pad(self, x: Any, padding: Any, name: str | None = None) -> Any:
        return self.layers["ZeroPadding2D"](padding, name=name)(x)

    def sum(self, *tensors: Any) -> Any:
        return self.layers["merge"](list(tensors), mode="sum") if self.old else self.layers["add"](list(tensors))

    def concat(self, *tensors: Any, name: str | None = None, axis: int | None = None) -> Any:
        axis = self.axis if axis is None else axis
        if self.old:
            return self.layers["merge"](list(tensors), mode="concat", concat_axis=axis, name=name)
        return self.layers["concatenate"](list(tensors), axis=axis, name=name)

    def flatten(self, x: Any, name: str | None = None) -> Any:
        return self.layers["Flatten"](name=name)(x)

    def dense(self, x: Any, units: int, activation: str, name: str) -> Any:
        return self.layers["Dense"](units, activation=activation, name=name)(x)
