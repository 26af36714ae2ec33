"""docs/errors.md is true: each message of its tables is printed today, and its command does what the row states.

The page is the only place that has the texts. A message that a software prints belongs to the first row of the page
that it fits; a row, or one of its spellings, that nothing fits fails, and so does a message that fits no row.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

import genuine_layers
from genuine import FIXTURES, ROOT
from genuine_layers import Case
from todays_keras import MODULES, Software

PAGE = ROOT / "docs" / "errors.md"
HEAD = "| message | printed by | what it means | command | what comes out |"

SPAN = re.compile(r"(?<!`)(`{1,2})(?!`) ?(.+?) ?(?<!`)\1(?!`)")
PLACEHOLDERS = {
    r"\bN\b|\bM\b": r"\\d+",
    r"\bNAME\b": r"[\\w./: -]+?",
    r"\bFILE\b": r".+?",
    r"\bSHAPE\b": r"[(\\[][\\d, None]*[)\\]]",
    "…": r".+?",
}
"""What varies in a message of the page → the regular expression of what it stands for."""


class Row(NamedTuple):
    messages: tuple[str, ...]
    software: tuple[str, ...]
    command: str
    result: str

    def fitting(self, printed: str) -> tuple[str, ...]:
        return tuple(message for message in self.messages if re.search(expression(message), printed))


def spans(cell: str) -> tuple[str, ...]:
    return tuple(found[2] for found in SPAN.finditer(cell))


def expression(message: str) -> str:
    escaped = re.escape(message).replace(r"\ ", " ")
    for pattern, replacement in PLACEHOLDERS.items():
        escaped = re.sub(pattern, replacement, escaped)
    return escaped


def rows(page: str) -> list[Row]:
    found = []
    for table in page.split(HEAD)[1:]:
        for line in table.strip().splitlines()[1:]:
            if not line.startswith("|"):
                break
            messages, software, _, command, result = line.strip("| ").split(" | ")
            (run,) = spans(command)
            found.append(Row(spans(messages), tuple(software.split(", ")), run, result))
    return found


ROWS = rows(PAGE.read_text())


class Source(NamedTuple):
    """A file, in a folder of its own under the name that the commands of the page have for it.

    kind: "model" and "weights" of the record `of` of genuine Keras, weights with its architecture as "MODEL.json";
    "yaml" the same as "MODEL.yaml"; "script" the weights with the script of that time; "fixture" a file of fixtures/;
    "pointer" and "short" what is no whole file; "of tf-keras" and "of Keras 3" what that software saves today.
    """

    kind: str
    of: str = ""
    name: str = "FILE.h5"

    def write(self, folder: Path, software: dict[str, Software]) -> Path:
        path = folder / self.name
        if self.kind in ("model", "weights", "yaml", "script"):
            self._write_record(path)
        elif self.kind == "fixture":
            shutil.copy(FIXTURES / self.of, path)
        elif self.kind == "short":
            path.write_bytes((FIXTURES / self.of).read_bytes()[:1_000_000])
        elif self.kind == "pointer":
            path.write_text("version https://git-lfs.github.com/spec/v1\n")
        else:
            assert software[self.kind.removeprefix("of ")].message(self.of, path) is None
        return path

    def _write_record(self, path: Path) -> None:
        stack, family, name = self.of.rsplit("/", 2)
        record = genuine_layers.record(Case(stack, family, name))
        if self.kind == "model":
            record.write(path)
            return
        record.write_weights(path)
        if self.kind == "weights":
            (path.parent / "MODEL.json").write_text(record.config)
        elif self.kind == "yaml":  # as to_yaml of Keras did
            yaml = pytest.importorskip("yaml")
            (path.parent / "MODEL.yaml").write_text(yaml.dump(json.loads(record.config)))
        else:
            shutil.copy(ROOT / "reference" / "scripts" / f"{family}.py", path.parent / "SCRIPT.py")


class Reproduction(NamedTuple):
    software: str
    attempt: str
    source: Source


def models(software: str, *records: str, attempt: str = "load_model") -> list[Reproduction]:
    """Of Keras 1.0.6, which had no ``model.save``, from its JSON."""
    return [
        Reproduction(software, "model_from_json", Source("weights", record))
        if record.startswith(K10)
        else Reproduction(software, attempt, Source("model", record))
        for record in records
    ]


K06, K10, K11 = "keras-0.3.3-theano-0.8.2", "keras-1.0.6-theano-0.8.2", "keras-1.1.0-theano-0.8.2"
K12, K22 = "keras-1.2.2-theano-0.9.0", "keras-2.2.4-theano-1.0.5"

DIGITS = "digits-ror-3-wrn-10-2_keras-1.2.2/weights.h5"
CHECKPOINT = "pre-ror-3-10-checkpoint_keras-1.2.2/model.h5"
WEIGHTS = Source("fixture", DIGITS)
MODEL = Source("fixture", CHECKPOINT)
KERAS_0 = Source("weights", f"{K06}/dense/plain")
LSTM = Source("weights", f"{K12}/recurrent/lstm-last-th")
YAML = Source("yaml", f"{K12}/dense/functional-th")
LAMBDA = Source("model", f"{K22}/lambdas/double-th")
POINTER, SHORT = Source("pointer"), Source("short", DIGITS)
MNIST = Source("script", f"../scripts/{K12}/mnist_cnn_1/model-th")
LENET = Source("script", f"../scripts/{K12}/lenet_class/model-th")

REPRODUCTIONS = [
    # load_model and model_from_json
    *models("Keras 3", f"{K12}/merge/concat-image-axis-1-th"),
    *models("tf-keras", f"{K10}/merge_more/first-concat-th"),
    Reproduction("Keras 3", "load_model", MODEL),
    *models("Keras 3", f"{K11}/convolution1d/text-th"),
    *models("tf-keras", f"{K12}/deconvolution2d/same-3-by-2-th", f"{K12}/convolution2d/same-2-dilation-2-th"),
    *models("tf-keras", f"{K10}/old_layers/highway-no-bias-th", f"{K10}/old_layers/maxout-2-no-bias-th"),
    *models("tf-keras", f"{K10}/old_layers/time-distributed-dense-th"),
    *models("tf-keras", f"{K10}/advanced_activations/srelu-th", f"{K10}/advanced_activations/softplus-th"),
    *models("Keras 3", f"{K22}/locally_connected/1d-as-many-filters-as-steps-tf"),
    *models("Keras 3", f"{K22}/locally_connected/2d-plain-th", f"{K22}/advanced_activations/thresholded-th"),
    *models("Keras 3", f"{K22}/custom/scale-rows-th"),
    *models("tf-keras", f"{K22}/custom/scale-rows-th"),
    *models("Keras 3", f"{K11}/advanced_activations/prelu-image-th", f"{K10}/advanced_activations/softplus-th"),
    *models("Keras 3", f"{K10}/advanced_activations/prelu-conv-th", f"{K22}/sequences/video-th"),
    *models("Keras 3", f"{K12}/bidirectional/none-th", f"{K22}/time_distributed/dense-th"),
    Reproduction("tf-keras", "load_model", Source("of Keras 3", "save_functional")),
    Reproduction("Keras 3", "load_model", Source("of tf-keras", "save_lstm")),
    Reproduction("Keras 3", "load_model", Source("of tf-keras", "save_depthwise")),
    Reproduction("Keras 3", "load_model", Source("of tf-keras", "save_transposed")),
    Reproduction("tf-keras", "load_model", MODEL),
    *models("tf-keras", f"{K10}/flatten/image-dense-th", f"{K10}/normalization/epsilon-th"),
    *models("tf-keras", f"{K10}/embedding/flatten-th", f"{K11}/advanced_activations/prelu-image-th"),
    *models("Keras 3", f"{K12}/embedding/functional-th"),
    *models("Keras 3", f"{K11}/dense/functional-th", f"{K12}/stateful/functional-th"),
    *models("tf-keras", f"{K10}/recurrent/lstm-gpu-th", f"{K10}/recurrent/gru-gpu-th", f"{K10}/settings/dense-th"),
    Reproduction("Keras 3", "load_model_with_custom_objects", MODEL),
    *models("tf-keras", f"{K10}/convolution1d/same-2-by-1-th"),
    *models("Keras 3", f"{K22}/volumes/dropout-th"),
    Reproduction("Keras 3", "model_from_json", KERAS_0),
    Reproduction("tf-keras", "model_from_json", KERAS_0),
    Reproduction("Keras 3", "model_from_yaml", YAML),
    Reproduction("tf-keras", "model_from_yaml", YAML),
    Reproduction("Keras 3", "load_model", LAMBDA),
    Reproduction("Keras 3", "load_model_unsafely", LAMBDA),
    Reproduction("tf-keras", "load_model", LAMBDA),
    *models("tf-keras", f"{K12}/lambdas/double-th"),
    Reproduction("Keras 3", "load_model", WEIGHTS),
    Reproduction("tf-keras", "load_model", WEIGHTS),
    Reproduction("Keras 3", "load_model", Source("fixture", CHECKPOINT, "FILE")),
    Reproduction("Keras 3", "load_weights", Source("fixture", DIGITS, "FILE")),
    Reproduction("Keras 3", "load_model", Source("fixture", CHECKPOINT, "FILE.keras")),
    # load_weights and set_weights
    Reproduction("Keras 3", "load_weights", WEIGHTS),
    Reproduction("tf-keras", "load_weights", WEIGHTS),
    Reproduction("Keras 3", "load_weights_into_its_network", WEIGHTS),
    Reproduction("tf-keras", "load_weights_into_a_dense", Source("weights", f"{K12}/dense/plain-th")),
    Reproduction("Keras 3", "load_weights_into_an_lstm", LSTM),
    Reproduction("tf-keras", "load_weights_into_an_lstm", LSTM),
    Reproduction("Keras 3", "set_weights_of_an_lstm", LSTM),
    Reproduction("tf-keras", "set_weights_of_an_lstm", LSTM),
    Reproduction("Keras 3", "set_weights", WEIGHTS),
    Reproduction("tf-keras", "set_weights", WEIGHTS),
    Reproduction("Keras 3", "load_weights", Source("fixture", DIGITS, "FILE.weights.h5")),
    Reproduction("tf-keras", "load_weights", Source("fixture", DIGITS, "FILE.weights.h5")),
    # building the model again, and running it
    *models("Keras 3", f"{K22}/embedding/masked-th", f"{K22}/lengths/other-ordering-tf"),
    *models("Keras 3", f"{K22}/activation/elu-image-th", attempt="load_and_run"),
    *models(
        "Keras 3", f"{K22}/convolution1d/as-many-filters-as-steps-tf", f"{K22}/advanced_activations/prelu-image-tf"
    ),
    *models("Keras 3", f"{K22}/convolution1d/channels-first-same-th", f"{K22}/separable/depthwise-no-bias-th"),
    *models("Keras 3", f"{K22}/deconvolution2d/same-3x5-by-1-tf"),
    *models("Keras 3", f"{K22}/recurrent/lstm-initial-state-th", f"{K22}/nested/inner-of-two-inputs-th"),
    *models("Keras 3", f"{K22}/convolution2d/functional-th", attempt="load_and_run"),
    *models("tf-keras", f"{K22}/convolution2d/functional-th"),
    Reproduction("Keras 3", "convolve_its_input", MODEL),
    Reproduction("Keras 3", "pool_its_input", MODEL),
    Reproduction("tf-keras", "convolve_its_input", MODEL),
    Reproduction("tf-keras", "pool_its_input", MODEL),
    Reproduction("Keras 3", "old_conv", MNIST),
    Reproduction("Keras 3", "old_pooling", MNIST),
    Reproduction("Keras 3", "old_dense", MNIST),
    Reproduction("Keras 3", "run_script", MNIST),
    Reproduction("Keras 3", "run_script", LENET),
    # the file itself
    *(Reproduction(software, "load_model", POINTER) for software in ("Keras 3", "tf-keras")),
    *(Reproduction(software, "load_model", SHORT) for software in ("Keras 3", "tf-keras")),
    *(Reproduction("h5py", "by_h5py", source) for source in (POINTER, SHORT)),
]


class Dead(NamedTuple):
    """Why today's software does not print a message; and a file that the row's command is run on all the same."""

    reason: str
    source: Source


OLD_KERAS = "Keras 1 and 2 print it, which do not run on a Python of today"
NEWER = Source("of tf-keras", "save_functional")
NOT_REPRODUCED = {
    "Unknown layer: Functional": Dead("Keras 2.3 and tf.keras 2.2 print it; tf-keras knows the class", NEWER),
    "bad marshal data (unknown type code)": Dead(
        "of code of Python 3.6, which the records have, today's Python prints the other message of the row", LAMBDA
    ),
    "No model found in config file.": Dead(f"{OLD_KERAS}; the wording changed", WEIGHTS),
    "You are trying to load a weight file containing N layers into a model with M layers.": Dead(
        f"{OLD_KERAS}; the wording changed", WEIGHTS
    ),
    "Layer weight shape SHAPE not compatible with provided weight shape SHAPE": Dead(
        f"{OLD_KERAS}; the wording changed", WEIGHTS
    ),
    "Dimension N in both shapes must be equal, but are N and M": Dead("of TensorFlow 1", WEIGHTS),
    "Optimizer weight shape SHAPE not compatible with provided weight shape SHAPE": Dead(OLD_KERAS, MODEL),
    "'str' object has no attribute 'decode'": Dead(OLD_KERAS, WEIGHTS),
    "Unable to open file (file signature not found)": Dead("HDF5 1.14 words it otherwise", POINTER),
    "Unable to open file (truncated file: eof = N, sblock->base_addr = N, stored_eof = M)": Dead(
        "HDF5 1.14 words it otherwise", SHORT
    ),
}


class Printed(NamedTuple):
    by: Reproduction
    message: str | None
    row: Row | None


class Ran(NamedTuple):
    """A row's command on a file: the folder, the exit code, the output."""

    row: Row
    source: Source
    folder: Path
    code: int
    printed: str


@pytest.fixture(scope="module")
def software(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Software]]:
    if not all(map(find_spec, MODULES.values())):  # importing them would take this process seconds for nothing
        pytest.skip("Keras 3 and tf-keras are not both installed")
    with ExitStack() as running:
        home = tmp_path_factory.mktemp("home")
        started = {name: running.enter_context(Software(name, home)) for name in MODULES}
        yield {**started, "h5py": started["Keras 3"]}


@pytest.fixture(scope="module")
def printed(software: dict[str, Software], tmp_path_factory: pytest.TempPathFactory) -> list[Printed]:
    found = []
    for by in REPRODUCTIONS:
        path = by.source.write(tmp_path_factory.mktemp("message"), software)
        message = software[by.software].message(by.attempt, path)
        row = next((row for row in ROWS if message is not None and row.fitting(message)), None)
        found.append(Printed(by, message, row))
    return found


@pytest.fixture(scope="module")
def ran(
    printed: list[Printed], software: dict[str, Software], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[Row, Source], Ran]:
    """Each row's command on each file that made its message, once."""
    wanted = [(found.row, found.by.source) for found in printed if found.row is not None]
    wanted += [(row, NOT_REPRODUCED[text].source) for row in ROWS for text in row.messages if text in NOT_REPRODUCED]
    done = {}
    for row, source in dict.fromkeys(wanted):
        folder = tmp_path_factory.mktemp("command")
        source.write(folder, software)
        program, *arguments = shlex.split(row.command)
        assert program == "ror-port"
        done[row, source] = Ran(row, source, folder, *software["Keras 3"].ror_port(arguments, folder))
    return done


def test_the_page_has_its_tables() -> None:
    assert PAGE.read_text().count(HEAD) == 4
    assert len(ROWS) > 40


def test_every_message_that_is_printed_is_on_the_page(printed: list[Printed]) -> None:
    missing = [f"{found.by}: {found.message}" for found in printed if found.row is None]
    assert not missing, "\n".join(missing)


def test_every_message_of_the_page_is_printed_or_it_is_known_why_not(printed: list[Printed]) -> None:
    fitting = {text for found in printed if found.row is not None for text in found.row.fitting(found.message or "")}
    assert [text for row in ROWS for text in row.messages if text not in fitting | NOT_REPRODUCED.keys()] == []
    assert [text for text in NOT_REPRODUCED if text in fitting] == [], "is printed, and so no exception"
    assert [text for text in NOT_REPRODUCED if text not in {text for row in ROWS for text in row.messages}] == []


def test_every_row_names_the_software_that_prints_its_message(printed: list[Printed]) -> None:
    today = ("Keras 3", "tf-keras", "h5py")
    wrong = []
    for row in ROWS:
        printing = {found.by.software for found in printed if found.row == row}
        if printing != {name for name in row.software if name in today}:
            wrong.append(f"{row.messages}: {sorted(printing)}")
    assert not wrong, "\n".join(wrong)


def wrong(ran: Ran) -> Sequence[str]:
    """What a row states to come out, and does not: files, else words of what is printed."""
    stated = re.search(r"\bexit code (\d+)", ran.row.result)
    code = int(stated[1]) if stated else 0
    found = [] if ran.code == code else [f"exit code {ran.code}: {ran.printed}"]
    first = spans(ran.row.result)[:1]
    if code:
        return [*found, *(text for text in first if text not in ran.printed)]
    if "verified in Keras" not in ran.printed:
        found.append(f"not verified: {ran.printed}")
    return [*found, *(name for name in first if not (ran.folder / name).exists())]


def test_every_command_gives_what_the_page_states(ran: dict[tuple[Row, Source], Ran]) -> None:
    found = [f"{done.row.command}, {source}: {fault}" for (_, source), done in ran.items() for fault in wrong(done)]
    assert not found, "\n".join(found)
    assert {row for row, _ in ran} == set(ROWS)


def test_what_keras_2_could_not_open_it_opens_then(
    ran: dict[tuple[Row, Source], Ran], software: dict[str, Software]
) -> None:
    converted = [done.folder / "FILE.tf.h5" for done in ran.values() if "--format h5" in done.row.command]
    assert converted
    for name in MODULES:
        assert [software[name].message("load_model", path) for path in converted] == [None] * len(converted)
