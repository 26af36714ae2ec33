"""Giving weights the architecture of the network of keras.applications that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ror_port.errors import NotACheckpoint, RorPortError, UnknownNetwork, quote
from ror_port.formats.checkpoint import Checkpoint
from ror_port.mapping.software import KERAS_1
from ror_port.network.graph import Graph
from ror_port.source import provenance
from ror_port.source.attaching import ORDERING_OF, Understand, attach, beside, detach
from ror_port.source.famous.recognition import candidates
from ror_port.source.famous.table import Famous
from ror_port.source.from_config import stored_layers
from ror_port.source.provenance import Fact, Given
from ror_port.source.script.fitting import ensure_order, fitted, more_listed, release

Json = Mapping[str, Any]


def from_famous(checkpoint: Checkpoint, given: Given, understand: Understand) -> Famous | None:
    """Gives weights the architecture of the network of keras.applications that they are of; None where there is none.

    Raises NotACheckpoint where an architecture beside them fits too and is another one.
    """
    if checkpoint.writer is not None or not checkpoint.weighted:
        return None
    origin, backend = provenance.origin(checkpoint, given), provenance.backend(checkpoint, given).value
    if origin.version >= (3,):
        return None
    old = origin.software is KERAS_1
    orderings = (given.ordering,) if given.ordering else ("th", "tf") if old else (ORDERING_OF[backend == "theano"],)
    version = origin.version or ((1,) if old else (2,))
    for network, made, words in candidates(
        checkpoint, version, backend, orderings, known=old or given.ordering is not None, size=given.size
    ):
        try:
            config = fitted(made, checkpoint, given, network.name, all_listed=False)
            _attach_famous(checkpoint, config, network, words, given.size)
            port = understand(checkpoint, given)
            ensure_order(checkpoint, config, port.graph, port.layers, release(checkpoint, given))
        except UnknownNetwork as error:
            if "varies" in error.message:
                raise UnknownNetwork(
                    f"{error.message}; these are the weights of {words}", "state it with {size}"
                ) from None
            detach(checkpoint)
            continue
        except RorPortError:
            detach(checkpoint)
            continue
        if more := more_listed(config, checkpoint):
            detach(checkpoint)
            names = ", ".join(map(quote, more[:3]))
            raise UnknownNetwork(
                f"{checkpoint.path}: the weights of {words}, in a network that has other layers: {names}",
                "give it with {architecture}, or with {model}",
            )
        _ensure_alone(checkpoint, network, port.graph, given, understand)
        _attach_famous(checkpoint, config, network, words, given.size)
        return network
    return None


def _attach_famous(checkpoint: Checkpoint, config: Json, network: Famous, words: str, size: int | None) -> None:
    checkpoint.config, checkpoint.config_where = config, f"{network.name} of keras.applications"
    evidence = f"names and shapes of {len(checkpoint.weighted)} layers"
    begin = stored_layers(config)[0]["config"]["batch_input_shape"]
    if None not in begin[1:] and size is None and not network.sized:
        evidence += f"; {_image(begin)} as published, unless --input-size says otherwise"
    checkpoint.config_fact = Fact("architecture", words, "inferred", evidence)


def _image(batched: Sequence[int]) -> str:
    return f"images of {'×'.join(map(str, batched[1:]))}"


def _ensure_alone(checkpoint: Checkpoint, network: Famous, graph: Graph, given: Given, understand: Understand) -> None:
    """Raises NotACheckpoint where an architecture beside the weights fits them and is another network."""
    detach(checkpoint)
    for path, problem in beside(checkpoint, given, understand).items():
        if problem is not None:
            continue
        attach(checkpoint, path, "inferred", "")
        other = understand(checkpoint, given).graph
        detach(checkpoint)
        if other.nodes != graph.nodes:
            raise NotACheckpoint(
                f"{checkpoint.path}: the weights of {network.name}, and those of another network in {quote(path.name)} "
                "beside them",
                "choose that one with {architecture}, or move it away",
            )
