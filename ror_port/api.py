"""The Python API: what `ror_port.load`, `ror_port.save` and `ror_port.verify` do. The command line calls the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ror_port.check.classification import IMAGES, seeded_inputs
from ror_port.check.progress import SILENT, Progress
from ror_port.errors import UsageError, system_limit
from ror_port.source import port as source
from ror_port.source.port import Inputs, Port
from ror_port.source.provenance import Given

if TYPE_CHECKING:  # imported where it is needed, so that reading alone starts fast
    from ror_port.check.expectation import Effect
    from ror_port.check.verify import Verification
    from ror_port.formats.format import Dtype, Format
    from ror_port.layout import DataFormat, Extent


SCRIPTED = (
    "a certificate is checked again without running anybody's code; write the architecture with `ror-port "
    "architecture`, and give it as a file"
)


@contextmanager
def _system_limits_reported() -> Iterator[None]:
    """Raises SystemLimit where the system refuses memory or open files."""
    try:
        yield
    except (MemoryError, OSError, ImportError) as error:
        if limit := system_limit(error):
            raise limit from error
        raise


@dataclass(frozen=True)
class Written:
    """A finished output.

    sha256: of a file; of a folder, of its files' hashes in the order of their names. verification: its comparison
    with the reference, or why it was not run; None where none was asked for. effects: what would change if the facts
    that are assumed were otherwise, the largest first. certificate: where it was written, if it was asked for.
    opened: how to open it, in Python. inputs: name → shape of what the network takes, without the batch; None for a
    size that varies. multiplied: names of the weights that are 6/5 of the file's, since the hard_sigmoid of Keras 3 is
    less steep than that of Keras 1 and 2.
    """

    path: Path
    format: str
    bytes: int
    sha256: str
    verification: Verification | None = None
    effects: tuple[Effect, ...] = ()
    certificate: Path | None = None
    opened: str = ""
    inputs: Mapping[str, Extent] = field(default_factory=dict)
    multiplied: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """In a notebook: where it is, how to open it, and how exact it is."""
        from ror_port.html import basics, notebook

        about = f"{self.format}, {self.bytes:,} bytes, sha256 {self.sha256}"
        parts = list(notebook.output(str(self.path), about, self.opened))
        if self.verification:
            parts += notebook.verification(self.verification.as_json())
        return basics.fragment(*parts)

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "format": self.format,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "opened": self.opened,
            "inputs": dict(self.inputs),
            "multiplied": list(self.multiplied),
        }


@_system_limits_reported()
def load(
    path: Path | str,
    *,
    backend: Literal["theano", "tensorflow"] | None = None,
    keras: str | None = None,
    epsilon: float | None = None,
    size: int | None = None,
    sha256: str | None = None,
    bad_values: bool = False,
    architecture: Path | str | None = None,
    ordering: Literal["th", "tf"] | None = None,
    model: str | None = None,
    lambdas: Mapping[str, str] | None = None,
) -> Port:
    """Opens a checkpoint and finds out what it is. Use the port as a context manager: tensors are read on demand.

    path: HDF5 of Keras 1 to 3, ``.keras``, a PyTorch folder, ``.safetensors``, ``.pt`` or ``.onnx``. The other
    arguments state what the file does not, or states wrongly. backend: what trained the weights; under "theano",
    kernels are those of a true convolution. keras: the version that wrote the file, such as "1.0.6". epsilon: of the
    BatchNorms. size: height and width of an image in pixels. sha256: of the file, compared before anything in it is
    interpreted. bad_values: admit NaN, infinities and negative variances. ordering: channels first ("th") or last
    ("tf"), of layers for which the file states none. architecture: a file with the model as JSON or YAML, for weights
    that come without; by default the one beside them that fits. model: instead, the script that built the network,
    ``train.py`` or ``train.py:build_model``; it is your own code, and it is run, in a process of its own.
    lambdas: Lambda layer → its arithmetic on x, as ``{"lambda_1": "x / 127.5 - 1"}``.

    Raises UsageError, UnreadableFile, UnsafeFile, NotACheckpoint or UnknownNetwork.
    """
    beside = Path(architecture) if architecture is not None else None
    return source.load(path, Given(backend, keras, epsilon, size, sha256, bad_values, beside, ordering, model, lambdas))


def planned(
    port: Port, path: Path | str, *, format: str | None = None, force: bool = False, certify: bool = False
) -> Path:
    """Where `save` would write. Raises what it would raise before any work is done."""
    from ror_port.convert import stage
    from ror_port.formats.format import chosen

    if certify and port.given.model is not None:
        raise UsageError(SCRIPTED, "certify")
    target, source_path, written = Path(path), port.checkpoint.path, chosen(Path(path), format)
    written.ensure_names(target)
    written.ensure_writable()
    stage.validate_target(target, source_path, folder=written.folder, force=force)
    if certify:
        from ror_port.check import certificate

        certificate.ensure_writable(certificate.path_beside(target), [source_path], force=force)
    return target


@_system_limits_reported()
def save(
    port: Port,
    path: Path | str,
    *,
    format: str | None = None,
    data_format: DataFormat = "channels_last",
    logits: bool = False,
    dtype: Dtype | None = None,
    fold_bn: bool = False,
    license: str | None = None,
    verify: bool = True,
    force: bool = False,
    certify: bool = False,
    progress: Progress = SILENT,
) -> Written:
    """Writes a network for other software and, unless told not to, compares what it computes with the reference.

    The output appears complete or not at all; what fails the comparison is not kept.

    path: a file or, for "savedmodel", "hf" and "safetensors", a folder. format: "keras", "weights", "h5", "savedmodel",
    "hf", "safetensors", "pt", "onnx" or "theano"; by default what the path ends in, where ``.h5`` is HDF5 for Keras 2
    and 3 and ``.th.h5`` the file of Keras on Theano that it came in. data_format: order of the axes of images, for
    Keras and TensorFlow. logits: leave the softmax out, but for PyTorch, whose networks have none, and Theano. dtype:
    precision of ONNX weights, by default "float32". fold_bn: merge BatchNorms into convolutions, in ONNX.
    license: an identifier such as "mit", for the model card of a folder. verify:
    compare, where the framework is installed. force: replace an existing output. certify: write a certificate beside
    it. progress: what reports the progress.

    Raises UsageError, OutputError, BadValues, UnknownNetwork, ParityError where the output does not compute what the
    source does, or MissingExtra where writing itself needs a framework that is not installed.
    """
    from ror_port.convert.write import no_check, write
    from ror_port.formats.format import chosen

    if certify and not verify:
        raise UsageError("a certificate needs the verification", "certify")
    target = planned(port, path, format=format, force=force, certify=certify)
    kind = chosen(target, format)
    check = _Check(port, target, certify, progress) if verify else None
    with check.certificate_staged() if check else ExitStack():
        made = write(
            port,
            target,
            kind,
            data_format=data_format,
            logits=logits,
            dtype=dtype,
            fold_bn=fold_bn,
            license=license,
            check=check or no_check,
            progress=lambda parameters, count: progress.track(parameters, count, "converting"),
        )
    written = Written(
        target,
        made.format,
        made.bytes,
        made.sha256,
        opened=_opening(port, target, kind),
        inputs=made.inputs,
        multiplied=made.multiplied,
    )
    return check.added_to(written) if check else written


def _opening(port: Port, path: Path, format: Format) -> str:
    """How to open an output: code, and in which software."""
    if format.command == "to-theano" and port.returned is not None:
        from ror_port.convert import way_back

        return way_back.opening(port.returned, path)
    names = [repr(node.name) for node in port.graph.inputs]
    name = port.family.class_name if port.family else "Network"
    code, where = format.opening(repr(str(path)), name=name, input=": …, ".join(names))
    return f"{code}, in {where}"


class _Check:
    """The verification of one output, and what follows from it."""

    def __init__(self, port: Port, target: Path, certify: bool, progress: Progress) -> None:
        from ror_port.check.expectation import Expectation

        self.target, self.certify, self.progress = target, certify, progress
        self.expectation = Expectation(port, seeded_inputs(port), per_layer=certify)
        self.verification: Verification | None = None
        self.write_certificate: Callable[[dict[str, Any]], None] | None = None

    @contextmanager
    def certificate_staged(self) -> Iterator[None]:
        """The certificate, if there is to be one, takes its place with the output; where one fails, neither does."""
        from ror_port.check import certificate

        with ExitStack() as stack:
            if self.certify:
                self.write_certificate = stack.enter_context(certificate.staged(certificate.path_beside(self.target)))
            yield

    def __call__(self, stage: Path) -> None:
        """Verifies a finished output; raises ParityError where it must not take its place."""
        from ror_port.check.verify import ensure_passed, verify

        if self.certify:
            self.expectation.ensure_meaningful()
        found = verify(self.expectation, stage, known=True, progress=self.progress)
        ensure_passed(found, self.expectation.port.checkpoint.path, "nothing was written")
        self.verification = replace(found, path=self.target)
        if self.write_certificate:
            from ror_port.check.certificate import Certificate, Inputs

            with self.progress.busy("writing the certificate"):
                proof = Certificate(self.expectation, Inputs(), (self.verification,))
                self.write_certificate(proof.as_json(self.target.parent))

    def added_to(self, written: Written) -> Written:
        """The output with its verification, what assumptions change, and the certificate, once it is in place."""
        port, path = self.expectation.port, None
        effects: tuple[Effect, ...] = ()
        if port.assumptions and not port.admitted:
            with self.progress.busy("computing the effects of what is assumed"):
                effects = self.expectation.effects
        if self.certify:
            from ror_port.check.certificate import path_beside

            path = path_beside(self.target)
        return replace(written, verification=self.verification, effects=effects, certificate=path)


@_system_limits_reported()
def verify(
    port: Port,
    artifact: Path | str,
    *,
    inputs: Inputs | None = None,
    per_layer: bool = False,
    seed: int = 0,
    count: int = IMAGES,
) -> Verification:
    """Compares an artifact, in its own framework, with what Theano would have computed from the port's file.

    artifact: anything that `save` writes. inputs: images (batch, height, width, channels), scaled as in training, or
    for several inputs an array for each, by the names of their nodes; by default `count` made from `seed`.
    per_layer: compare every layer as well, as it is and in isolation.

    Raises UnreadableFile or NotACheckpoint where the artifact is none, or is of a network with other inputs or
    outputs. A difference raises nothing: see `Verification.passed`.
    """
    from ror_port.check import verify as engine
    from ror_port.check.expectation import Expectation

    if count < 1:
        raise UsageError(f"{count}; at least one image is expected", "count")
    given = seeded_inputs(port, count, seed) if inputs is None else port.inputs(inputs)
    return engine.verify(Expectation(port, given, per_layer), Path(artifact))
