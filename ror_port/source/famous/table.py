"""The networks of keras.applications that are recognised, with what their images have to be prepared by.

Source: Keras 1.2.2 and 2.2.4, applications/*.py; the papers stand in the modules of the networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ror_port.source.famous import inception, mobilenet, music_tagger, resnet, vgg, xception
from ror_port.source.famous.parts import Parts

CAFFE = "BGR, minus 103.939, 116.779, 123.68"
SCALED = "pixels / 127.5 - 1"
MEL = "the logarithm of 96 mel bands of 29.12 s at 12 kHz, hops of 256"


class Famous(NamedTuple):
    """A network.

    build: adds it behind an image; with classes None without its top. size: height, width and channels of its images.
    weighted: generation of Keras → layers with weights, with the top and without. by_alpha: whether `build` takes the
    width multiplier alpha. sized: whether its weights tell the size of its images. classes: of the published weights.
    """

    name: str
    build: Callable[..., Any]
    size: tuple[int, int, int]
    weighted: Mapping[int, tuple[int, int]]
    preprocessing: str
    by_alpha: bool = False
    sized: bool = False
    classes: int = 1000

    def model(self, keras: Any, classes: int | None, size: int | None = None, alpha: float | None = None) -> Any:
        """The model in a stand-in for Keras. classes: None without the top. size: of images, where it is not usual.

        Without its top, a network takes images of any size, but for one that has recurrent layers.
        """
        parts = Parts(keras)
        rows, columns, channels = self.size
        if size is not None:
            rows = columns = size
        fixed = classes is not None or size is not None or rows != columns
        image = parts.image(rows if fixed else None, columns if fixed else None, channels)
        return parts.model(image, self.added(parts, image, classes, alpha), self.name.lower())

    def added(self, parts: Parts, image: Any, classes: int | None, alpha: float | None = None) -> Any:
        """The network behind an image or any other tensor; returns its output."""
        more = {"alpha": alpha} if self.by_alpha and alpha is not None else {}
        return self.build(parts, image, classes, **more)


FAMOUS = (
    Famous("VGG16", vgg.vgg16, (224, 224, 3), {1: (16, 13), 2: (16, 13)}, CAFFE, sized=True),
    Famous("VGG19", vgg.vgg19, (224, 224, 3), {1: (19, 16), 2: (19, 16)}, CAFFE, sized=True),
    Famous("ResNet50", resnet.resnet50, (224, 224, 3), {1: (107, 106), 2: (107, 106)}, CAFFE),
    Famous("InceptionV3", inception.inception_v3, (299, 299, 3), {1: (189, 188), 2: (189, 188)}, SCALED),
    Famous("Xception", xception.xception, (299, 299, 3), {1: (81, 80), 2: (81, 80)}, SCALED),
    Famous("MobileNet", mobilenet.mobilenet, (224, 224, 3), {2: (55, 54)}, SCALED, by_alpha=True),
    Famous(
        "MusicTaggerCRNN", music_tagger.music_tagger_crnn, (96, 1366, 1), {1: (12, 11)}, MEL, sized=True, classes=50
    ),
)


def table() -> str:
    """What is known of them, for ``ror-port list``."""
    rows = [("network of keras.applications", "Keras", "images", "classes", "prepared by")]
    for network in FAMOUS:
        generations = " and ".join(map(str, network.weighted))
        size = "×".join(map(str, network.size))
        rows.append((network.name, generations, size, f"{network.classes:,}", network.preprocessing))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    return "\n".join([*lines, "", "With and without their top, and with any number of classes."])
