"""The options of an experiment, each declared in one place: default, meaning, allowed values, and the symbol in a figure."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

from ..._util.checks import argument_error, check_integer, check_scalar, did_you_mean


@dataclasses.dataclass(frozen=True)
class Option:
    """An option as its declaration states it; its type is that of `default`. Numbers must be finite and lie in
    [minimum, maximum], or beyond `above` and below `below`. `note`: what the help text adds to the allowed values. `reason`: of
    the upper bound. `symbol`: the label of an axis."""

    name: str
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    even: bool = False
    choices: tuple[str, ...] = ()
    symbol: str = ""
    note: str = ""
    reason: str = ""

    @property
    def kind(self) -> type:
        return type(self.default)

    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return ", ".join(self.choices)
        if self.minimum is not None and self.maximum is not None:
            low, high = _number(self.minimum), _number(self.maximum)
            return low if low == high else f"{low} to {high}"
        bounds = (("at least", self.minimum), ("at most", self.maximum), ("above", self.above), ("below", self.below))
        words = ["even"] * self.even + [self.note] * (self.minimum is None and self.above is None and self.note != "")
        words += [
            f"{word} {_number(bound)}"
            for word, bound in sorted(bounds, key=lambda b: b[0] == "at most")
            if bound is not None
        ]
        text = ", ".join(words)
        return f"{text}; {self.note}" if self.note and self.note not in words else text

    def check(self, value: Any) -> None:
        """**Raises:** `ValueError` for a value that is not allowed."""
        flag = f"--{self.name}"
        if self.kind is str:
            if value not in self.choices:
                must = f"be one of {', '.join(self.choices)}"
                raise did_you_mean(argument_error(flag, must, f"is {value!r}", "choose one"), str(value), self.choices)
            return
        if self.kind is int:
            check_integer(flag, value, minimum=-(2**63))
        else:
            check_scalar(flag, value, positive=self.above == 0)
        for holds, must, do in (
            (self.minimum is None or value >= self.minimum, f"be at least {_number(self.minimum)}", "raise it"),
            (
                self.maximum is None or value <= self.maximum,
                f"be at most {_number(self.maximum)}{self.reason}",
                "lower it",
            ),
            (self.above is None or value > self.above, f"be above {_number(self.above)}", "raise it"),
            (self.below is None or value < self.below, f"be below {_number(self.below)}{self.reason}", "lower it"),
            (not self.even or value % 2 == 0, "be even", "add one"),
        ):
            if not holds:
                shown = value if self.kind is int else f"{value:g}"
                raise argument_error(flag, must, f"is {shown}", do)


def _number(value: float | None) -> str:
    """A bound as text; the large ones as powers of 2."""
    if value is not None and value >= 2**31:
        power = round(math.log2(value))
        return f"2^{power}" if value == 2**power else f"2^{power} - 1"
    return f"{value:g}" if value is not None else ""


def option(default: Any, help: str, **limits: Any) -> Any:
    """A field of an experiment that is an option of the command line; `limits` are the fields of `Option`."""
    return dataclasses.field(default=default, metadata={"option": Option("", default, help, **limits)})


def options_of(experiment: Any) -> dict[str, Option]:
    """The options of an experiment, by name, in the order of the help text."""
    return {
        field.name: dataclasses.replace(field.metadata["option"], name=field.name)
        for field in dataclasses.fields(experiment) if "option" in field.metadata
    }  # fmt: skip


def all_options(experiments: Iterable[Any]) -> dict[str, Option]:
    """The options of several experiments, each as the first one that has it declares it."""
    out: dict[str, Option] = {}
    for experiment in experiments:
        out |= {name: one for name, one in options_of(experiment).items() if name not in out}
    return out


# Options that several experiments have, each with its own default.


def particles(default: int, minimum: int = 2) -> Any:
    return option(default, "number of particles N", minimum=minimum, maximum=2**31, symbol="number of particles N")


def dim(default: int, minimum: int = 2, maximum: int | None = None) -> Any:
    return option(default, "dimension d of velocity", minimum=minimum, maximum=maximum, symbol="dimension d")


def dt(default: float) -> Any:
    return option(default, "time step", above=0, symbol="time step Δt")


def steps(default: int, minimum: int = 1) -> Any:
    return option(default, "number of steps", minimum=minimum)


def replicas(default: int, minimum: int = 1, help: str = "number of independent runs") -> Any:
    return option(default, help, minimum=minimum)


def seed() -> Any:
    return option(0, "seed of the random numbers", minimum=0, maximum=2**32 - 1)


def scheme(*choices: str) -> Any:
    """The schemes for which the report is valid, the default first."""
    return option(choices[0], "time-stepping scheme", choices=choices)


def gamma(default: float, note: str = "at least -dim") -> Any:
    return option(default, "exponent of the interaction", symbol="exponent γ", note=note)


def check_gamma(gamma: float, dim: int) -> None:
    if gamma < -dim:
        raise argument_error("--gamma", f"be at least -d = {-dim}", f"is {gamma:g}", "raise it")


def points(default: int, axis: str, minimum: int) -> Any:
    return option(default, f"points in {axis}, on a grid", minimum=minimum, even=True, symbol=f"points in {axis}")


def amplitude(default: float) -> Any:
    return option(
        default, "amplitude of the perturbation, relative to the homogeneous state", above=0, below=1,
        symbol="amplitude of the perturbation", reason=", so that f > 0",
    )  # fmt: skip


def wavenumber(default: float) -> Any:
    return option(
        default, "wavenumber k of the perturbation; the torus has length 2 pi/k", above=0, symbol="wavenumber k"
    )


def temperature(default: float) -> Any:
    return option(default, "temperature of the homogeneous state", above=0, symbol="temperature T")
