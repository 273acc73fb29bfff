"""The command line: `jaxkinetic list`, `jaxkinetic run NAME`, `jaxkinetic sweep NAME --over OPTION=VALUES`."""

import argparse
import contextlib
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax

from .. import __version__
from .._core.solution import SimulationError
from .._io.atomic_npz import as_path
from .._io.netcdf import need_netcdf
from .._io.signals import leave_on_signals, stopped
from .._util.checks import argument_error, did_you_mean
from ..plotting import need_matplotlib
from . import CATALOGUE
from ._harness.compilation_cache import cache_folder
from ._harness.experiment import Experiment
from ._harness.option import all_options, options_of
from ._harness.output import prepare
from ._harness.process import check_devices, outlive_readers
from ._harness.run import run_to_files
from ._harness.sweep import parse_over, sweep

__all__ = ["main"]

# The settings of JAX that `_set_up` changes.
_SETTINGS = (
    "jax_enable_x64", "jax_enable_compilation_cache", "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs", "jax_persistent_cache_min_entry_size_bytes",
)  # fmt: skip
_FORCE = "replace results that have other parameters, and discard the finished parts of a stopped run"


class _Parser(argparse.ArgumentParser):
    """Accepts complete option names only: if abbreviations were allowed, a typo could select another option."""

    def __init__(self, **options: Any):
        super().__init__(**{"allow_abbrev": False, **options})
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        error = ValueError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")
        raise error if choice is None else did_you_mean(error, choice[1], re.findall(r"[\w-]+", choice[2]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. **Returns:** the exit status: 0; 2 after an error, with one sentence on standard error; 130 after Ctrl-C
    and 143 after SIGTERM. With `arguments` None, the arguments are those of the process, and both signals end it at once."""
    if arguments is None:
        outlive_readers()
        leave_on_signals()
        # Print the sentence only, without the file and line of the library that issues the warning.
        warnings.formatwarning = lambda message, *_, **__: f"jaxkinetic: {message}\n"
    try:
        with _restored():
            return _main(arguments)
    except (ValueError, SimulationError, OSError, ImportError) as error:
        print(f"jaxkinetic: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(stopped(), file=sys.stderr)
        return 130


def _main(arguments: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    asked = bool({"-h", "--help"} & set(words))
    options, unknown = _parser(_named(words), explained=asked).parse_known_args(words)
    if unknown:
        word = unknown[0].partition("=")[0]
        do = f"see `jaxkinetic {options.command} --help`"
        sentence = argument_error(word, "be an option of this command", "is not one", do)
        raise did_you_mean(sentence, word, re.findall(r"--[\w-]+", options.parser.format_help()))
    if options.command == "list":
        described = [_described(experiment) for experiment in CATALOGUE.values()]
        lines = [f"{experiment['name']:<23} {experiment['summary']}" for experiment in described]
        print(json.dumps(described, indent=2) if options.json else "\n".join(lines))
        return 0
    if options.name not in CATALOGUE:
        must = f"be one of {', '.join(CATALOGUE)}"
        sentence = argument_error("NAME", must, f"is {options.name!r}", "see `jaxkinetic list`")
        raise did_you_mean(sentence, options.name, CATALOGUE)
    experiment = CATALOGUE[options.name]
    need_matplotlib()
    if options.netcdf:
        need_netcdf("`--netcdf`")
    precision = options.precision or experiment.precision
    out = None if options.out is None else as_path("--out", options.out)
    known = all_options(CATALOGUE.values())
    given = {name: getattr(options, name) for name in known if getattr(options, name) is not None}
    if options.command == "sweep":
        name, values = parse_over(options.over, given, known | options_of(experiment))
        cells = [experiment.of({**given, name: value}) for value in values]
        _set_up(precision, options.compilation_cache)
        folder = out or Path("results") / f"{experiment.name}-over-{name}"
        sweep(cells, name, precision, folder, force=options.force, netcdf=options.netcdf)
        return 0
    if options.quick:
        small = experiment.quick(given)
        if small is None:
            raise argument_error("--quick", f"be left out for {experiment.name}", "is given", "pass smaller sizes")
        given = {**small, **given}
    chosen = experiment.of(given)
    _set_up(precision, options.compilation_cache)
    folder = prepare(out or Path("results") / experiment.name)
    run_to_files(chosen, precision, folder, resume=options.resume, force=options.force, netcdf=options.netcdf)
    return 0


def _described(experiment: type[Experiment]) -> dict[str, Any]:
    """The entry of an experiment in `list --json`: its options with their defaults and allowed values."""
    options = {
        name: {"default": one.default, "type": one.kind.__name__, "allowed": one.allowed(), "help": one.help}
        for name, one in options_of(experiment).items()
    }
    return {
        "name": experiment.name, "summary": experiment.summary, "precision": experiment.precision,
        "headline": experiment.headline.number, "options": options,
    }  # fmt: skip


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Restore the settings of JAX that a command changes, for a process that runs several commands."""
    before = {name: getattr(jax.config, name) for name in _SETTINGS}
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def _set_up(bits: int, compilation_cache: bool) -> None:
    """Configure JAX. This must happen before the first array is created."""
    jax.config.update("jax_enable_x64", bits == 64)
    if compilation_cache:
        # Hide warnings about a damaged, full or read-only cache: JAX then compiles the program anew, and the run continues.
        warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
        if (folder := cache_folder()) is not None:
            jax.config.update("jax_compilation_cache_dir", folder)
        # Keep small programs too, also in a folder that the user chose: a command compiles dozens of them.
        for name, least in (("min_compile_time_secs", 0.0), ("min_entry_size_bytes", -1)):
            if f"JAX_PERSISTENT_CACHE_{name.upper()}" not in os.environ:
                jax.config.update(f"jax_persistent_cache_{name}", least)
    else:
        jax.config.update("jax_enable_compilation_cache", False)
    check_devices()


def _named(words: Sequence[str]) -> type[Experiment] | None:
    """The experiment that the command names; None if it names none."""
    return next((CATALOGUE[word] for word in words[1:] if word in CATALOGUE), None)


def _parser(named: type[Experiment] | None = None, *, explained: bool = False) -> argparse.ArgumentParser:
    """The parser of all commands. `named`: the experiment, whose options have their own types. `explained`: the help text lists
    the options of that experiment only."""
    parser = _Parser(prog="jaxkinetic", description="Particle systems of kinetic theory and their limit equations.")
    parser.add_argument("--version", action="version", version=f"jaxkinetic {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    listed = commands.add_parser("list", help="list the experiments")
    text = "list them with their options, defaults and allowed values, as JSON"
    listed.add_argument("--json", action="store_true", help=text)
    run = commands.add_parser("run", help="run an experiment, print its table, write its results and figure")
    _add_options(run, "results/NAME", named, explained)
    start = run.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="continue a stopped run that has the same options")
    start.add_argument("--force", action="store_true", help=_FORCE)
    few = ", ".join(name for name, one in CATALOGUE.items() if one.quick({}) is not None)
    run.add_argument(
        "--quick", action="store_true", help=f"small sizes, for a first look in less than a minute ({few})"
    )
    text = "run an experiment at several values of one option; a stopped sweep continues when it is started again"
    over = commands.add_parser("sweep", help=text)
    _add_options(over, "results/NAME-over-OPTION", named, explained)
    over.add_argument("--force", action="store_true", help=_FORCE)
    over.add_argument("--over", required=True, metavar="OPTION=V1,V2,...", help="for example gamma=-3,-2,0")
    return parser


def _add_options(parser: argparse.ArgumentParser, folder: str, named: type[Experiment] | None, explained: bool) -> None:
    if explained and named is not None:
        parser.add_argument("name", metavar=named.name, help=named.summary.replace("%", "%%"))
        options, usual, folder = options_of(named), named.precision, folder.replace("NAME", named.name)
        texts = [f"{one.help}: {one.allowed()} (default {one.default})" for one in options.values()]
    else:
        parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(CATALOGUE)}")
        parser.epilog = "`NAME --help` shows the options of one experiment and their allowed values."
        declared = {name: options_of(experiment) for name, experiment in CATALOGUE.items()}
        options, texts = all_options(CATALOGUE.values()), []
        for name, one in options.items():
            having = {of: its[name] for of, its in declared.items() if name in its}
            same = {option.allowed() for option in having.values()}
            allowed = f": {same.pop()}" if len(same) == 1 else ""
            texts.append(f"{one.help}{allowed} (default: {', '.join(f'{of} {o.default}' for of, o in having.items())})")
        usual = f"32; 64 for {', '.join(e.name for e in CATALOGUE.values() if e.precision == 64)}"
    own = {} if named is None else options_of(named)
    for (name, one), text in zip(options.items(), texts, strict=True):
        kind = own.get(name, one).kind
        # A bare % would be a format of argparse.
        parser.add_argument(f"--{name}", type=kind, metavar=kind.__name__.upper(), help=text.replace("%", "%%"))
    parser.add_argument("--precision", type=int, choices=(32, 64), help=f"bits of a float (default {usual})")
    parser.add_argument(
        "--no-compilation-cache", dest="compilation_cache", action="store_false",
        help="neither read nor store compiled programs; by default they are stored in ~/.cache/jaxkinetic (or in the "
        "folder that XDG_CACHE_HOME or JAX_COMPILATION_CACHE_DIR names)",
    )  # fmt: skip
    parser.add_argument(
        "--netcdf", action="store_true", help="also write result.nc, the arrays with named dimensions and the entries of "
        "result.json as attributes, for xarray and other readers of netCDF",
    )  # fmt: skip
    parser.add_argument("--out", help=f"folder for the results (default {folder})")
