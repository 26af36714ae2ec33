"""An architecture in a file of its own, as JSON or YAML. It is data: nothing in it is ever constructed or run.

People wrote these files in many ways: encoded twice, wrapped in other JSON, with optimizer and loss beside; as YAML
with Python's tuples and texts in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ror_port.errors import NotACheckpoint, UnreadableFile, UnsafeFile, quote
from ror_port.frameworks import yaml
from ror_port.safety import limits
from ror_port.safety.input_file import readable
from ror_port.source.from_config import MODELS
from ror_port.source.keras_0 import as_keras_1, is_keras_0

ENDINGS = (".json", ".yaml", ".yml")

Json = Mapping[str, Any]


def read_architecture(path: Path) -> Json:
    """The JSON of a Keras model out of a file, that of Keras 0.x in the words of Keras 1.

    Raises UnreadableFile, UnsafeFile or NotACheckpoint.
    """
    limit = limits.MAX_CONFIG_BYTES if path.suffix == ".json" else limits.MAX_YAML_BYTES
    with readable(path).open("rb") as file:
        text = file.read(limit + 1)
    if len(text) > limit:
        raise UnsafeFile(f"{path}: more than {limit} bytes, the limit for an architecture")
    try:
        content = json.loads(text)
    except RecursionError:
        raise UnsafeFile(f"{path}: nested too deep") from None
    except ValueError:
        content = _from_yaml(text, path)
    found = _model(content)
    if found is None:
        raise NotACheckpoint(f"{path}: not the architecture of a Keras model, in JSON or YAML")
    if not is_keras_0(found):
        return found
    try:
        return as_keras_1(found)
    except (NotACheckpoint, UnsafeFile) as error:
        raise type(error)(f"{path}: {error.message}") from None


def files_beside(weights: Path) -> list[Path]:
    """Files in the folder of a weights file that may hold its architecture."""
    try:
        names = os.listdir(weights.parent)  # of which there may be thousands, and no objects are made of them
    except OSError:
        return []
    paths = (weights.parent / name for name in sorted(names) if name.endswith(ENDINGS))
    return list(islice(filter(_may_hold_one, paths), limits.MAX_FILES_BESIDE))


def _may_hold_one(path: Path) -> bool:
    try:
        return path.suffix in ENDINGS and path.is_file()
    except OSError:
        return False


def _model(content: Any, depth: int = 0) -> Json | None:
    """A model within what a file holds: itself, a text that encodes it, or the one value of a mapping that is one."""
    if depth > 3:
        return None
    if isinstance(content, str):
        try:
            return _model(json.loads(content), depth + 1)
        except (ValueError, RecursionError):
            return None
    if not isinstance(content, dict):
        return None
    if content.get("class_name") in MODELS and isinstance(content.get("config"), dict | list):
        return content
    if is_keras_0(content):
        return content
    found = [model for value in content.values() if (model := _model(value, depth + 1)) is not None]
    return found[0] if len(found) == 1 else None


def _from_yaml(text: bytes, path: Path) -> Any:
    """Plain values alone: tuples are lists, Python's texts are texts, pickled numbers are left out."""
    package = yaml()

    class Loader(package.SafeLoader):  # type: ignore[name-defined, misc]
        def flatten_mapping(self, node: Any) -> None:
            """Refuses merge keys: Keras writes none, and PyYAML before 6.0.4 takes exponential time for them."""
            if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
                raise package.YAMLError("merge keys, which no Keras writes")

    def tuple_(loader: Any, node: Any) -> Any:
        return loader.construct_sequence(node, deep=True)

    def text_(loader: Any, node: Any) -> Any:
        return loader.construct_scalar(node)

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", tuple_)
    for kind in ("unicode", "str"):
        Loader.add_constructor(f"tag:yaml.org,2002:python/{kind}", text_)
    Loader.add_constructor("tag:yaml.org,2002:python/object/apply:numpy.core.multiarray.scalar", lambda *_: None)
    try:
        content = package.load(text, Loader)
    except RecursionError:
        raise UnsafeFile(f"{path}: nested too deep") from None
    except package.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UnreadableFile(f"{path}: neither JSON nor YAML that is read ({quote(reason)})") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise UnreadableFile(f"{path}: damaged YAML ({quote(str(error))})") from None
    _ensure_small(content, path)
    return content


def _ensure_small(content: Any, path: Path) -> None:
    """Raises UnsafeFile where aliases make much of little, or a value contains itself."""
    counted: dict[int, int] = {}
    open_: set[int] = set()

    def size(value: Any) -> int:
        if not isinstance(value, dict | list):
            return 1
        if id(value) in open_:
            raise UnsafeFile(f"{path}: a value that contains itself")
        if id(value) not in counted:
            open_.add(id(value))
            parts = value.values() if isinstance(value, dict) else value
            counted[id(value)] = 1 + sum(size(part) for part in parts)
            open_.discard(id(value))
        return counted[id(value)]

    try:
        if size(content) > limits.MAX_YAML_VALUES:
            raise UnsafeFile(f"{path}: its aliases stand for more than {limits.MAX_YAML_VALUES} values")
    except RecursionError:
        raise UnsafeFile(f"{path}: nested too deep") from None
