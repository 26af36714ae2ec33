"""Reading the stored configuration of one layer: each setting is read by name, and one that nobody read is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ror_port.errors import UnknownNetwork, quote
from ror_port.layout import DataFormat

MAX_LENGTH = 1 << 16
"""Of a side, a kernel, a stride or a number of filters in a stored configuration."""

DATA_FORMATS: Mapping[str, DataFormat] = {
    "th": "channels_first",
    "tf": "channels_last",
    "channels_first": "channels_first",
    "channels_last": "channels_last",
}

KERAS_0 = (0,)
"""What stands for the version of Keras 0.x, of which no file states more."""

IDLE = {
    "name", "trainable", "dtype", "dtype_policy", "input_dtype", "batch_dtype", "batch_input_shape", "batch_shape",
    "input_shape", "input_dim", "input_length", "sparse", "ragged", "optional", "custom_name", "cache_enabled",
    "init", "weights", "seed", "noise_shape", "autocast",
}  # fmt: skip
"""Settings that change nothing in inference, or that the graph states elsewhere."""

IDLE_ENDINGS = ("_regularizer", "_constraint", "_initializer", "_init")


class Session(NamedTuple):
    """What a configuration leaves to the Keras session that wrote it.

    theano: whether Keras ran on Theano. version: of Keras, as numbers; () where nobody states it.
    data_format: of layers that state none. left_open: collects those layers. strides_open: collects those that state
    no strides, where their Keras wrote none. epsilons_open: collects those that state no epsilon.
    """

    theano: bool
    version: tuple[int, ...]
    data_format: DataFormat
    left_open: list[str]
    strides_open: list[str]
    epsilons_open: list[str]


class Settings:
    """The configuration of one layer, which is untrusted data.

    Every method reads one setting, called by any of the given names, and raises UnknownNetwork where it is not what
    is expected. class_name: as stored. where: how messages call the layer.
    """

    def __init__(self, class_name: str, config: Mapping[str, Any], session: Session, where: str) -> None:
        self.class_name, self.config, self.session, self.where = class_name, config, session, where
        self.read: set[str] = set()

    def get(self, *names: str, default: Any = None) -> Any:
        """A setting as it stands; of several spellings the first that is there."""
        self.read.update(names)
        return next((self.config[name] for name in names if name in self.config), default)

    def refuse(self, problem: str) -> UnknownNetwork:
        return UnknownNetwork(f"{self.where}: {problem}")

    def on_theano_since(self, version: tuple[int, ...]) -> None:
        """Raises UnknownNetwork on Theano in an older Keras, which had the layer on TensorFlow alone."""
        if self.session.theano and self.session.version < version:
            since = ".".join(map(str, version))
            raise self.refuse(f"a {self.class_name}, which Keras has on Theano only since {since}")

    @property
    def keras_0(self) -> bool:
        """Whether Keras 0.x wrote the layer."""
        return self.session.version == KERAS_0

    def not_before_0_3_1(self, otherwise: str) -> None:
        """Raises UnknownNetwork for a layer of Keras 0.x that lacks what 0.3.1 and later wrote into most of them.

        otherwise: what it meant before.
        """
        self._ensure_since("0.3.1", "cache_enabled", otherwise)

    def not_before_0_3_2(self, otherwise: str) -> None:
        """The same for what 0.3.2 and later wrote into every layer."""
        self._ensure_since("0.3.2", "custom_name", otherwise)

    def _ensure_since(self, version: str, written: str, otherwise: str) -> None:
        if self.keras_0 and written not in self.config:
            raise self.refuse(f"a {self.class_name} of Keras before {version}: {otherwise}")

    def integer(self, *names: str, default: int | None = None) -> int:
        value = self.get(*names, default=default)
        if isinstance(value, str) and value.isdigit() and len(value) < 10:
            value = int(value)
        if isinstance(value, float) and value.is_integer() and value < MAX_LENGTH:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < MAX_LENGTH:
            raise self.refuse(f"{names[0]} is {quote(str(value))}; a whole number from 1 is expected")
        return value

    def number(self, *names: str, default: float | None = None) -> float:
        value = self.get(*names, default=default)
        if isinstance(value, str):  # some files have numbers as text
            try:
                value = float(value)
            except ValueError:
                value = None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.refuse(f"{names[0]} is {quote(str(self.get(*names)))}; a number is expected")
        return float(value)

    def flag(self, *names: str, default: bool) -> bool:
        value = self.get(*names, default=default)
        if not isinstance(value, bool):
            raise self.refuse(f"{names[0]} is {quote(str(value))}; true or false is expected")
        return value

    def choice(self, *names: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.get(*names, default=default)
        if value not in choices or not isinstance(value, str):
            raise self.refuse(f"{names[0]} is {quote(str(value))}, which is not supported ({', '.join(choices)} are)")
        return value

    def sizes(self, count: int, *names: str, default: Any = None, least: int = 1) -> tuple[int, ...]:
        """So many whole numbers, at least `least` each, one for each spatial axis; one number stands for all."""
        value = self.get(*names, default=default)
        numbers = [value] * count if isinstance(value, int) else value
        if (
            not isinstance(numbers, list | tuple)
            or len(numbers) != count
            or any(isinstance(n, bool) or not isinstance(n, int) or not least <= n < MAX_LENGTH for n in numbers)
        ):
            raise self.refuse(f"{names[0]} is {quote(str(value))}; {count} whole numbers from {least} are expected")
        return tuple(numbers)

    def data_format(self) -> DataFormat:
        """Stated, or the session's."""
        value = self.get("data_format", "dim_ordering")
        if value in (None, "default"):
            self.session.left_open.append(self.where)
            return self.session.data_format
        if not isinstance(value, str) or value not in DATA_FORMATS:
            raise self.refuse(f"data_format is {quote(str(value))}; channels_first or channels_last is expected")
        return DATA_FORMATS[value]

    def initializer(self, *names: str, default: str) -> str:
        """The name of an initialiser, for fresh networks; any other changes nothing and is not kept."""
        value = self.get(*names)
        if isinstance(value, dict):
            value = value.get("class_name")
        return value if value in ("he_normal", "glorot_uniform") else default

    def finish(self) -> None:
        """Raises UnknownNetwork where a setting is left that was neither read nor is known to be idle."""
        left = sorted(name for name in self.config.keys() - self.read - IDLE if not str(name).endswith(IDLE_ENDINGS))
        if left:
            value = quote(str(self.config[left[0]]))
            raise self.refuse(f"has the setting {quote(str(left[0]))} = {value}, which ror-port does not know")
