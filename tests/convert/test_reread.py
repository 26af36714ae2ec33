"""What was written is read again, and is not kept where a byte of it was lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ror_port.convert import write as convert
from ror_port.convert.reread import Ledger
from ror_port.errors import NotACheckpoint, OutputError, UnreadableFile
from ror_port.formats import open_checkpoint, safetensors
from ror_port.formats.format import by_name
from ror_port.safety import parsing
from ror_port.safety.child import run_in_child
from ror_port.source.port import Port, load

NAMES = {
    "keras": "net.keras",
    "weights": "net.weights.h5",
    "h5": "net.h5",
    "safetensors": "net",
    "pt": "net.pt",
    "onnx": "net.onnx",
    "theano": "back.h5",
}


def write(port: Port, format: str, folder: Path, **options) -> None:
    convert.write(port, folder / NAMES[format], by_name(format), **options)


@pytest.mark.parametrize("format", NAMES)
def test_only_what_was_just_written_is_read_without_a_child(pre_ror, tmp_path, monkeypatch, format) -> None:
    children = []

    def counted(work: Callable[[], Any], seconds: int) -> Any:
        children.append(work)
        return run_in_child(work, seconds)

    monkeypatch.setattr(parsing, "run_in_child", counted)
    with load(pre_ror.weights) as port:
        assert len(children) == 1
        write(port, format, tmp_path)
    assert len(children) == 1
    with open_checkpoint(tmp_path / NAMES[format]):
        assert len(children) == (1 if format == "safetensors" else 2)  # no library parses safetensors


def test_a_trusted_file_is_not_searched_for_damage(copy) -> None:
    path, file = copy
    address = file["dense_1/dense_1_W"].id.get_offset().to_bytes(8, "little")
    file.close()
    content = path.read_bytes()
    path.write_bytes(content.replace(address, (content.index(b"TREE") - 8).to_bytes(8, "little")))
    with pytest.raises(NotACheckpoint, match="overlap a structure"):
        open_checkpoint(path)
    with open_checkpoint(path, trusted=True) as checkpoint:
        assert len(list(checkpoint.tensors)) == 94


@pytest.mark.parametrize("format", NAMES)
def test_a_lost_byte_is_detected(pre_ror, tmp_path, monkeypatch, format) -> None:
    compare = Ledger.compare

    def lose(ledger: Ledger, written: Path, *rest) -> None:
        path = written / safetensors.WEIGHTS if written.is_dir() else written
        content = bytearray(path.read_bytes())
        content[content.index(gamma) + 5] ^= 4
        path.write_bytes(content)
        compare(ledger, written, *rest)

    monkeypatch.setattr(Ledger, "compare", lose)
    with load(pre_ror.weights) as port:
        gamma = port.stored["head/bn/gamma"].read().tobytes()
        with pytest.raises(OutputError, match=r"head/bn/gamma|cannot be read again"):
            write(port, format, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_model_whose_description_is_damaged_is_not_kept(pre_ror, tmp_path, monkeypatch) -> None:
    compare = Ledger.compare

    def damage(ledger: Ledger, written: Path, *rest) -> None:
        for offset in (*range(0, 3000, 67), *range(written.stat().st_size - 400, written.stat().st_size, 13)):
            content = written.read_bytes()
            written.write_bytes(content[:offset] + b"\xff" + content[offset + 1 :])
            with suppress(OutputError):  # what describes no tensor may pass; nothing may end otherwise
                compare(ledger, written, *rest)
            written.write_bytes(content[:offset])
            with pytest.raises(OutputError):
                compare(ledger, written, *rest)
            written.write_bytes(content)
        raise OutputError("tried")

    monkeypatch.setattr(Ledger, "compare", damage)
    with load(pre_ror.weights) as port, pytest.raises(OutputError, match="tried"):
        write(port, "onnx", tmp_path)


def test_a_tensor_of_another_type_is_detected(pre_ror, tmp_path) -> None:
    with load(pre_ror.weights) as port:
        write(port, "weights", tmp_path)
        ledger = Ledger()
        for parameter, array in port.parameters():
            ledger.note(parameter, array.shape, np.array(array, "float64", order="C"))
        with pytest.raises(OutputError, match="94 tensors differ from what was to be written"):
            ledger.compare(tmp_path / NAMES["weights"])


def test_a_file_that_changes_meanwhile_is_not_converted(copy, tmp_path) -> None:
    path, file = copy
    file.close()

    def write_to_it(_: Path) -> None:
        with path.open("r+b") as source:
            source.seek(-1, os.SEEK_END)
            source.write(b"\1")

    with load(path) as port, pytest.raises(UnreadableFile, match="was changed while it was read"):
        write(port, "weights", tmp_path, check=write_to_it)
    assert os.listdir(tmp_path) == ["weights.h5"]


@pytest.mark.parametrize("change", [lambda p: p.write_text("{}"), lambda p: p.unlink(), lambda p: p.rename(f"{p}2")])
def test_a_folder_in_which_a_file_changes_is_not_converted(pre_ror, tmp_path, change) -> None:
    with load(pre_ror.weights) as port:
        write(port, "safetensors", tmp_path)
    source = tmp_path / NAMES["safetensors"]
    (tmp_path / "out").mkdir()
    with load(source) as port, pytest.raises(UnreadableFile, match="was changed while it was read"):
        write(port, "weights", tmp_path / "out", check=lambda _: change(source / "config.json"))
    assert os.listdir(tmp_path / "out") == []


def test_bad_values_that_were_admitted_are_written_as_they_are(copy, tmp_path) -> None:
    path, file = copy
    odd = np.array([0x7FC00123, 0xFF800000], np.uint32).view(np.float32)  # a NaN with a payload, minus infinity
    file["dense_1/dense_1_b"][:2] = odd
    file.close()
    with load(path, bad_values=True) as port:
        for format in ("keras", "safetensors"):
            write(port, format, tmp_path)
        assert port.admitted == {"dense_1_b": "NaN"}
    with load(tmp_path / NAMES["keras"], bad_values=True) as port:
        assert port.stored["head/dense/bias"].read()[:2].tobytes() == odd.tobytes()
