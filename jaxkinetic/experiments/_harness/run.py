"""Runs one experiment and writes its files; a run that is killed can be resumed."""

import datetime
import time
from pathlib import Path
from typing import Any

from ..._core.solution import SimulationError
from ..._io.lock import folder_lock
from ..._io.manifest import code, device, machine
from ..._io.signals import parts_in
from .experiment import Experiment, Watch
from .output import check_replaceable, write
from .partial import Partial
from .report import Report


def identity(experiment: Experiment, precision: int) -> dict[str, Any]:
    """The entries that identify a run: experiment, parameters, version of the code. `--resume` requires that all agree."""
    parameters = {**experiment.values(), "precision": precision}
    return {"experiment": experiment.name, **code(), "parameters": parameters}


def run_to_files(
    experiment: Experiment,
    precision: int,
    folder: Path,
    *,
    resume: bool,
    force: bool,
    quiet: bool = False,
    netcdf: bool = False,
) -> Report:
    """Run, print the table and write result.npz, result.json and figure.png to `folder`, which is locked meanwhile; with
    `netcdf` also result.nc.

    Finished parts are stored in `folder/partial` until then; `resume` continues from them. **Raises:** `ValueError` if there
    is no run to resume, if another command writes to `folder`, and, without `force`, if results with other parameters or
    finished parts would be lost; also the errors of the run. Only a `SimulationError` discards the parts."""
    run = identity(experiment, precision)
    partial = Partial(folder, run)
    with folder_lock("--out", folder):
        if resume:
            partial.resume()
        else:
            if not force:
                check_replaceable(folder, run)
            partial.begin(force=force)
        shown = ", ".join(f"{name} {value}" for name, value in experiment.values().items())
        print(f"{experiment.name} on {device()}: {shown}, float{precision}{', resumed' if resume else ''}", flush=True)
        parts_in(partial.folder)
        started, begun = time.perf_counter(), datetime.datetime.now(datetime.UTC)
        try:
            report = experiment.run(Watch(progress=True, partial=partial))
        except SimulationError:
            # The parts are of no use: a resumed run would fail at the same step.
            partial.clear()
            raise
        elapsed = time.perf_counter() - started
        manifest = {
            **run,
            "seed": getattr(experiment, "seed", None),
            **machine(),
            "started": begun.isoformat(timespec="seconds"),
            "seconds": round(elapsed, 2),
            "resumed": resume,
        }
        # Write before printing: if the output cannot be printed, the results are not lost.
        wrote = write(folder, report, manifest, netcdf=netcdf)
        partial.clear()
        if not quiet:
            report.show()
        print(f"\n{elapsed:.0f} s. {wrote}", flush=True)
        return report
