"""What is done with one file of many, and the account of it: a row of the ledger, as plain JSON.

`account` is what an executor calls, in whatever process or on whatever machine: its arguments can be pickled.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ror_port import __version__
from ror_port.errors import RorPortError, UsageError, printable, told
from ror_port.formats.checkpoint import sha256, size
from ror_port.formats.format import Settings, by_name
from ror_port.many import remote
from ror_port.safety.input_file import readable
from ror_port.source.provenance import Given

if TYPE_CHECKING:  # imported where it is needed, so that --help starts fast
    from ror_port.api import Written
    from ror_port.check.verify import Verification
    from ror_port.source.description import Description
    from ror_port.source.port import Port

Row = dict[str, Any]
"""A line of the ledger, as ``ledger.schema.json`` describes it."""

VERSION = 1
SETTLED = range(2, 8)
"""Exit codes of what another try would end in, too: the reason lies in the file, or in how it was to be read."""


@dataclass(frozen=True)
class Work:
    """What is done with every file. format: that it is converted to; None where it is only described.

    planned: whether nothing is written. The other fields are arguments of `ror_port.save` and `ror_port.load`.
    Raises UsageError where they do not fit together.
    """

    format: str | None = None
    settings: Settings = field(default_factory=Settings)
    given: Given = field(default_factory=Given)
    verify: bool = True
    certify: bool = False
    planned: bool = False

    def __post_init__(self) -> None:
        if self.format is not None:
            self.settings.ensure_taken(by_name(self.format))
        if self.certify and not self.verify:
            raise UsageError("a certificate needs the verification", "certify")

    def stated(self) -> dict[str, Any]:
        """What decides how a file is treated: the version of ror-port, and what was asked for."""
        asked = {"format": self.format, "verify": self.verify, "certify": self.certify, "planned": self.planned}
        options = {
            **{name: value for name, value in asked.items() if value != getattr(Work, name)},
            **_changed(self.settings, Settings()),
            **_changed(self.given, Given()),
        }
        for name, path in (("architecture", self.given.architecture), ("model", self.given.model)):
            if path is not None:
                options[name] = {"file": str(path), "sha256": _digest(str(path))}
        plain: dict[str, Any] = json.loads(json.dumps({"ror_port": __version__, "options": options}, default=_plain))
        return plain


def _plain(value: Any) -> Any:
    """A number of NumPy, or another mapping, as JSON has it."""
    return value.item() if hasattr(value, "item") else dict(value) if isinstance(value, Mapping) else str(value)


def _changed(chosen: Any, usual: Any) -> dict[str, Any]:
    pairs = ((item.name, getattr(chosen, item.name)) for item in fields(chosen))
    return {name: value for name, value in pairs if value != getattr(usual, name)}


def _digest(path: str) -> str | None:
    """Of a file with an architecture, or of a script, behind which a name may stand."""
    for name in (path, path.rpartition(":")[0]):
        if name and Path(name).is_file():
            return sha256(Path(name))
    return None


def prepare() -> None:
    """Imports what `account` needs."""
    import ror_port.api
    import ror_port.convert.write
    import ror_port.source.description  # noqa: F401


def account(work: Work, location: str, target: str | None, out: str) -> Row:
    """Does the work on one file, and never raises: what goes wrong is in the row.

    location: a path or an address. target: where its output goes, replacing what is there. out: the folder of the
    ledger, which names outputs relative to itself.
    """
    row = blank(location)
    try:
        with remote.local(location) as path:
            try:
                _describe_and_convert(row, work, path, Path(target) if target else None, Path(out))
            except Exception as error:
                fail(row, error, str(path))
                if row["sha256"] is None:
                    row.update(_identified(path))
            row = remote.renamed(row, str(path), row["file"])
    except Exception as error:  # it cannot be fetched
        fail(row, error, location)
    return row


def _identified(path: Path) -> Row:
    """What can be said of a file that cannot be read as a checkpoint."""
    digest = digest_of(str(path))
    return {"sha256": digest, "bytes": path.stat().st_size if digest else None}


def digest_of(location: str) -> str | None:
    """The sha256 of a file, which is fetched from an address; None where it is none that is read to its end."""
    try:
        with remote.local(location) as path:
            return sha256(readable(path))
    except (OSError, RorPortError):
        return None


def blank(location: str) -> Row:
    """The row of a file of which nothing is known yet."""
    return {
        "ledger": VERSION,
        "file": remote.shown(location) if remote.is_address(location) else location,
        "bytes": None,
        "sha256": None,
        "status": "failed",
        "exit_code": 0,
        "error": None,
        "reason": None,
        "duplicate_of": None,
        "era": None,
        "architecture": None,
        "network": None,
        "parameters": None,
        "facts": [],
        "refusals": [],
        "written": None,
        "verification": None,
        "certificate": None,
        "warnings": [],
        "beside": None,
        "earlier": None,
        "run": {},
    }


def fail(row: Row, error: Exception, path: str) -> None:
    """States an error in a row. path: what its message calls the file."""
    message, code = told(error, path)
    passing = isinstance(error, RorPortError) and error.passing
    message = message.removeprefix(f"{path}: ").replace(path, row["file"])
    settled = code in SETTLED and not passing
    kind = type(error).__name__
    row.update(status="refused" if settled else "failed", exit_code=code, error=kind, reason=printable(message))


def _describe_and_convert(row: Row, work: Work, path: Path, target: Path | None, out: Path) -> None:
    from ror_port.source.description import described

    with described(path, work.given) as found:
        _describe(row, found)
        if work.format is None:
            return
        if found.port is None:
            assert found.error is not None
            raise found.error
        if target is None:  # it is only planned
            return
        _convert(row, work, found.port, target, out)


def _describe(row: Row, found: Description) -> None:
    checkpoint = found.checkpoint
    file = checkpoint.config_file
    row.update(
        bytes=size(checkpoint.path),
        sha256=checkpoint.sha256,
        status="convertible" if found.port else "refused",
        era=found.era,
        architecture={"where": found.architecture, "file": file.name if file else None},
        network=found.name,
        parameters=found.size,
        facts=[{key: value for key, value in fact.as_json().items() if key != "option"} for fact in found.facts],
        refusals=[printable(refusal) for refusal in found.refusals],
    )
    if found.refusals:
        more = len(found.refusals) - 1
        if found.error is not None and found.error.passing:
            row["status"] = "failed"
        row["error"] = type(found.error).__name__
        row["reason"] = f"{printable(found.refusals[0])}{f'; and {more} more reasons' if more else ''}"


def _convert(row: Row, work: Work, port: Port, target: Path, out: Path) -> None:
    from ror_port.api import save

    written = save(
        port,
        target,
        format=work.format,
        **vars(work.settings),
        verify=work.verify,
        certify=work.certify,
        force=True,
    )
    row.update(
        status="converted",
        written={
            "path": _relative(written.path, out),
            "format": written.format,
            "bytes": written.bytes,
            "sha256": written.sha256,
        },
        verification=_verification(written.verification),
        certificate=_relative(written.certificate, out) if written.certificate else None,
        warnings=_warnings(written),
    )


def _relative(path: Path, out: Path) -> str:
    return Path(os.path.relpath(path, out)).as_posix()


def _verification(found: Verification | None) -> Row | None:
    if found is None:
        return None
    difference, tolerance = found.difference, found.tolerance
    return {
        "passed": found.passed,
        "runtime": found.runtime,
        "relative_l2": _number(difference.relative_l2) if difference else None,
        "max_abs": _number(difference.max_abs) if difference else None,
        "tolerance": tolerance.value if tolerance else None,
        "reason": printable(found.failure) if found.failure else None,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no other


def _warnings(written: Written) -> list[str]:
    """The facts that are assumed and on which predictions depend, with the option that changes each."""
    told = []
    for effect in written.effects:
        if effect.matters:
            told.append(f"{effect.fact} may be {effect.alternative}" + (f": {effect.option}" if effect.option else ""))
    return list(map(printable, told))


def matches(row: Mapping[str, Any], digest: str | None, beside: str) -> bool:
    """Whether the account of a file is one of a file of the same content, with the same architectures beside it.

    beside: the digest of those. Where an architecture came from the file itself, others do not matter.
    """
    return digest is not None and row["sha256"] == digest and row["beside"] in (None, beside)
