"""Giving weights the architecture that their script builds: which of its models they are the weights of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ror_port.errors import NotACheckpoint, RorPortError, UnknownNetwork, quote
from ror_port.formats.checkpoint import KERAS_0, Checkpoint
from ror_port.mapping.software import KERAS_2
from ror_port.network.graph import Graph
from ror_port.network.relayout import relayout
from ror_port.source import provenance
from ror_port.source.attaching import ORDERING_OF, Understand, Understood, detach, ensure_silent
from ror_port.source.keras_0 import as_keras_1, is_keras_0
from ror_port.source.provenance import Fact, Given, releases
from ror_port.source.script.fitting import ensure_order, fitted, release
from ror_port.source.script.running import Built, BuiltModel, Script, Setting, run

Json = Mapping[str, Any]


class _Fit(NamedTuple):
    """A model of a script with the weights of the file. port: of what it is."""

    model: BuiltModel
    config: Json
    port: Understood
    setting: Setting
    built: Built

    @property
    def by_ordering(self) -> bool:
        """Whether its layers state an ordering that is that of the session, and not the script's."""
        return self.setting.ordering_known or "ordering" in self.built.asked


def from_script(checkpoint: Checkpoint, given: Given, understand: Understand) -> None:
    """Gives a checkpoint the architecture that the user's script builds: the one model whose weights it has.

    Raises NotACheckpoint where it builds none such, or several that differ.
    """
    assert given.model is not None
    script = Script.parse(given.model)
    ensure_silent(checkpoint, "{model}")
    problems: list[tuple[BuiltModel, RorPortError]] = []
    failure: Built | None = None
    found: list[_Fit] = []
    for attempt in _attempts(script, checkpoint, given):
        fits, misfits = _fitting(attempt.built, attempt.setting, checkpoint, script, given, understand)
        problems = problems or misfits  # of the likeliest session
        failure = failure or (attempt.built if attempt.built.error else None)
        found += [_one(fits, script)] if fits else []
        if found and "ordering" not in attempt.built.asked:
            break
    if found:
        _ensure_one_ordering(found, script)
        _attach_built(checkpoint, script, found[0].config, _evidence(found[0], checkpoint, given))
        checkpoint.ordering_inferred = found[0].by_ordering and given.ordering is None
        return
    raise _misfit(script, checkpoint, problems, failure)


def _ensure_one_ordering(found: list[_Fit], script: Script) -> None:
    """Raises NotACheckpoint where a script that asks for the ordering gives two networks with these weights."""
    for other in found[1:]:
        one, another = (relayout(fit.port.graph, "channels_last") for fit in (found[0], other))
        if not _alike(one.graph, another.graph) or [*one.weights.values()] != [*another.weights.values()]:
            raise NotACheckpoint(
                f"{script.path}: builds one network where Keras is set to th, another where it is set to tf, and "
                "both have these weights",
                "state it with {ordering}",
            )


def _attach_built(checkpoint: Checkpoint, script: Script, config: Json, evidence: str) -> None:
    checkpoint.config, checkpoint.config_where, checkpoint.config_file = config, script.path.name, script.path
    checkpoint.config_fact = Fact("architecture", str(script.path.name), "given", evidence)


def _evidence(found: _Fit, checkpoint: Checkpoint, given: Given) -> str:
    of_keras_2 = found.setting.version[0] == 2 and not checkpoint.keras_version
    read = ", run as a script of Keras 2" if of_keras_2 else ""
    if found.setting.ordering_known and given.ordering is None:
        read += f"; they fit in the dim ordering {found.setting.ordering} alone"
    if "version" in found.built.asked:
        read += f"; it asks for the version of Keras, which is taken for the last of Keras {found.setting.version[0]}"
    if found.built.missing:
        read += f"; not installed, and so without effect: {', '.join(map(quote, found.built.missing[:3]))}"
    return f"--model: {found.model.name}, whose weights these are{read}"


class _Attempt(NamedTuple):
    built: Built
    setting: Setting


def _attempts(script: Script, checkpoint: Checkpoint | None, given: Given) -> Iterator[_Attempt]:
    """Runs of a script in the sessions of Keras that it may be meant for, the likeliest first.

    Another generation is tried where the script misuses the one before; the other ordering where it asked for one, or
    else last, as that of all layers that state none.
    """
    versions, backend = _sessions(checkpoint, given)
    for version in versions:
        usual = ORDERING_OF[backend == "theano"]
        setting = Setting(version, given.ordering or usual, given.ordering is not None, backend)
        built = run(script, setting)
        yield _Attempt(built, setting)
        if built.timed_out:
            return
        if given.ordering is None and not (built.misuse and not built.models):
            asked = "ordering" in built.asked
            other = setting.of_ordering("tf" if usual == "th" else "th", known=not asked)
            yield _Attempt(run(script, other), other)
        if not built.misuse:
            return


def _sessions(checkpoint: Checkpoint | None, given: Given) -> tuple[list[tuple[int, ...]], str]:
    """Versions of Keras that a script may be of, and the backend. A release that nobody states is left open."""
    backend = given.backend or "theano"
    if checkpoint is not None:
        backend = provenance.backend(checkpoint, given).value
        if checkpoint.writer == KERAS_0:
            return [(0, 3, 3)], backend
    if given.keras:
        stated = releases(given.keras)[-1]
        return [stated, (3 - stated[0],)], backend
    if checkpoint is None:
        return [(1,), (2,), (0, 3, 3)], backend
    origin = provenance.origin(checkpoint, given)
    if origin.version and origin.version < (3,):
        return [origin.version, (3 - origin.version[0],)], backend
    return ([(2,), (1,)] if origin.software is KERAS_2 else [(1,), (2,)]), backend


def _fitting(
    built: Built, setting: Setting, checkpoint: Checkpoint, script: Script, given: Given, understand: Understand
) -> tuple[list[_Fit], list[tuple[BuiltModel, RorPortError]]]:
    """The models of a run that have the weights of a file; and why the others have not."""
    fits: list[_Fit] = []
    misfits: list[tuple[BuiltModel, RorPortError]] = []
    for model in _whole(built, script):
        if model.stated is None:
            misfits.append((model, NotACheckpoint(f"{model.where}: {model.problem}")))
            continue
        try:
            config = as_keras_1(model.stated) if is_keras_0(model.stated) else model.stated
            config = fitted(config, checkpoint, given, script.path.name)
            _attach_built(checkpoint, script, config, "")
            port = understand(checkpoint, given)
            ensure_order(checkpoint, config, port.graph, port.layers, release(checkpoint, given))
            fits.append(_Fit(model, config, port, setting, built))
        except RorPortError as error:
            misfits.append((model, error))
        finally:
            detach(checkpoint)
    return fits, misfits


def _whole(built: Built, script: Script) -> list[BuiltModel]:
    """The models that may be meant: the one that is asked for, else all that the script got done with."""
    if script.name is not None:
        return [model for model in built.models if model.chosen]
    return [model for model in built.models if model.finished or built.error is None]


def _one(fits: list[_Fit], script: Script) -> _Fit:
    """The model that fits. Raises NotACheckpoint where several do that are not the same network."""
    *others, last = fits
    for other in others:
        if not _alike(other.port.graph, last.port.graph):
            variables = [fit.model.variable for fit in (other, last) if fit.model.variable]
            choice = f"{script.path}:{variables[-1]}" if variables else f"{script.path}:NAME"
            raise NotACheckpoint(
                f"{script.path}: builds {other.model.name} and {last.model.name}, which are not the same and both have "
                "these weights",
                f"choose one with {{model}}, as in {choice}",
            )
    return last


def _alike(graph: Graph, other: Graph) -> bool:
    """Whether two graphs are the same but for what their nodes are called."""

    def plain(of: Graph) -> list[Any]:
        place = {node.name: number for number, node in enumerate(of.nodes)}
        nodes = [(node.layer, [place[name] for name in node.inputs], place[node.owner]) for node in of.nodes]
        return [*nodes, [place[name] for name in of.outputs]]

    return plain(graph) == plain(other)


def _misfit(
    script: Script, checkpoint: Checkpoint, problems: list[tuple[BuiltModel, RorPortError]], failure: Built | None
) -> RorPortError:
    unsupported = [error for _, error in problems if isinstance(error, UnknownNetwork)]
    if unsupported:
        return unsupported[-1]
    if problems:
        model, error = problems[-1]
        count = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        stopped = f"; the script stopped at {failure.error}" if failure else ""
        reason = error.message.removeprefix(f"{checkpoint.path}: ")
        message = f"{checkpoint.path}: not the weights of {model.name}{count}: {reason}{stopped}"
        return NotACheckpoint(message, error.advice)
    return _misfit_alone(script, failure)


def built_architecture(given: Given) -> tuple[Json, str]:
    """The JSON of the one model that a script builds, without weights to tell; and which it is.

    Raises NotACheckpoint where it builds none, or several.
    """
    assert given.model is not None
    script = Script.parse(given.model)
    failure: Built | None = None
    for built, setting in _attempts(script, None, given):
        failure = failure or (built if built.error else None)
        models = [model for model in _whole(built, script) if model.stated is not None]
        outer = [model for model in models if not _is_within(model, models)]
        if built.misuse and not any(model.chosen for model in models):
            continue
        if len(outer) > 1:
            names = ", ".join(model.name for model in outer)
            raise NotACheckpoint(f"{script.path}: builds several models: {names}", "choose one, as in SCRIPT.py:NAME")
        if outer:
            read = f"as a script of Keras {setting.version[0]}"
            return outer[0].stated or {}, f"{outer[0].name}, {read}"
    raise _misfit_alone(script, failure)


def _misfit_alone(script: Script, failure: Built | None) -> NotACheckpoint:
    if failure:
        return NotACheckpoint(str(failure.error))
    return NotACheckpoint(f"{script.path}: builds no model", "name a function that does, as in SCRIPT.py:build_model")


def _is_within(model: BuiltModel, models: list[BuiltModel]) -> bool:
    """Whether a model is a part of another one, or states the same."""

    def parts(stated: Any) -> Iterator[Any]:
        if isinstance(stated, dict):
            yield stated.get("config")
            for value in stated.values():
                yield from parts(value)
        elif isinstance(stated, list):
            for value in stated:
                yield from parts(value)

    assert model.stated is not None
    own = model.stated.get("config")
    place = models.index(model)
    for number, other in enumerate(models):
        if other is model or other.stated is None:
            continue
        same = other.stated.get("config") == own
        if (same and number > place) or (not same and any(part == own for part in parts(other.stated))):
            return True
    return False
