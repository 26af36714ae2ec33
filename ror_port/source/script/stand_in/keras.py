"""One session of the stand-in: the modules of `keras` that a script can import.

Names of modules are those of Keras 0.3 to 2.3. What only trains, saves or shows is inert.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ror_port.source.script.stand_in import applications, data, layers, models, penalties
from ror_port.source.script.stand_in.inert import Inert, InertModule
from ror_port.source.script.stand_in.layers import Tensor
from ror_port.source.script.stand_in.session import FORMATS, Misuse, Session

LAYER_MODULES = (
    "core", "convolutional", "pooling", "recurrent", "normalization", "embeddings", "advanced_activations", "noise",
    "local", "wrappers", "convolutional_recurrent", "containers",
)  # fmt: skip

INERT = (
    "optimizers", "callbacks", "losses", "objectives", "metrics", "preprocessing.image", "wrappers",
    "wrappers.scikit_learn", "utils.visualize_util", "utils.vis_utils", "utils.layer_utils", "utils.io_utils",
    "utils.test_utils", "engine.training",
)  # fmt: skip

ACTIVATIONS = (
    "softmax", "elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "hard_sigmoid", "exponential", "linear"
)  # fmt: skip


class _Module(ModuleType):
    """A module that has what it has; anything else is not in this Keras."""

    def __init__(self, name: str, generation: int, members: dict[str, Any]) -> None:
        super().__init__(name)
        self.__path__ = []  # as a package has
        vars(self).update(members)
        self.__all__ = [member for member in members if not member.startswith("_")]
        self._generation = generation

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Misuse(f"Keras {self._generation} as it is known here has no {self.__name__}.{name}")


class _Merging(_Module):
    """`keras.layers.merge` of Keras 2: a module, and as in Keras 1 a function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return vars(self)["merge"](*args, **kwargs)


class _Top(InertModule):
    """The package itself."""

    session: Session

    @property
    def __version__(self) -> str:
        """Of an unknown release the last of its generation, or nearly; that it was asked for is noted."""
        version = self.session.version
        if not self.session.release_known:
            self.session.asked.add("version")
            version = {0: (0, 3, 3), 1: (1, 2, 2), 2: (2, 2, 4)}[version[0]]
        return ".".join(map(str, version))


class Keras:
    """One session. modules: full name → module, all that `import keras…` finds."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.layers = layers.classes(session)
        self.models = models.classes(session, self.layers)
        self.modules: dict[str, ModuleType] = {}
        everything = self.layers | self.models
        self._add("layers", self.layers | {"Sequential": everything["Sequential"]})
        for name in LAYER_MODULES:
            self._add(f"layers.{name}", everything)
        if session.generation == 2:
            self.modules["keras.layers.merge"] = _Merging("keras.layers.merge", 2, everything)
        self._add("models", everything)
        for name in ("engine", "engine.topology", "legacy", "legacy.layers", "engine.base_layer", "engine.network",
                     "engine.input_layer"):  # fmt: skip
            more = {"Container": everything.get("Model"), "Network": everything.get("Model")}
            self._add(name, everything | more | {"get_source_inputs": applications.source_inputs})
        self._add_inert("engine.training", Model=everything.get("Model"))
        for name in INERT:
            if name != "engine.training":
                self._add_inert(name)
        self._add_inert("backend", **self._backend())
        self._add_inert("backend.common", **self._backend())
        for name in ("backend.theano_backend", "backend.tensorflow_backend"):
            self._add_inert(name, **self._backend())
        self._add("activations", {name: self._activation(name) for name in ACTIVATIONS} | {"get": lambda name: name})
        self._add_inert("regularizers", **penalties.regularizers(session), get=penalties.found)
        self._add_inert("constraints", **penalties.constraints(session), get=penalties.found)
        self._add_inert("initializations")
        if session.generation == 2:
            self._add_inert("initializers", **penalties.initializers(session), get=penalties.found)
        sets = data.datasets(session)
        for name, load in sets.items():
            self._add(f"datasets.{name}", {"load_data": load, "get_word_index": lambda *args, **kwargs: {}})
        self._add("datasets", {name: self.modules[f"keras.datasets.{name}"] for name in sets})
        self._add_preparation()
        found = applications.modules(self)
        for name, members in found.items():
            self._add(f"applications.{name}", members)
        every = {name: self.modules[f"keras.applications.{name}"] for name in found}
        for members in found.values():
            every |= {name: value for name, value in members.items() if name[:1].isupper()}
        self._add("applications", every)
        self._add_top(everything)

    def _add(self, name: str, members: dict[str, Any]) -> None:
        full = f"keras.{name}"
        self.modules[full] = _Module(full, self.session.generation, members)

    def _add_inert(self, name: str, **members: Any) -> None:
        full = f"keras.{name}"
        self.modules[full] = InertModule(full, **members)

    def _add_top(self, everything: dict[str, Any]) -> None:
        """The package itself, and in each module the modules below it."""
        own = {name: everything[name] for name in ("Sequential", "Model", "Input") if name in everything}
        top = _Top("keras", **own)
        top.session = self.session
        for full, module in self.modules.items():
            above, _, name = full.rpartition(".")
            parent = top if above == "keras" else self.modules.get(above)
            if parent is not None:
                setattr(parent, name, module)
        self.modules["keras"] = top

    def _backend(self) -> dict[str, Any]:
        session = self.session

        def image_dim_ordering() -> str:
            session.asked.add("ordering")
            return session.ordering

        def image_data_format() -> str:
            session.asked.add("ordering")
            return FORMATS[session.ordering]

        def set_ordering(value: str) -> None:
            if value not in ("th", "tf", "channels_first", "channels_last"):
                raise Misuse(f"{value!r} as an ordering of dimensions")
            session.ordering = "th" if value in ("th", "channels_first") else "tf"
            session.ordering_known = True

        def backend() -> str:
            session.asked.add("backend")
            return session.backend

        def int_shape(x: Any) -> Any:
            if not isinstance(x, Tensor | Inert):
                raise Misuse(f"the shape of a {type(x).__name__}")
            return x._keras_shape if isinstance(x, Tensor) else None

        def clear_session() -> None:
            session.counts.clear()

        def ndim(x: Any) -> int:
            return len(int_shape(x) or ())

        old = {"image_dim_ordering": image_dim_ordering, "set_image_dim_ordering": set_ordering,
               "_IMAGE_DIM_ORDERING": session.ordering}  # fmt: skip
        new = {"image_data_format": image_data_format, "set_image_data_format": set_ordering}
        return {
            **old,
            **(new if session.generation == 2 else {}),
            "backend": backend,
            "_BACKEND": session.backend,
            "int_shape": int_shape,
            "is_keras_tensor": lambda x: isinstance(x, Tensor),
            "shape": int_shape,
            "ndim": ndim,
            "clear_session": clear_session,
            "reset_uids": clear_session,
            "get_uid": session.number,
            "floatx": lambda: session.floatx,
            "set_floatx": lambda value: setattr(session, "floatx", value),
            "epsilon": lambda: 1e-7 if session.generation else 1e-8,
        }

    @staticmethod
    def _activation(name: str) -> Callable[..., Any]:
        def activation(*args: Any, **kwargs: Any) -> Any:
            return Inert()

        activation.__name__ = name
        activation.of_keras = True  # type: ignore[attr-defined]
        return activation

    def _add_preparation(self) -> None:
        self._add_inert("preprocessing.sequence", pad_sequences=data.pad_sequences)
        self._add_inert("preprocessing.text", Tokenizer=data.Tokenizer)
        self._add_inert("preprocessing")
        utils = {
            "to_categorical": data.to_categorical,
            "get_file": data.get_file,
            "multi_gpu_model": lambda m, *a, **k: m,
        }
        for name in ("utils", "utils.np_utils", "utils.data_utils", "utils.generic_utils", "utils.training_utils"):
            self._add_inert(name, **utils)
