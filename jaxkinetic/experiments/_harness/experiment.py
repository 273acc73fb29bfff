"""An experiment as a class: its fields are its options, `problem` says what is simulated, `analyse` makes a report of it."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar, dataclass_transform

from ..._core.system import AbstractScheme
from ..._util.checks import argument_error, did_you_mean
from ...pairs import ExactClock, RandomMatching, Sweep, TauLeap
from ...schemes import EulerMaruyama, Leapfrog, Strang, Yoshida
from .option import check_fields, option, options_of
from .partial import Partial
from .report import Report

SCHEMES: dict[str, Callable[[], AbstractScheme]] = {
    "euler-maruyama": EulerMaruyama,
    "random-matching": RandomMatching,
    "sweep": Sweep,
    "exact-clock": ExactClock,
    "tau-leap": TauLeap,
    "strang": Strang,
    "strang-4": partial(Strang, 4),
    "leapfrog": Leapfrog,
    "yoshida-4": Yoshida,
}


@dataclasses.dataclass(frozen=True)
class Watch:
    """`progress`: show a bar on standard error. `partial`: the folder in which a run stores its finished parts."""

    progress: bool = False
    partial: Partial | None = None


@dataclasses.dataclass(frozen=True)
class Headline:
    """The number of a report that a sweep shows: its key in `Report.numbers`, the label of its axis, and which error its bar
    shows (`error`: "stderr" or "systematic")."""

    number: str
    label: str
    error: str = "stderr"


_E = TypeVar("_E", bound="Experiment")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(option,))
class Experiment(ABC):
    """Base of all experiments. A subclass becomes a frozen dataclass, whose fields are its options; an instance is one choice
    of their values, all nondimensional.

    `name`, `summary`: as `jaxkinetic list` prints them. `headline`: what a sweep shows. `precision`: default bits of a
    float. `quick`: what `--quick` takes for options that are not given; empty for an experiment that is quick anyway."""

    name: ClassVar[str]
    summary: ClassVar[str]
    headline: ClassVar[Headline]
    precision: ClassVar[int] = 32
    quick: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        check_fields(dataclasses.dataclass(frozen=True, kw_only=True)(cls))

    @abstractmethod
    def run(self, watch: Watch = Watch()) -> Report:
        """Simulate, and report. **Raises:** `SimulationError` if a run fails."""

    def values(self) -> dict[str, Any]:
        """The values of the options, by name."""
        return {name: getattr(self, name) for name in options_of(self)}

    def check(self) -> None:
        """Check every option by itself; a subclass adds what several options must fulfil. **Raises:** `ValueError`."""
        for name, one in options_of(self).items():
            one.check(name, getattr(self, name))

    def adapt(self: _E, given: frozenset[str]) -> _E:
        """Fit the options that the user did not give to those that the user gave (`given`: their names)."""
        return self

    @classmethod
    def of(cls: type[_E], given: Mapping[str, Any]) -> _E:
        """The experiment with the options `given`, checked. **Raises:** `ValueError`; `TypeError` for a class that does not
        declare an option that its base class needs."""
        known = options_of(cls)
        fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
        missing = [field.name for field in fields if field.default is dataclasses.MISSING and field.name not in given]
        if missing:
            raise TypeError(f"{cls.__name__} must declare the options {', '.join(missing)}, each with its default.")
        for name, value in given.items():
            if name not in known:
                raise argument_error(f"--{name}", f"be left out for {cls.name}", f"is {value}", "remove it")
        chosen = cls(**given)
        # Check before `adapt` too: for a value out of range, `adapt` could raise about another option.
        chosen.check()
        chosen = chosen.adapt(frozenset(given))
        chosen.check()
        return chosen


def make_scheme(name: str) -> AbstractScheme:
    if name not in SCHEMES:
        raise did_you_mean(
            argument_error("scheme", f"be one of {', '.join(SCHEMES)}", f"is {name!r}", "choose one"), name, SCHEMES
        )
    return SCHEMES[name]()
