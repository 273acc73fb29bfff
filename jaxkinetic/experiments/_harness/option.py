"""The options of an experiment, each declared in one place: default, meaning, allowed values, and the symbol in a figure."""

import dataclasses
import math
import operator
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..._util.checks import argument_error, check_integer, check_scalar, did_you_mean


@dataclasses.dataclass(frozen=True)
class Option:
    """An option as its declaration states it; `kind`: its type, that of the field's annotation. Numbers are finite, >=
    `minimum`, <= `maximum`, > `above`, < `below`. `note`: what the help text adds to the allowed values. `reason`: of the upper
    bound. `symbol`: the label of an axis."""

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
    kind: type = float

    def _bounds(self) -> list[tuple[str, Callable[[Any, Any], bool], Any, str, str]]:
        """Each bound as a word, the comparison, the number, its reason, and the remedy."""
        every = (
            ("at least", operator.ge, self.minimum, "", "raise it"),
            ("above", operator.gt, self.above, "", "raise it"),
            ("below", operator.lt, self.below, self.reason, "lower it"),
            ("at most", operator.le, self.maximum, self.reason, "lower it"),
        )
        return [bound for bound in every if bound[2] is not None]

    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return ", ".join(self.choices)
        if self.minimum is not None and self.maximum is not None:
            low, high = _number(self.minimum), _number(self.maximum)
            return low if low == high else f"{low} to {high}"
        words = ["even"] * self.even + [f"{word} {_number(bound)}" for word, _, bound, *_ in self._bounds()]
        return "; ".join(text for text in (", ".join(words), self.note) if text)

    def check(self, name: str, value: Any) -> None:
        """**Raises:** `ValueError` for a value that is not allowed of the option `name`."""
        flag = f"--{name}"
        if self.kind is str:
            if value not in self.choices:
                must = f"be one of {', '.join(self.choices)}"
                raise did_you_mean(argument_error(flag, must, f"is {value!r}", "choose one"), str(value), self.choices)
            return
        if self.kind is int:
            check_integer(flag, value, minimum=-(2**63))
        else:
            check_scalar(flag, value, positive=self.above == 0)
        was = f"is {value}" if self.kind is int else f"is {value:g}"
        for word, within, bound, reason, remedy in self._bounds():
            if not within(value, bound):
                raise argument_error(flag, f"be {word} {_number(bound)}{reason}", was, remedy)
        if self.even and value % 2:
            raise argument_error(flag, "be even", was, "add one")


def _number(bound: float) -> str:
    """A bound as text; the large ones as powers of 2."""
    if bound < 2**31 - 1:
        return f"{bound:g}"
    power = round(math.log2(bound))
    return f"2^{power}" if bound == 2**power else f"2^{power} - 1"


def option(default: Any, help: str, **limits: Any) -> Any:
    """A field of an experiment that is an option of the command line, of type int, float, or str with `choices`; `limits` are
    the fields of `Option`."""
    return dataclasses.field(default=default, metadata={"option": Option(default, help, **limits)})


def options_of(experiment: Any) -> dict[str, Option]:
    """The options of an experiment, by name, in the order of the help text."""
    fields = [field for field in dataclasses.fields(experiment) if "option" in field.metadata]
    return {field.name: dataclasses.replace(field.metadata["option"], kind=_kind(field)) for field in fields}


def check_fields(experiment: type) -> None:
    """**Raises:** `TypeError` for a field that is no option, and for an option of another type or without choices."""
    for field in dataclasses.fields(experiment):
        name, declared = f"Field `{field.name}` of {experiment.__name__}", field.metadata.get("option")
        if declared is None and field.default is not dataclasses.MISSING:
            raise TypeError(
                f"{name} must be declared by `option(default, help)`, or the command line does not know it."
            )
        if declared is not None and _kind(field) not in (int, float, str):
            raise TypeError(f"{name} must be an int, a float or a str, but is {field.type}.")
        if declared is not None and _kind(field) is str and not declared.choices:
            raise TypeError(f"{name} must have `choices`, because it is a word.")


def _kind(field: dataclasses.Field) -> type:
    """The type of a field; annotations are words in a module that imports them from `__future__`."""
    return {"int": int, "float": float, "str": str}.get(str(field.type), field.type)  # pyright: ignore


def all_options(experiments: Iterable[Any]) -> dict[str, Option]:
    """The options of several experiments, each as the first one that has it declares it."""
    out: dict[str, Option] = {}
    for experiment in experiments:
        for name, one in options_of(experiment).items():
            out.setdefault(name, one)
    return out


# Options that several experiments have, each with its own default: `particles(1000, minimum=4)`, for example.
particles = partial(option, help="number of particles N", minimum=2, maximum=2**31, symbol="number of particles N")
dt = partial(option, help="time step", above=0, symbol="time step Δt")
steps = partial(option, help="number of steps", minimum=1, maximum=2**31 - 1)
replicas = partial(option, help="number of independent runs", minimum=1, maximum=2**31 - 1)
seed = partial(option, 0, help="seed of the random numbers", minimum=0, maximum=2**32 - 1)
amplitude = partial(
    option, help="amplitude of the perturbation, relative to the homogeneous state", above=0, below=1,
    symbol="amplitude of the perturbation", reason=", so that f > 0",
)  # fmt: skip
wavenumber = partial(
    option, help="wavenumber k of the perturbation; the torus has length 2 pi/k", above=0, symbol="wavenumber k"
)
temperature = partial(option, help="temperature of the homogeneous state", above=0, symbol="temperature T")


def dim(default: int, minimum: int = 2, maximum: int | None = None) -> Any:
    return option(default, "dimension d of velocity", minimum=minimum, maximum=maximum, symbol="dimension d")


def scheme(*choices: str) -> Any:
    """The schemes for which the report is valid, the default first."""
    return option(choices[0], "time-stepping scheme", choices=choices)


def gamma(default: float, note: str = "at least -dim") -> Any:
    return option(default, "exponent of the interaction", symbol="exponent γ", note=note)


def check_gamma(gamma: float, dim: int) -> None:
    if gamma < -dim:
        raise argument_error("--gamma", f"be at least -d = {-dim}", f"is {gamma:g}", "raise it")


def check_gamma_at_most(gamma: float, largest: float) -> None:
    if gamma > largest:
        raise argument_error("--gamma", f"be at most {largest:g}", f"is {gamma:g}", "lower it")


def points(default: int, axis: str, minimum: int) -> Any:
    return option(default, f"points in {axis}", minimum=minimum, even=True, symbol=f"points in {axis}")
