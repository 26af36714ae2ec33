"""Converting many files from Python: `ror_port.convert_many`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from ror_port.check.progress import SILENT, Progress
from ror_port.formats.format import Dtype, Settings, by_name
from ror_port.layout import DataFormat
from ror_port.many import ledger
from ror_port.many.account import Work
from ror_port.many.run import Run
from ror_port.many.sources import found
from ror_port.many.workers import Workers
from ror_port.source.provenance import Given


class Stated(TypedDict, total=False):
    """What the user states of every file; the arguments of `ror_port.load`."""

    backend: Literal["theano", "tensorflow"]
    keras: str
    epsilon: float
    size: int
    sha256: str
    bad_values: bool
    architecture: Path | str
    ordering: Literal["th", "tf"]
    model: str
    lambdas: Mapping[str, str]


def convert_many(
    paths: Iterable[Path | str] | Path | str,
    out: Path | str,
    *,
    format: str = "keras",
    data_format: DataFormat = "channels_last",
    logits: bool = False,
    dtype: Dtype | None = None,
    fold_bn: bool = False,
    license: str | None = None,
    verify: bool = True,
    certify: bool = False,
    force: bool = False,
    skip_done: bool = False,
    executor: Executor | None = None,
    jobs: int = 1,
    progress: Progress = SILENT,
    **stated: Unpack[Stated],
) -> ledger.Report:
    """Converts files, and all that is found in folders, and keeps a ledger of them; a file that fails stops no other.

    paths: files, folders and addresses such as ``https://…`` or ``s3://…``, which need fsspec. Folders are searched by
    content, and the outputs lie in `out` as their sources do in the folder. A file that is there under several names is
    converted once. executor: any of `concurrent.futures`, such as that of a Dask client, whose workers see the same
    files; a worker that dies costs its own file. Without one, `jobs` processes are started. skip_done: go on with the
    ledger that is in `out`: what has the same content, and was treated by the same version with the same options, is
    left as it is. The other arguments are those of `ror_port.save` and `ror_port.load`.

    Returns the ledger, whose rows are plain dictionaries: see ``ledger.schema.json``, beside this module. Where the run
    is interrupted, the call with ``skip_done=True`` goes on.

    Raises UsageError, OutputError where `out` has a ledger already, or MissingExtra where no file could be written.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    if stated.get("architecture") is not None:
        stated["architecture"] = Path(stated["architecture"])
    given = Given(**stated)  # type: ignore[arg-type]  # the architecture is a Path now
    work = Work(format, Settings(data_format, logits, dtype, fold_bn, license), given, verify, certify)
    if executor is None:
        by_name(format).ensure_writable()
    with ledger.opened(Path(out), force=force, go_on=skip_done) as opened, Workers(executor, jobs) as workers:
        workers.prepare("ror_port.many.account")
        sources, _ = found(list(map(str, paths)), out=Path(out))
        run = Run(sources, work, opened, workers, force)
        for _ in progress.track(run.rows(), len(sources), "converting"):
            pass
        return opened.finish()
