"""The tables of the pages that come from the code or from results, as Markdown. `pages.py` writes them into the pages.

A table that needs a part of the program imports it when it is made: a part that is broken breaks its own table alone.
"""

from __future__ import annotations

import inspect
import json
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

Row = Sequence[str]


def markdown(rows: Iterable[Row]) -> str:
    """The first row is the header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * (lines[0].count(" | ") + 1) + "|", *lines[1:]])


def code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


# Of the code


OPENED = {
    "keras": "`keras.models.load_model(path)`, Keras 3",
    "weights": "`model.load_weights(path)`, Keras 3, once the model is built",
    "h5": "`keras.models.load_model(path)`, Keras 2 or 3",
    "savedmodel": "`keras.layers.TFSMLayer`, `tf.saved_model.load`",
    "hf": "`keras.saving.load_model(path)`, Keras 3",
    "safetensors": "`from_pretrained(path)` of the definition in it",
    "pt": "`torch.load(path, weights_only=True)`",
    "onnx": "`onnxruntime.InferenceSession(path)`",
    "theano": "`keras.models.load_model(path)` or `model.load_weights(path)`, that Keras, on Theano",
}
"""Name of a format → how its user opens a file of it, in a few words."""

RUNS_IN = {"numpy": "the reference", "tensorflow": "TensorFlow", "torch": "PyTorch", "onnx": "ONNX Runtime"}


def _option(format: Any) -> str:
    """What writes a format: a command, with an option where it writes others too."""
    from ror_port.formats.format import FORMATS

    alone = sum(other.command == format.command for other in FORMATS) == 1
    return code(format.command if alone else f"{format.command} --format {format.name}")


def formats() -> str:
    """What is read and written, by which command, and what opens it."""
    from ror_port.formats.format import FORMATS

    rows: list[Row] = [
        ("file", "read by", "written by", "opened with"),
        (
            "HDF5 of Keras 1.0 to 2.3: weights or full model",
            "every command",
            "",
            "that Keras, on the backend that wrote it",
        ),
    ]
    for format in FORMATS:
        read = "every command" if format.reread else "`verify`, `evaluate`"
        rows.append((format.title, read, _option(format), OPENED[format.name]))
    return markdown(rows)


def opened() -> str:
    """How each output is opened."""
    from ror_port.formats.format import FORMATS

    rows: list[Row] = [("what it is", "opened with", "in")]
    for format in FORMATS:
        code_of, where = format.opening('"PATH"', name="CLASS", input='"image"')
        rows.append((format.title, code(code_of), where))
    return markdown(rows)


def written() -> str:
    """Every format that is written: its options, names and runtime."""
    from ror_port.formats.format import FORMATS

    rows: list[Row] = [("written by", "what it is", "default name", "names that choose it", "checked in")]
    for format in FORMATS:
        name = f"`NAME{format.suffix}{'/' if format.folder else ''}`"
        rows.append((_option(format), format.title, name, code(*format.endings), RUNS_IN[format.runtime]))
    return markdown(rows)


def layers() -> str:
    """Every kind of layer, as its class describes it."""
    from ror_port.network.layers import LAYERS

    rows: list[Row] = [("layer", "called in stored architectures", "what it is", "defined in", "computed in")]
    for layer in LAYERS:
        file = layer.__module__.rpartition(".")[2]
        sentence = re.split(r"(?<=\.)\s", inspect.getdoc(layer) or "")[0]
        about = sentence.replace("\n", " ").replace("``", "`").replace("|", "\\|")
        arithmetic = f"`ror_port/theano/{file}.py`"
        rows.append(
            (f"`{layer.__name__}`", code(*layer.keras), about, f"`ror_port/network/layers/{file}.py`", arithmetic)
        )
    return markdown(rows)


def weights() -> str:
    """Every weight of every layer: what each software calls it, and how its axes lie."""
    from ror_port.mapping.weights import WEIGHTS

    header = {"role": "weight", "flips": "flipped on Theano", "torch": "PyTorch", "onnx": "ONNX"}
    rows: list[Row] = [tuple(header.get(field, field.replace("keras_", "Keras ")) for field in WEIGHTS[0]._fields)]
    for row in WEIGHTS:
        cells = row._asdict() | {"layer": row.layer.__name__}
        rows.append(tuple("yes" if cell is True else code(cell) if cell else "" for cell in cells.values()))
    return markdown(rows)


def exit_codes() -> str:
    """The tree of errors, as the docstring of `ror_port.errors` draws it."""
    from ror_port import errors

    meanings = {name: meaning for name, meaning in re.findall(r"── (\w+) +\d+ +(.+)", errors.__doc__ or "")}
    rows = {getattr(errors, name).exit_code: (f"`{name}`", meaning) for name, meaning in meanings.items()}
    rows = {0: ("", "done"), 1: ("", "a defect of ror-port"), 2: ("", "wrong usage"), **rows}
    return markdown([("exit code", "exception", "meaning"), *((str(number), *row) for number, row in rows.items())])


# Of results

RUNTIMES = {
    "numpy": "NumPy reference",
    "keras-tensorflow": "Keras/TensorFlow",
    "keras-torch": "Keras/PyTorch",
    "keras-jax": "Keras/JAX",
    "pytorch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
}
IN_FLOAT32 = {"keras-torch", "keras-jax"}
"""Backends on which Keras' BatchNormalization computes in float32 even in a float64 model."""


@cache
def _parity() -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "parity.json").read_text())


def _errors(record: Mapping[str, Any], runtimes: Iterable[str]) -> Iterable[str]:
    for runtime in runtimes:
        error = record["errors"].get(runtime)
        mark = " ¹" if record["dtype"] == "float64" and runtime in IN_FLOAT32 else ""
        yield f"{error:.1e}{mark}" if error is not None else ""


def parity() -> str:
    """Every record in every runtime."""
    names = [f"{name} ²" if name == "ONNX Runtime" else name for name in RUNTIMES.values()]
    rows: list[Row] = [("Theano's record", "in", *names)]
    before = None
    for record in _parity()["records"]:
        label = "" if record["record"] == before else record["record"]
        before = record["record"]
        rows.append((label, record["dtype"], *_errors(record, RUNTIMES)))
    return markdown(rows)


def parity_versions() -> str:
    """The conditions of the table."""
    versions = ", ".join(f"{name} {version}" for name, version in _parity()["versions"].items())
    return f"{_parity()['images']} images a record, {versions}, on a {_parity()['device']}."


def accuracy() -> str:
    """Three rows for the README: the network that this began with, and the digits."""
    runtimes = ("numpy", "keras-tensorflow", "pytorch", "onnxruntime")
    shown = [record for record in _parity()["records"] if record["record"] == "RoR-3-WRN-40-2, Keras 1.2.2"]
    digits = _parity()["digits"]
    return markdown(
        [
            ("compared with genuine Keras 1.2.2 on Theano", *(RUNTIMES[name] for name in runtimes)),
            *(
                (f"RoR-3-WRN-40-2, {record['dtype']}: relative L2 error of the logits", *_errors(record, runtimes))
                for record in shown
            ),
            (
                "network trained on digits: same top-1 class",
                *(f"{digits['same'][name]} of {digits['images']}" for name in runtimes),
            ),
        ]
    )


def digits() -> str:
    found = _parity()["digits"]
    same = {found["same"][name] for name in ("numpy", "keras-tensorflow", "pytorch", "onnxruntime")}
    return markdown(
        [
            ("digits network, test images", ""),
            (
                "same top-1 class as Theano, in NumPy, TensorFlow, PyTorch and ONNX Runtime",
                f"{min(same)} of {found['images']}",
            ),
            ("accuracy with the flip, without", f"{found['accuracy']:.1%}, {found['accuracy_without_flip']:.1%}"),
        ]
    ).replace("%", " %")


@cache
def _costs() -> dict[str, Any]:
    import measure

    record = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    parts = {
        part: {name: [measure.Usage(**usage) for usage in usages] for name, usages in commands.items()}
        for part, commands in record["parts"].items()
    }
    return {**record, "parts": parts}


def costs() -> str:
    """One file of 9 MB, beside the floor and the scripts."""
    import measure

    convert, start = _costs()["parts"]["convert"], _costs()["parts"]["start"]
    rows: list[Row] = [("RoR-3-WRN-40-2, 9 MB", "CPU × floor", "CPU × by hand", "peak memory, × by hand")]
    for name in measure.converting(Path(), Path()):
        hand = {"theano-to-tf": measure.KERAS, "to-torch": measure.TORCH, "to-onnx": measure.TORCH}
        beside = hand.get(name.partition(",")[0])
        peak = f"{measure.median(convert, name).peak / measure.MB:.0f} MB"
        ratios = [str(measure.ratio(convert, figure, name, beside)) for figure in ("cpu", "peak")] if beside else []
        cpu, memory = (ratios[0], f"{peak}, {ratios[1].partition(' ')[0]}") if ratios else ("", peak)
        rows.append(
            (f"`{name}`".replace(", ", "`, `"), str(measure.ratio(convert, "cpu", name, measure.FLOOR)), cpu, memory)
        )
    for name in ("inspect", "--help", "--version", "completion", "python -c 'import click'"):
        peak = f"{measure.median(start, name).peak / measure.MB:.0f} MB"
        rows.append((f"`{name}`", str(measure.ratio(start, "cpu", name, measure.FLOOR)), "", peak))
    return markdown(rows)


def large_files() -> str:
    """Files that are 16 and 65 times as large."""
    import measure

    growth = _costs()["parts"]["growth"]
    widths = {10: "RoR-3-WRN-28-10, 147 MB", 20: "k = 20, 588 MB"}
    rows: list[Row] = [
        (
            "",
            *(f"{name}: throughput × floor" for name in widths.values()),
            "memory above `inspect`'s, in largest tensors",
        )
    ]
    for name in measure.converting(Path(), Path()):
        throughputs, memory = [], []
        for width in widths:
            floor, base, this = (f"k = {width}, {of}" for of in (measure.FLOOR, "inspect", name))
            throughputs.append(str(measure.ratio(growth, "cpu", floor, this)))
            above = measure.median(growth, this).peak - measure.median(growth, base).peak
            memory.append(f"{above / (9 * (64 * width) ** 2 * 4):.1f}")
        rows.append((f"`{name}`".replace(", ", "`, `"), *throughputs, ", ".join(memory)))
    return markdown(rows)


def applications() -> str:
    """Keras' own large networks."""
    import measure

    measured = _costs()["parts"]["applications"]
    rows: list[Row] = [
        ("", *(f"{name}: CPU × floor; memory above `inspect`'s, × largest tensor" for name in measure.APPLICATIONS))
    ]
    for name in measure.converting(Path(), Path()):
        shown = []
        for network, application in measure.APPLICATIONS.items():
            floor, base, this = (f"{network}, {of}" for of in (measure.FLOOR, "inspect", name))
            above = measure.median(measured, this).peak - measure.median(measured, base).peak
            shown.append(f"{measure.ratio(measured, 'cpu', this, floor)}; {above / application.largest:.2f}")
        rows.append((f"`{name}`".replace(", ", "`, `"), *shown))
    return markdown(rows)


def other_costs() -> str:
    import measure

    parts = _costs()["parts"]
    jobs = measure.ratio(parts["jobs"], "wall", "--jobs 1", "--jobs 2")
    rows: list[Row] = [
        ("", ""),
        ("eight files of 147 MB: time of `--jobs 1` / time of `--jobs 2`, two cores", str(jobs)),
    ]
    reference = parts["reference"]
    for network in dict.fromkeys(name.rpartition(", ")[0] for name in reference if measure.REFERENCE in name):
        ours, theirs = f"{network}, {measure.REFERENCE}", f"{network}, {measure.PYTORCH}"
        rows.append(
            (
                f"{measure.REFERENCE}, {network}, float64, one core: time / time of PyTorch for the same",
                f"{measure.ratio(reference, 'cpu', ours, theirs)}; {measure.median(reference, ours).cpu:.1f} s",
            )
        )
    ((_, usages),) = parts["small"].items()
    each = [1000 * usage.cpu / measure.SMALL_FILES for usage in usages]
    rows.append(
        (
            f"{measure.SMALL_FILES} small full models in one command: CPU for each",
            f"{statistics.median(each):.0f} ms ({min(each):.0f}–{max(each):.0f})",
        )
    )
    return markdown(rows)


def archive() -> str:
    """Of benchmarks/archive.json."""
    found = json.loads((ROOT / "benchmarks" / "archive.json").read_text())
    faster = [each["wall_1"] / each["wall_2"] for each in found["rounds"]]
    worked_on = found["files"] - found["statuses"]["duplicate"]
    cpu = [1000 * each["cpu_2"] / worked_on for each in found["rounds"]]
    kinds = ", ".join(f"{count:,} {status}" for status, count in found["statuses"].items())
    same = {True: "the same ledger and outputs, byte for byte", False: "not the same"}
    return markdown(
        [
            (f"{found['files']:,} files: {kinds}", ""),
            ("with `--jobs 2`, times as fast as with 1", _spread(faster, ".2f")),
            ("CPU ms a file that is not a duplicate", _spread(cpu, ".0f")),
            ("growth of the memory of all processes", f"{found['growth_mb']:.0f} MB"),
            ("killed -9 half-way, and started again", same[found["killed"]]),
            (
                "two Dask workers, one killed -9 half-way, the client later; started again",
                same[found["killed_on_dask"]],
            ),
            ("measured on", "; ".join(found["machine"][:2])),
        ]
    )


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def machine() -> str:
    """What the costs were measured on."""
    return "; ".join([*_costs()["machine"], f"{_costs()['runs']} rounds"]) + "."


# Of benchmarks/today.json: a record is right, silently wrong or refused

FAMILIES = {
    "Dense, activations, dropout": ("dense", "activation", "advanced_activations", "noise", "old_layers"),
    "convolution, 1-D and 2-D": ("convolution1d", "convolution2d", "deconvolution2d", "separable", "locally_connected"),
    "pooling, 1-D and 2-D": ("pooling1d", "pooling2d", "global_pooling2d"),
    "3-D convolution, pooling, padding": ("volumes",),
    "BatchNormalization": ("normalization", "normalization_modes"),
    "flatten, reshape, padding, cropping, upsampling": (
        *("flatten", "reshaping", "padding2d"),
        *("shapes", "shapes1d", "shapes2d"),
    ),
    "merge": ("merge", "merge_more"),
    "Embedding": ("embedding",),
    "recurrent, ConvLSTM2D": ("recurrent", "recurrent_more", "stateful", "conv_lstm2d"),
    "TimeDistributed, Bidirectional": ("time_distributed", "bidirectional"),
    "masks": ("masks", "masking"),
    "sizes that vary": ("lengths",),
    "Lambda": ("lambdas",),
    "layers of one's own": ("custom",),
    "networks, nested models": ("networks", "nested", "settings", "sequences", "graphs"),
}
"""Row of a table → families of records."""


SOFTWARE = {
    "keras-tensorflow": "Keras 3 on TensorFlow",
    "keras-torch": "Keras 3 on PyTorch",
    "tf-keras": "tf-keras",
    "ror-port": "ror-port, the file alone",
    "ror-port-told": "ror-port, told backend and ordering",
}


@cache
def _today() -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "today.json").read_text())


def _counted(outcomes: Sequence[float | str | None]) -> str:
    """How many are right, wrong and refused."""
    from ror_port import tolerances

    refused = sum(isinstance(outcome, str) for outcome in outcomes)
    right = sum(isinstance(outcome, float) and outcome <= tolerances.FLOAT32 for outcome in outcomes)
    return f"{right:,} / {len(outcomes) - right - refused:,} / {refused:,}"


def _in_software(rows: Mapping[str, Sequence[str]], first: str) -> str:
    """rows: label → the records that it counts."""
    found = _today()["outcomes"]

    def row(label: str, cases: Sequence[str]) -> Row:
        return label, f"{len(cases):,}", *(_counted([found[case][name] for case in cases]) for name in SOFTWARE)

    return markdown(
        [(first, "files", *SOFTWARE.values()), *(row(*item) for item in rows.items()), row("all", list(found))]
    )


def today() -> str:
    """By what the networks are made of."""
    rows: dict[str, list[str]] = {label: [] for label in FAMILIES}
    labels = {family: label for label, families in FAMILIES.items() for family in families}
    for case in _today()["outcomes"]:
        rows[labels[case.split("/")[1]]].append(case)
    return _in_software(rows, "records of")


def today_writers() -> str:
    """By the Keras that wrote the file."""
    rows: dict[str, list[str]] = {}
    for case in _today()["outcomes"]:
        _, keras, backend, number = case.split("/")[0].split("-")
        name = {"theano": "Theano", "tensorflow": "TensorFlow"}[backend]
        rows.setdefault(f"Keras {keras}, {name} {number}", []).append(case)
    return _in_software(rows, "written by")


def today_versions() -> str:
    """What the tables were measured with."""
    versions = {name: number for packages in _today()["versions"].values() for name, number in packages.items()}
    return ", ".join(f"{name} {number}" for name, number in versions.items()) + ", on a CPU."


def refused() -> str:
    """Why ror-port refuses records, the most frequent reason first."""
    found = [outcomes["ror-port-told"] for outcomes in _today()["outcomes"].values()]
    reasons = Counter(_reason(outcome) for outcome in found if isinstance(outcome, str))
    rows = [(reason, str(number)) for reason, number in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))]
    return markdown([("reason", "files"), *rows])


def _reason(refusal: str) -> str:
    """Of a refusal, what other files share: no shapes, and no explanation."""
    from ror_port import errors

    kind, _, text = refusal.partition(": ")
    if not hasattr(errors, kind):
        return f"written, and refused by Keras 3: {code(kind)}"
    return re.split("[,:]", re.sub(r"[\[(].*[\])]", "…", text))[0]


TABLES: Mapping[str, Callable[[], str]] = {
    "formats": formats,
    "written": written,
    "layers": layers,
    "weights": weights,
    "exit-codes": exit_codes,
    "opened": opened,
    "parity": parity,
    "parity-versions": parity_versions,
    "accuracy": accuracy,
    "digits": digits,
    "costs": costs,
    "large-files": large_files,
    "applications": applications,
    "other-costs": other_costs,
    "machine": machine,
    "archive": archive,
    "today": today,
    "today-writers": today_writers,
    "today-versions": today_versions,
    "refused": refused,
}
