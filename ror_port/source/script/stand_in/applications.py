"""keras.applications: the famous networks, without their weights. What prepares images and tells classes is inert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ror_port.source.famous.parts import Parts
from ror_port.source.famous.table import FAMOUS, Famous
from ror_port.source.script.stand_in.inert import Inert
from ror_port.source.script.stand_in.layers import Tensor

MODULES = {
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "ResNet50": "resnet50",
    "InceptionV3": "inception_v3",
    "Xception": "xception",
    "MobileNet": "mobilenet",
    "MusicTaggerCRNN": "music_tagger_crnn",
}
"""Network → its module in keras.applications."""


def modules(keras: Any) -> dict[str, dict[str, Any]]:
    """Module → what can be imported from it, in a session of the stand-in."""
    generation = keras.session.generation
    found = {
        MODULES[network.name]: {
            network.name: _maker(network, keras),
            "preprocess_input": lambda x, *args, **kwargs: x,
            "decode_predictions": lambda *args, **kwargs: Inert(),
        }
        for network in FAMOUS
        if generation in network.weighted
    }
    inert = {
        "preprocess_input": lambda x, *args, **kwargs: x,
        "decode_predictions": lambda *args, **kwargs: Inert(),
        "_obtain_input_shape": lambda *args, **kwargs: _input_shape(keras, *args, **kwargs),
    }
    return {**found, "imagenet_utils": inert} if generation else {}


def _input_shape(keras: Any, input_shape: Any, default_size: int, *args: Any, **kwargs: Any) -> Any:
    """What scripts that were copied from keras.applications ask it for: the shape of an image, without the batch."""
    keras.session.asked.add("ordering")
    if input_shape is not None:
        return tuple(input_shape)
    whole = kwargs.get("include_top", kwargs.get("require_flatten", args[2] if len(args) > 2 else True))
    size = default_size if whole else None
    return (3, size, size) if keras.session.ordering == "th" else (size, size, 3)


def _maker(network: Famous, keras: Any) -> Callable[..., Any]:
    def made(
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = network.classes,
        alpha: float = 1.0,
        **others: Any,
    ) -> Any:
        parts = Parts(keras)
        rows, columns, channels = network.size
        keras.session.asked.add("ordering")
        if isinstance(input_tensor, Tensor):
            image = input_tensor
        elif input_shape is not None:
            image = keras.layers["Input"](tuple(input_shape))
        else:
            fixed = include_top or rows != columns
            image = parts.image(rows if fixed else None, columns if fixed else None, channels)
        output = network.added(parts, image, classes if include_top else None, alpha)
        if pooling in ("avg", "max") and not include_top:
            kind = "GlobalAveragePooling2D" if pooling == "avg" else "GlobalMaxPooling2D"
            output = keras.layers[kind]()(output)
        return parts.model(source_inputs(image), output, network.name.lower())

    return made


def source_inputs(image: Tensor) -> list[Tensor]:
    """What a tensor is made of: the inputs of the network that it is the output of."""
    found: list[Tensor] = []
    waiting, seen = [image], set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if not tensor.node.inputs:
            found.append(tensor)
        waiting += tensor.node.inputs
    return found
