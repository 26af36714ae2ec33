"""Many files in one run: what is done, what is a duplicate, what is left to do; also after an end at any moment."""

import json
import os
import shutil
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import jsonschema
import numpy as np
import pytest

import ror_port
from archives import archive, files
from commands import run
from gates import HANGS, Gate, wait_until_done, workers
from genuine_layers import Case, record
from ror_port.check.progress import Progress
from ror_port.errors import OutputError, UsageError
from ror_port.formats import checkpoint
from ror_port.many import ledger
from ror_port.many.account import SETTLED, Work
from ror_port.many.run import Run
from ror_port.many.sources import Source
from ror_port.many.workers import Lost, Workers

MODELS = [Case("keras-2.2.4-theano-1.0.5", "dense", name) for name in ("two-th", "plain-th")]
OLD = Case("keras-0.3.3-theano-0.8.2", "dense", "tanh")


def model(path: Path, number: int = 0) -> Path:
    """A genuine full model, one of two."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record(MODELS[number]).write(path)
    return path


def weights(path: Path, activation: str = "tanh", beside: str = "model.json") -> Path:
    """Genuine weights of Keras 0.3, with the architecture beside them, in which the activation may be another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = record(OLD)
    kept.write_weights(path)
    assert '"tanh"' in kept.config
    path.with_name(beside).write_text(kept.config.replace('"tanh"', json.dumps(activation)))
    return path


def convert(zoo: Path, out: Path, **options) -> dict[str, dict]:
    """Path below the folder → row."""
    report = ror_port.convert_many([zoo], out, **{"verify": False, **options})
    return {os.path.relpath(row["file"], zoo): row for row in report}


def statuses(rows: dict[str, dict]) -> dict[str, str]:
    return {name: row["status"] for name, row in rows.items()}


@pytest.fixture
def zoo(tmp_path) -> Path:
    return tmp_path / "zoo"


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def test_rows_state_what_a_file_is_and_what_became_of_it(zoo, out) -> None:
    model(zoo / "a" / "one.h5")
    weights(zoo / "b" / "two.h5")
    (zoo / "broken.h5").write_bytes(b"<html>")
    rows = convert(zoo, out, format="onnx", verify=True, certify=True)
    for row in rows.values():
        jsonschema.validate(row, ledger.schema())
    one, two, broken = rows["a/one.h5"], rows["b/two.h5"], rows["broken.h5"]
    assert (one["status"], one["era"], one["architecture"]["where"]) == ("converted", "Keras 2", "inside")
    assert {"name": "backend", "value": "theano"}.items() <= next(
        f for f in one["facts"] if f["name"] == "backend"
    ).items()
    assert one["written"]["path"] == "a/one.onnx"
    assert one["verification"]["passed"] is True
    assert one["verification"]["relative_l2"] <= one["verification"]["tolerance"]
    assert json.loads((out / one["certificate"]).read_text())["passed"] is True
    assert (two["era"], two["architecture"]) == ("Keras 0.x", {"where": "beside", "file": "model.json"})
    assert (broken["status"], broken["exit_code"], broken["error"]) == ("refused", 3, "UnreadableFile")
    assert broken["reason"].startswith("an HTML or XML page")
    assert {path.name for path in files(out)} == {
        *("one.onnx", "one.onnx.certificate.json", "one.onnx.certificate.html"),
        *("two.onnx", "two.onnx.certificate.json", "two.onnx.certificate.html"),
    }


def test_a_file_that_is_there_twice_is_converted_once(zoo, out) -> None:
    model(zoo / "a.h5")
    model(zoo / "b" / "again.h5")
    (zoo / "c.h5").symlink_to("a.h5")
    model(zoo / "other.h5", 1)
    (zoo / "x.h5").write_bytes(b"broken")
    (zoo / "y.h5").write_bytes(b"broken")
    rows = convert(zoo, out)
    assert list(map(str, files(out))) == ["a.keras", "other.keras"]
    assert {name: os.path.relpath(row["duplicate_of"], zoo) for name, row in rows.items() if row["duplicate_of"]} == {
        **{"b/again.h5": "a.h5", "c.h5": "a.h5"},
        "y.h5": "x.h5",
    }
    assert rows["b/again.h5"]["written"] == rows["a.h5"]["written"]
    assert (rows["y.h5"]["status"], rows["y.h5"]["exit_code"]) == ("duplicate", 3)


def test_weights_beside_another_architecture_are_no_duplicates(zoo, out) -> None:
    """The same bytes are another network there: its outputs would be silently wrong."""
    weights(zoo / "a" / "w.h5")
    weights(zoo / "b" / "w.h5", "relu")
    weights(zoo / "c" / "w.h5", "relu")
    weights(zoo / "d" / "w.h5", "relu", beside="another.json")
    rows = convert(zoo, out)
    assert len({row["sha256"] for row in rows.values()}) == 1
    assert statuses(rows) == {**dict.fromkeys(("a/w.h5", "b/w.h5", "d/w.h5"), "converted"), "c/w.h5": "duplicate"}
    assert rows["c/w.h5"]["duplicate_of"] == str(zoo / "b/w.h5")
    assert (out / "a/w.keras").read_bytes() != (out / "b/w.keras").read_bytes()


def test_what_lies_beside_a_model_does_not_matter(zoo, out) -> None:
    model(zoo / "a" / "m.h5")
    model(zoo / "b" / "m.h5").with_name("history.json").write_text("[]")
    assert statuses(convert(zoo, out)) == {"a/m.h5": "converted", "b/m.h5": "duplicate"}


def test_duplicates_of_what_failed_are_tried_themselves(zoo, out, monkeypatch) -> None:
    for name in "abc":
        model(zoo / f"{name}.h5")
    monkeypatch.setattr(Workers, "finished", losing("a.h5"))
    rows = convert(zoo, out)
    assert statuses(rows) == {"a.h5": "failed", "b.h5": "converted", "c.h5": "duplicate"}
    assert (rows["a.h5"]["error"], rows["a.h5"]["reason"]) == ("Killed", "lost")
    assert rows["c.h5"]["duplicate_of"] == str(zoo / "b.h5")


def losing(name: str):
    """Stands for `Workers.finished`, in this process; the worker dies of one file."""

    def finished(_, function, calls):
        for call in calls:
            lost = function.__name__ == "account" and call[1].endswith(name)
            yield call, Lost("lost") if lost else function(*call)

    return finished


def content(folder: Path) -> dict[Path, bytes]:
    return {path: (folder / path).read_bytes() for path in files(folder)}


def marks(folder: Path) -> dict[Path, tuple[int, ...]]:
    """Output → what is another after it was written again; a number of an inode alone may be given again."""
    states = {path: (folder / path).stat() for path in files(folder)}
    return {path: (state.st_ino, state.st_mtime_ns, state.st_ctime_ns) for path, state in states.items()}


def test_what_is_done_is_not_done_again(zoo, out) -> None:
    model(zoo / "a.h5")
    model(zoo / "b.h5", 1)
    model(zoo / "again.h5")
    (zoo / "broken.h5").write_bytes(b"broken")
    convert(zoo, out)
    before, report = marks(out), (out / "report.jsonl").read_bytes()
    convert(zoo, out, skip_done=True)
    assert marks(out) == before
    assert (out / "report.jsonl").read_bytes() == report
    model(zoo / "new.h5", 1)
    rows = convert(zoo, out, skip_done=True)
    assert marks(out) == before
    assert rows["new.h5"]["duplicate_of"] == str(zoo / "b.h5")


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda at: model(at / "zoo/a.h5", 1), {}),
        (lambda at: (at / "out/a.keras").unlink(), {}),
        (lambda at: (at / "out/a.keras").write_bytes(b"cut off"), {"force": True}),
        (None, {"logits": True}),
        (None, {"keras": "2.2.4"}),
    ],
    ids=["content", "output gone", "output changed", "option", "statement"],
)
def test_what_changed_is_done_again(zoo, out, change, options) -> None:
    model(zoo / "a.h5")
    model(zoo / "b.h5", 1)
    convert(zoo, out)
    before = marks(out)[Path("a.keras")]
    if change:
        change(zoo.parent)
    rows = convert(zoo, out, skip_done=True, **options)
    assert rows["a.h5"]["status"] in ("converted", "duplicate")
    assert rows["a.h5"]["duplicate_of"] or marks(out)[Path("a.keras")] != before
    assert rows["a.h5"]["run"]["options"].items() >= {k: v for k, v in options.items() if k != "force"}.items()


def test_another_version_does_it_again(zoo, out, monkeypatch) -> None:
    model(zoo / "a.h5")
    convert(zoo, out)
    before = marks(out)
    monkeypatch.setattr("ror_port.many.account.__version__", "0.1.1")
    assert convert(zoo, out, skip_done=True)["a.h5"]["run"]["ror_port"] == "0.1.1"
    assert marks(out) != before


def test_an_architecture_that_is_added_is_seen(zoo, out) -> None:
    path = weights(zoo / "w.h5")
    beside = path.with_name("model.json").rename(zoo.parent / "model.json")
    assert statuses(convert(zoo, out)) == {"w.h5": "refused"}
    shutil.move(beside, zoo)
    assert statuses(convert(zoo, out, skip_done=True)) == {"w.h5": "converted"}
    weights(zoo / "w.h5", "relu")
    before = marks(out)
    assert statuses(convert(zoo, out, skip_done=True)) == {"w.h5": "converted"}
    assert marks(out) != before


def test_an_output_that_is_not_ours_is_not_replaced(zoo, out) -> None:
    model(zoo / "a.h5")
    convert(zoo, out)
    (out / "a.keras").write_bytes(b"what somebody else wrote")
    row = convert(zoo, out, skip_done=True)["a.h5"]
    assert (row["status"], row["exit_code"], row["error"]) == ("failed", 8, "OutputError")
    assert "exists already" in row["reason"]
    assert (out / "a.keras").read_bytes() == b"what somebody else wrote"
    assert convert(zoo, out, skip_done=True, force=True)["a.h5"]["status"] == "converted"


def test_an_output_whose_row_is_missing_is_ours(zoo, out) -> None:
    """It was put in its place, and the run killed, before the row was there."""
    model(zoo / "a.h5")
    convert(zoo, out)
    report = out / "report.jsonl"
    (out / ledger.JOURNAL).write_text(json.dumps({"begun": str(zoo / "a.h5"), "output": "a.keras"}) + "\n" + '{"ledg')
    report.unlink()
    assert statuses(convert(zoo, out, skip_done=True)) == {"a.h5": "converted"}
    assert not (out / ledger.JOURNAL).exists()


def test_a_ledger_is_neither_replaced_nor_shared_unasked(zoo, out) -> None:
    model(zoo / "a.h5")
    convert(zoo, out)
    with pytest.raises(OutputError, match="exists already; skip_done=True goes on with it, force=True replaces it"):
        convert(zoo, out)
    convert(zoo, out, force=True)
    with ledger.opened(out, go_on=True), pytest.raises(OutputError, match="another run is at work there"):
        convert(zoo, out, skip_done=True)


def test_rows_of_other_files_are_kept(zoo, out) -> None:
    model(zoo / "a.h5")
    convert(zoo, out)
    (zoo / "a.h5").rename(zoo / "b.h5")
    rows = convert(zoo, out, skip_done=True)
    assert statuses(rows) == {"a.h5": "converted", "b.h5": "converted"}


def test_folders_without_outputs_are_not_made(zoo, out) -> None:
    (zoo / "x" / "y").mkdir(parents=True)
    (zoo / "x" / "y" / "broken.h5").write_bytes(b"broken")
    convert(zoo, out)
    assert sorted(os.listdir(out)) == ["report.html", "report.jsonl"]


def test_a_folder_that_is_a_checkpoint_may_be_the_current_one(zoo, out, monkeypatch) -> None:
    """It has JSON in it, and no folder that it lies in by that name."""
    model(zoo / "a.h5")
    with ror_port.load(zoo / "a.h5") as port:
        ror_port.save(port, zoo / "net", format="safetensors", verify=False)
    (zoo / ".json").write_text("no architecture")
    monkeypatch.chdir(zoo / "net")
    rows = ror_port.convert_many([".", "../a.h5"], out, format="onnx", verify=False)
    assert [row["status"] for row in rows] == ["converted", "converted"]


def test_options_are_refused_before_anything_is_written(zoo, out) -> None:
    model(zoo / "a.h5")
    for options in ({"format": "docx"}, {"dtype": "float64"}, {"certify": True}, {"backend": "cntk"}):
        with pytest.raises(UsageError):
            convert(zoo, out, **options)
    assert not out.exists()


@pytest.mark.parametrize(
    "executor", [lambda: ThreadPoolExecutor(2), lambda: ProcessPoolExecutor(2, get_context("spawn"))]
)
def test_any_executor_gives_the_same_ledger(zoo, tmp_path, executor) -> None:
    archive(zoo, 40)
    convert(zoo, tmp_path / "own", jobs=2)
    with executor() as given:
        convert(zoo, tmp_path / "given", executor=given)
    assert content(tmp_path / "given") == content(tmp_path / "own")
    for name in ("report.jsonl", "report.html"):
        assert (tmp_path / "given" / name).read_bytes() == (tmp_path / "own" / name).read_bytes()


RUN = """
import sys
import ror_port
ror_port.convert_many([sys.argv[1]], sys.argv[2], verify=False, jobs=2, skip_done=True)
"""


class Twice(NamedTuple):
    """An archive, the ledger of a run that nothing disturbed, a gate for another run, and where that writes."""

    zoo: Path
    undisturbed: Path
    gate: Gate
    script: Path
    out: Path

    def ensure_same(self) -> None:
        assert content(self.out) == content(self.undisturbed)
        assert (self.out / "report.jsonl").read_bytes() == (self.undisturbed / "report.jsonl").read_bytes()
        assert not (self.out / ledger.JOURNAL).exists()


@pytest.fixture
def twice(zoo, tmp_path) -> Twice:
    archive(zoo, 60)
    convert(zoo, tmp_path / "undisturbed", jobs=2)
    script = tmp_path / "run.py"
    script.write_text(RUN)
    return Twice(zoo, tmp_path / "undisturbed", Gate(tmp_path, zoo), script, tmp_path / "out")


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_a_run_that_is_killed_goes_on_as_if_nothing_had_been(twice, part) -> None:
    last = twice.gate.open(part)
    with twice.gate.started(twice.script, twice.zoo, twice.out) as process:
        wait_until_done(twice.out, twice.undisturbed, last, process)
    assert not (twice.out / "report.jsonl").exists()
    twice.gate.remove()
    with twice.gate.started(twice.script, twice.zoo, twice.out) as process:
        assert process.wait(HANGS) == 0
    twice.ensure_same()


def test_a_worker_that_is_killed_costs_nothing_that_another_try_gives(twice) -> None:
    last = twice.gate.open(0.5)
    with twice.gate.started(twice.script, twice.zoo, twice.out) as process:
        wait_until_done(twice.out, twice.undisturbed, last, process)
        os.kill(workers(process)[0], signal.SIGKILL)
        twice.gate.remove()
        assert process.wait(HANGS) == 0
    twice.ensure_same()


def test_what_was_settled_is_not_tried_again(zoo, out) -> None:
    """And what failed for a reason outside of the file is."""
    assert set(SETTLED) == {2, 3, 4, 5, 6, 7}
    zoo.mkdir()
    (zoo / "broken.h5").write_bytes(b"broken")
    convert(zoo, out)
    with ledger.opened(out, go_on=True) as book, Workers() as workers:
        (row,) = book
        source = Source(str(zoo / "broken.h5"), Path("broken.h5"), 6)
        run = Run([source], work_of(row), book, workers)
        assert [each["status"] for each in run.rows()] == ["refused"]
        assert run.kept == 1
        book.add({**row, "status": "failed", "exit_code": 8})
        run = Run([source], work_of(row), book, workers)
        assert [each["status"] for each in run.rows()] == ["refused"]
        assert run.kept == 0


def work_of(row: dict) -> Work:
    return Work(**row["run"]["options"])


def test_a_name_that_states_the_backend_makes_another_file(zoo, out, pre_ror) -> None:
    """As those of keras.applications do: the same bytes are read with other kernels."""
    zoo.mkdir()
    for name in ("a.h5", "a_tf_kernels.h5", "b.h5"):
        (zoo / name).write_bytes(pre_ror.weights.read_bytes())
    rows = convert(zoo, out)
    assert statuses(rows) == {"a.h5": "converted", "a_tf_kernels.h5": "converted", "b.h5": "duplicate"}
    assert rows["b.h5"]["duplicate_of"] == str(zoo / "a.h5")


def test_what_may_pass_is_tried_again(zoo, out, monkeypatch) -> None:
    """A file that changed while it was read, a process that was killed, a package that was missing, a network."""
    path = model(zoo / "a.h5")
    model(zoo / "b.h5")
    monkeypatch.setattr(Workers, "finished", in_this_process)
    real = checkpoint.Checkpoint.check_unchanged

    def changed(self) -> None:
        if self.path.name == "a.h5":
            self.stamp = ((0,),)
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoint, "check_unchanged", changed)
        rows = convert(zoo, out)
    assert (rows["a.h5"]["status"], rows["a.h5"]["exit_code"]) == ("failed", 3)
    assert rows["b.h5"]["status"] == "converted", "it is not that of the file that failed"
    assert convert(zoo, out, skip_done=True)["a.h5"]["status"] == "duplicate"
    assert path.exists()


def in_this_process(_, function, calls):
    for call in calls:
        yield call, function(*call)


def test_a_file_beside_that_changes_meanwhile_is_noticed(zoo, out, monkeypatch) -> None:
    path = weights(zoo / "w.h5")

    def finished(_, function, calls):
        for call in calls:
            row = function(*call)
            if function.__name__ == "account":
                weights(path, "relu")  # after it was read, and before its row is there
            yield call, row

    with monkeypatch.context() as patch:
        patch.setattr(Workers, "finished", finished)
        row = convert(zoo, out)["w.h5"]
    assert (row["status"], row["reason"].partition(";")[0]) == (
        "failed",
        "a file beside it was changed while it was read",
    )
    assert convert(zoo, out, skip_done=True)["w.h5"]["status"] == "converted"
    assert b'"relu"' in (out / "w.keras").read_bytes()


def test_what_a_script_imports_may_have_changed(zoo, out, tmp_path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "from keras.models import Sequential\nfrom keras.layers import Dense\nfrom settings import ACTIVATION\n"
    )
    with script.open("a") as file:
        file.write("model = Sequential([Dense(4, input_dim=5, activation='tanh'), Dense(3, activation=ACTIVATION)])\n")
    for activation in ("softmax", "softsign"):
        (tmp_path / "settings.py").write_text(f"ACTIVATION = {activation!r}\n")
        zoo.mkdir(exist_ok=True)
        record(MODELS[0]).write_weights(zoo / "w.h5")
        row = convert(zoo, out, model=str(script), skip_done=activation == "softsign")["w.h5"]
        assert row["status"] == "converted", row["reason"]
        assert activation.encode() in (out / "w.keras").read_bytes()


def test_a_link_to_what_has_another_content_by_now_is_none(zoo, out) -> None:
    model(zoo / "a.h5")
    model(zoo / "b.h5")
    convert(zoo, out)
    model(zoo / "a.h5", 1)
    ror_port.convert_many([zoo / "a.h5"], out, verify=False, skip_done=True)
    rows = {os.path.relpath(row["file"], zoo): row for row in ledger.Report(out)}
    assert (rows["b.h5"]["status"], rows["b.h5"]["written"]) == ("failed", None)
    assert statuses(convert(zoo, out, skip_done=True)) == {"a.h5": "converted", "b.h5": "converted"}


def test_a_forced_run_that_was_interrupted_goes_on(zoo, out) -> None:
    model(zoo / "a.h5")
    model(zoo / "b.h5", 1)
    convert(zoo, out)
    with ledger.opened(out, force=True):
        pass  # killed before its first row
    (out / "report.jsonl").unlink()
    assert statuses(convert(zoo, out, skip_done=True)) == {"a.h5": "converted", "b.h5": "converted"}


def test_an_output_of_other_content_stays_ours(zoo, out) -> None:
    model(zoo / "a.h5")
    model(zoo / "b.h5", 1)
    convert(zoo, out)
    model(zoo / "b.h5")
    assert statuses(convert(zoo, out, skip_done=True)) == {"a.h5": "converted", "b.h5": "duplicate"}
    model(zoo / "b.h5", 1)
    assert statuses(convert(zoo, out, skip_done=True)) == {"a.h5": "converted", "b.h5": "converted"}


def test_the_same_folder_by_another_path_is_the_same(zoo, out, monkeypatch) -> None:
    model(zoo / "a.h5")
    convert(zoo, out)
    before = marks(out)
    monkeypatch.chdir(zoo.parent)
    report = ror_port.convert_many("zoo", "out", verify=False, skip_done=True)
    assert [(row["file"], row["status"]) for row in report] == [("zoo/a.h5", "converted")]
    assert marks(out) == before


def test_a_new_link_to_a_file_is_a_duplicate_of_it(zoo, out) -> None:
    model(zoo / "b.h5")
    convert(zoo, out)
    (zoo / "a.h5").symlink_to("b.h5")
    (zoo / "c.h5").symlink_to("b.h5")
    rows = convert(zoo, out, skip_done=True)
    assert statuses(rows) == {"a.h5": "duplicate", "b.h5": "converted", "c.h5": "duplicate"}
    assert list(map(str, files(out))) == ["b.keras"]


def test_an_output_that_appears_meanwhile_is_left_alone(zoo, out, monkeypatch) -> None:
    for number, name in enumerate(("a.h5", "b.h5")):
        model(zoo / name, number)

    def finished(_, function, calls):
        for call in calls:
            yield call, function(*call)
            if function.__name__ == "account":
                (out / "b.keras").write_text("mine")

    monkeypatch.setattr(Workers, "finished", finished)
    assert statuses(convert(zoo, out)) == {"a.h5": "converted", "b.h5": "failed"}
    assert (out / "b.keras").read_text() == "mine"


def test_what_is_not_ours_is_not_replaced_whatever_it_is(zoo, out) -> None:
    model(zoo / "a.h5")
    out.mkdir()
    (out / "a.onnx.certificate.json").write_text("mine")
    (row,) = convert(zoo, out, format="onnx", verify=True, certify=True).values()
    assert (row["error"], (out / "a.onnx.certificate.json").read_text()) == ("OutputError", "mine")
    shutil.rmtree(out)
    out.mkdir()
    (out / "report.html").write_text("mine")
    with pytest.raises(OutputError, match=r"report\.html: exists already"):
        convert(zoo, out, skip_done=True)


def test_a_file_that_is_read_is_never_an_output(tmp_path, out) -> None:
    model(tmp_path / "c.hdf5")
    before = model(out / "c.tf.h5", 1).read_bytes()
    options = ("--format", "h5", "--no-verify", "--force", "-o", "out")
    done = run("theano-to-tf", "--files-from", "-", *options, cwd=tmp_path, input=f"c.hdf5\n{out / 'c.tf.h5'}\n")
    assert done.returncode == 8
    assert "out/c.tf.h5: is one of the files that are read, which are never changed" in done.stdout
    assert (out / "c.tf.h5").read_bytes() == before


def test_a_certificate_that_is_gone_is_missed(zoo, out) -> None:
    model(zoo / "a.h5")
    convert(zoo, out, format="onnx", verify=True, certify=True)
    (out / "a.onnx.certificate.json").unlink()
    convert(zoo, out, format="onnx", verify=True, certify=True, skip_done=True)
    assert (out / "a.onnx.certificate.json").is_file()


def test_an_executor_of_the_callers_own_is_left_as_it_is(zoo, out) -> None:
    model(zoo / "a.h5")

    class Stopping(Progress):
        def track(self, items, count, what):
            raise KeyboardInterrupt

    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(abs, -1).result() == 1
        with pytest.raises(KeyboardInterrupt):
            convert(zoo, out, executor=pool, progress=Stopping())
        assert pool.submit(abs, -2).result() == 2
    assert statuses(convert(zoo, out, executor=pool, skip_done=True)) == {"a.h5": "converted"}, "it was shut down"


def test_numbers_of_numpy_can_be_stated(zoo, out) -> None:
    model(zoo / "a.h5")
    row = convert(zoo, out, epsilon=np.float32(0.5))["a.h5"]
    assert row["run"]["options"]["epsilon"] == 0.5
