"""MobileNet. Howard et al., arXiv 1704.04861; of Keras 2.2, which pads at the right and at the bottom."""

from __future__ import annotations

from typing import Any

from ror_port.source.famous.parts import Parts

FILTERS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDED = (2, 4, 6, 12)


def mobilenet(p: Parts, x: Any, classes: int | None, alpha: float = 1.0) -> Any:
    axis = 1 if p.first else -1
    x = p.pad(x, ((0, 1), (0, 1)), "conv1_pad")
    x = p.conv(x, int(32 * alpha), 3, 2, bias=False, name="conv1")
    x = _relu6(p, p.norm(x, "conv1_bn", axis=axis), "conv1_relu")
    for number, filters in enumerate(FILTERS, 1):
        strided = number in STRIDED
        if strided:
            x = p.pad(x, ((0, 1), (0, 1)), f"conv_pad_{number}")
        x = p.layers["DepthwiseConv2D"](
            (3, 3),
            padding="valid" if strided else "same",
            strides=(2, 2) if strided else (1, 1),
            use_bias=False,
            name=f"conv_dw_{number}",
        )(x)
        x = _relu6(p, p.norm(x, f"conv_dw_{number}_bn", axis=axis), f"conv_dw_{number}_relu")
        x = p.conv(x, int(filters * alpha), 1, padding="same", bias=False, name=f"conv_pw_{number}")
        x = _relu6(p, p.norm(x, f"conv_pw_{number}_bn", axis=axis), f"conv_pw_{number}_relu")
    if classes is None:
        return x
    widest = int(1024 * alpha)
    x = p.layers["Reshape"]((widest, 1, 1) if p.first else (1, 1, widest), name="reshape_1")(p.global_average(x))
    x = p.conv(p.layers["Dropout"](1e-3, name="dropout")(x), classes, 1, padding="same", name="conv_preds")
    return p.layers["Activation"]("softmax", name="act_softmax")(p.layers["Reshape"]((classes,), name="reshape_2")(x))


def _relu6(p: Parts, x: Any, name: str) -> Any:
    return p.layers["ReLU"](6.0, name=name)(x)
