"""The command line: `jaxkinetic list`, `jaxkinetic run NAME`."""

import argparse
import dataclasses
import datetime
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import jax
import numpy as np

from .. import __version__
from .._checks import refuse
from .._solution import SimulationError
from . import CATALOGUE, Experiment, Options
from ._output import commit, device, prepare, write

_HELP = {
    "particles": "N, at least 2",
    "dim": "dimension d of velocity, at least 2 (on the torus 1 to 3)",
    "dt": "time step",
    "steps": "number of steps",
    "replicas": "independent runs",
    "seed": "of all randomness",
    "scheme": "time stepping",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one sentence on standard error."""
    try:
        return _main(arguments)
    except (ValueError, SimulationError, OSError) as error:
        print(f"jaxkinetic: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("jaxkinetic: stopped; earlier results were left as they are.", file=sys.stderr)
        return 130


def _main(arguments: Sequence[str] | None) -> int:
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:
        raise refuse(
            unknown[0], "be an option of this command", "is not one", f"see `jaxkinetic {options.command} --help`"
        )
    if options.command == "list":
        for experiment in CATALOGUE.values():
            print(f"{experiment.name:<23} {experiment.summary}")
        return 0
    if options.name not in CATALOGUE:
        raise refuse("NAME", f"be one of {', '.join(CATALOGUE)}", f"is {options.name!r}", "see `jaxkinetic list`")
    experiment = CATALOGUE[options.name]
    given = {name: getattr(options, name) for name in _HELP if getattr(options, name) is not None}
    chosen = dataclasses.replace(experiment.defaults, **given)
    chosen.check(least_dim=experiment.least_dim, most_dim=experiment.most_dim, schemes=experiment.schemes)
    if options.precision == 64:
        jax.config.update("jax_enable_x64", True)
    folder = prepare(Path(options.out) if options.out else Path("results") / experiment.name)
    _run(experiment, chosen, options.precision, folder)
    return 0


def _run(experiment: Experiment, options: Options, precision: int, folder: Path) -> None:
    shown = ", ".join(f"{f.name} {getattr(options, f.name)}" for f in dataclasses.fields(options))
    print(f"{experiment.name} on {device()}: {shown}, float{precision}")
    started, begun = time.perf_counter(), datetime.datetime.now(datetime.UTC)
    report = experiment.run(options, True)
    elapsed = time.perf_counter() - started
    manifest = {
        "experiment": experiment.name,
        "parameters": {**dataclasses.asdict(options), "precision": precision},
        "seed": options.seed,
        "version": __version__,
        "commit": commit(),
        "device": device(),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "started": begun.isoformat(timespec="seconds"),
        "seconds": round(elapsed, 2),
    }
    print(f"\n{report.table}\n")
    for finding in report.findings:
        print(f"- {finding}")
    paths = write(folder, report, manifest)
    print(f"\n{elapsed:.0f} s. Wrote {', '.join(str(p) for p in paths)}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="jaxkinetic", description="Kinetic theory with particles, and its limits.")
    parser.add_argument("--version", action="version", version=f"jaxkinetic {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    commands.add_parser("list", help="the experiments")
    run = commands.add_parser("run", help="run an experiment, print its table, write its results and figure")
    run.add_argument("name", metavar="NAME", help=f"one of {', '.join(CATALOGUE)}")
    for field in dataclasses.fields(Options):
        kind = {"int": int, "float": float, "str": str}[str(getattr(field.type, "__name__", field.type))]
        usual = ", ".join(f"{e.name} {getattr(e.defaults, field.name)}" for e in CATALOGUE.values())
        run.add_argument(f"--{field.name}", type=kind, default=None, help=f"{_HELP[field.name]} (default: {usual})")
    run.add_argument("--precision", type=int, choices=(32, 64), default=32, help="bits of a float (default 32)")
    run.add_argument("--out", default=None, help="folder for the results (default results/NAME)")
    return parser
