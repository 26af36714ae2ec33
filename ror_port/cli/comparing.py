"""Commands that tell whether a network computes what it should: evaluate, verify, diagnose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ror_port.cli.options import PATH, Reading, input_options, reading_options
from ror_port.cli.running import single
from ror_port.errors import printable

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.check.certificate import Inputs
    from ror_port.formats.format import Runtime as Software


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
    help="What runs the network. Default: the file's own framework; for Theano's files numpy, the reference, which is "
    "slow.",
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
@click.option(
    "--try-conventions", is_flag=True, help="Also the accuracy under the other conventions that the file may follow."
)
@click.option("--card", is_flag=True, help="Write the accuracy into the model card of FILE, a folder for a hub.")
@reading_options
def evaluate(
    file: Path,
    data: Path,
    runtime: Software | None,
    split: str,
    scale: float | None,
    limit: int | None,
    try_conventions: bool,
    card: bool,
    reading: Reading,
) -> None:
    """Accuracy of a checkpoint, or of what was made of one, on labelled images."""

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port.check import evaluate as evaluation
        from ror_port.check.datasets import open_dataset
        from ror_port.cli.progress import Terminal
        from ror_port.cli.text import evaluation_text

        network = evaluation.choose(file, runtime, reading.given)
        ((shape,), ((classes,),)) = network.signature
        dataset = open_dataset(data, shape, classes, split=split, scale=scale, limit=limit)
        found = evaluation.evaluate(network, dataset, Terminal())
        hypotheses = (
            list(evaluation.try_conventions(file, reading.given, dataset, runtime or "numpy"))
            if try_conventions
            else []
        )
        account = {"file": str(file), **found.as_json()}
        if hypotheses:
            account["hypotheses"] = [asdict(hypothesis) for hypothesis in hypotheses]
        text = evaluation_text(file, found, hypotheses)
        if card:
            text += f"\n\nwrote {printable(evaluation.add_to_card(file, found))}"
        return text, account, 0

    single(file, run, reading)


@click.command()
@click.argument("source", type=PATH, required=False)
@click.argument("artifacts", nargs=-1, type=PATH, metavar="ARTIFACT...")
@click.option("--per-layer", is_flag=True, help="Compare every layer, end to end and in isolation.")
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
    inputs: Inputs,
    reading: Reading,
) -> None:
    """Compare artifacts with what Theano would have computed from SOURCE, each in its own framework."""
    if certificate is None and (source is None or not artifacts):
        raise click.UsageError("SOURCE and at least one ARTIFACT are expected, or --certificate")
    if certificate is not None and (source is not None or out is not None):
        raise click.UsageError("--certificate names its files itself")
    if out is not None and reading.given.model is not None:
        from ror_port.api import SCRIPTED

        raise click.UsageError(SCRIPTED)

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port.api import load
        from ror_port.check import certificate as certificates
        from ror_port.cli.progress import Terminal
        from ror_port.cli.text import recheck_text, verification_text

        if certificate is not None:
            from ror_port.check.recheck import recheck

            again = recheck(certificate, Terminal())
            return recheck_text(certificate, again), again.as_json(), again.exit_code
        assert source is not None
        if out is not None:
            certificates.ensure_writable(out, [source, *artifacts], force=force)
        with load(source, **vars(reading.given)) as port:
            proof = certificates.prove(port, artifacts, inputs, per_layer=per_layer, progress=Terminal())
            made = proof.as_json(out.parent if out else Path())
        if out is not None:
            certificates.write(made, out)
        return verification_text(source, made, out), made, proof.exit_code

    single(source or certificate or Path(), run, reading)


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
    inputs: Inputs,
    reading: Reading,
) -> None:
    """Which known mistake explains a difference; and, from images, how a file was trained."""
    if artifact is None and images is None and inputs.expected is None:
        raise click.UsageError("an ARTIFACT, --images, or --inputs and --expected are expected")

    def run() -> tuple[str, Mapping[str, Any], int]:
        from ror_port.api import load
        from ror_port.check.certificate import prove
        from ror_port.check.classification import image_shape
        from ror_port.check.datasets import open_images
        from ror_port.check.diagnose import training
        from ror_port.cli.progress import Terminal
        from ror_port.cli.text import training_text, verification_text

        texts: list[str] = []
        account: dict[str, Any] = {}
        code = 0
        with load(source, **vars(reading.given)) as port:
            if images is not None:
                found = training(port, open_images(images, image_shape(port), scale))
                texts.append(training_text(source, found))
                account["training"] = found.as_json()
            if artifact is not None or inputs.expected is not None:
                artifacts = [artifact] if artifact else []
                proof = prove(port, artifacts, inputs, per_layer=True, progress=Terminal())
                made, code = proof.as_json(Path()), proof.exit_code
                texts.append(verification_text(source, made, None))
                account |= made
        return "\n\n".join(texts), account, code

    single(source, run, reading)
