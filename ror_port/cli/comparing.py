"""Commands that tell whether a network computes what it should: evaluate, verify, diagnose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port.cli.options import PATH, input_options, reading_options
from ror_port.cli.running import alone

if TYPE_CHECKING:
    from ror_port.check.certificate import Inputs


@click.command()
@click.argument("file", type=PATH)
@click.option(
    "--data",
    required=True,
    type=PATH,
    help="CIFAR-10 (folder or batch, binary or Python version), an .npz with x and y, or a folder of class folders.",
)
@click.option(
    "--runtime",
    type=click.Choice(["numpy", "tensorflow", "torch", "onnx"]),
    help="What computes. Default: the file's own framework; for Theano's files numpy, the reference, which is slow.",
)
@click.option(
    "--split", type=click.Choice(["test", "train"]), default="test", show_default=True, help="Of a CIFAR-10 folder."
)
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="What pixels are divided by. Default: 255, as when the published weights were trained; 1 for an .npz of "
    "floating-point images.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images.")
@click.option("--try-conventions", is_flag=True, help="Also the accuracy if the file meant something else.")
@reading_options
def evaluate(
    file: Path,
    data: Path,
    runtime: str | None,
    split: str,
    scale: float | None,
    limit: int | None,
    try_conventions: bool,
    as_json: bool,
    debug: bool,
    **says: Any,
) -> None:
    """Accuracy of a checkpoint, or of what was made of one, on labelled images."""

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port.check import datasets, runtimes
        from ror_port.check import evaluate as evaluation
        from ror_port.cli.progress import track
        from ror_port.cli.text import evaluation_text
        from ror_port.source.provenance import Given

        given = Given(**says)
        network = runtimes.choose(file, runtime, given)
        shown = datasets.open_dataset(data, network.input_shape, network.classes, split=split, scale=scale, limit=limit)
        found = evaluation.evaluate(network, shown, lambda batches, count: track(batches, count, "evaluating"))
        hypotheses = list(evaluation.try_conventions(file, given, shown, runtime or "numpy")) if try_conventions else []
        account = {"file": str(file), **found.as_json()}
        if hypotheses:
            account["hypotheses"] = [asdict(hypothesis) for hypothesis in hypotheses]
        return evaluation_text(file, found, hypotheses), account, 0

    alone(file, run, as_json=as_json, debug=debug)


@click.command()
@click.argument("source", type=PATH, required=False)
@click.argument("artifacts", nargs=-1, type=PATH, metavar="ARTIFACT...")
@click.option("--per-layer", is_flag=True, help="Compare every layer, in the end and by itself.")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    metavar="CERT.json",
    help="Write the certificate there, and beside it the same as a page (.html).",
)
@click.option("--force", is_flag=True, help="Replace an existing certificate.")
@click.option(
    "--certificate",
    type=PATH,
    metavar="CERT.json",
    help="Check a certificate again: the files' hashes, then the figures.",
)
@input_options
@reading_options
def verify(
    source: Path | None,
    artifacts: tuple[Path, ...],
    per_layer: bool,
    out: Path | None,
    force: bool,
    certificate: Path | None,
    shown: Inputs,
    as_json: bool,
    debug: bool,
    **says: Any,
) -> None:
    """Compare artifacts with what Theano would have computed from SOURCE, each in its own framework."""
    from ror_port.source.provenance import Given

    if certificate is None and (source is None or not artifacts):
        raise click.UsageError("SOURCE and at least one ARTIFACT are expected, or --certificate")
    if certificate is not None and (source is not None or out is not None):
        raise click.UsageError("--certificate names its files itself")

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port.check import certificate as proof
        from ror_port.cli.text import recheck_text, verification_text
        from ror_port.source.port import load

        if certificate is not None:
            again = proof.recheck(certificate)
            return recheck_text(certificate, again), again.as_json(), again.exit_code
        assert source is not None
        if out is not None:
            proof.check_outputs(out, [source, *artifacts], force=force)
        given, folder = Given(**says), out.parent if out else Path()
        with load(source, given) as port:
            made = proof.prove(port, given, artifacts, shown, per_layer=per_layer, folder=folder)
        if out is not None:
            proof.write(made, out)
        return verification_text(source, made, out), made, proof.exit_code(made)

    alone(source or certificate or Path(), run, as_json=as_json, debug=debug)


@click.command()
@click.argument("source", type=PATH)
@click.argument("artifact", type=PATH, required=False)
@click.option(
    "--images",
    type=PATH,
    help="Unlabelled images of the kind the network was trained on (.npy, or as for evaluate): their statistics tell "
    "which convolution the file was trained with.",
)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), metavar="X", help="As for evaluate; of --images.")
@input_options
@reading_options
def diagnose(
    source: Path,
    artifact: Path | None,
    images: Path | None,
    scale: float | None,
    shown: Inputs,
    as_json: bool,
    debug: bool,
    **says: Any,
) -> None:
    """Which known mistake explains a difference; and, from images, how a file was trained."""
    from ror_port.source.provenance import Given

    if artifact is None and images is None and shown.expected is None:
        raise click.UsageError("an ARTIFACT, --images, or --inputs and --expected are expected")

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port.check import certificate as proof
        from ror_port.check.datasets import open_images
        from ror_port.check.diagnose import training
        from ror_port.cli.text import training_text, verification_text
        from ror_port.source.port import load

        texts: list[str] = []
        account: dict[str, Any] = {}
        code, given = 0, Given(**says)
        with load(source, given) as port:
            if images is not None:
                found = training(port, open_images(images, port.network.input_shape, scale))
                texts.append(training_text(source, found))
                account["training"] = found.as_json()
            if artifact is not None or shown.expected is not None:
                artifacts = [artifact] if artifact else []
                made = proof.prove(port, given, artifacts, shown, per_layer=True, folder=Path())
                texts.append(verification_text(source, made, None))
                account |= made
                code = proof.exit_code(made)
        return "\n\n".join(texts), account, code

    alone(source, run, as_json=as_json, debug=debug)
