"""The example for Dask: a cluster gives the ledger that one process gives, though worker and client are killed."""

import os
import signal
import subprocess
import sys

import ror_port
from archives import archive, files
from gates import HANGS, Gate, wait_until_done, workers
from genuine import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "dask_folder.py"


def test_a_cluster_whose_worker_and_then_client_are_killed_goes_on(tmp_path) -> None:
    zoo, undisturbed, out = (tmp_path / name for name in ("zoo", "undisturbed", "out"))
    archive(zoo, 60)
    ror_port.convert_many([zoo], undisturbed, verify=False)
    gate = Gate(tmp_path, zoo)
    last = gate.open(0.3)
    with gate.started(EXAMPLE, zoo, out) as process:
        wait_until_done(out, undisturbed, last, process, but=4)
        os.kill(workers(process)[0], signal.SIGKILL)
        last = gate.open(0.6)
        wait_until_done(out, undisturbed, last, process, but=4)
    assert not (out / "report.jsonl").exists()
    gate.remove()
    with gate.started(EXAMPLE, zoo, out) as process:
        assert process.wait(HANGS) == 0
    assert {path: (out / path).read_bytes() for path in files(out)} == {
        path: (undisturbed / path).read_bytes() for path in files(undisturbed)
    }
    assert (out / "report.jsonl").read_bytes() == (undisturbed / "report.jsonl").read_bytes()


def test_ror_port_imports_no_dask() -> None:
    script = "import sys, ror_port; ror_port.convert_many; assert not {'dask', 'distributed'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
