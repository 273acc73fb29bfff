"""The rate of propagation of chaos, measured."""

import dataclasses
import functools
import math
import os
import sys
import time as clock
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from .._core.system import AbstractScheme, AbstractSystem
from .._io.atomic_npz import as_path
from .._io.progress import Progress, check_progress
from .._util.checks import argument_error, check_bool, check_integer, check_scalar, describe
from .._util.numpy_checks import check_key, known_numbers
from .._util.types import Key, RealScalarLike, State
from ..states import Particles
from . import report
from ._arguments import (
    LEAST_RUNS,
    MOST_PARTICLES,
    check_functions,
    check_state,
    check_varies,
    checked_distances,
    checked_floor,
    checked_system,
    checked_theory,
)
from .distance import AbstractDistance
from .fit import fit_exponent, runs_needed
from .limits import check_limit, laws_at
from .measured import Measured, floors
from .runs import Runs, parts_of, round_size, steps_of
from .series import Exponent, Series, Theory

__all__ = ["ChaosStudy", "chaos_study"]

# Runs of each N, unless the caller says more.
_REPLICAS = 256
_MOST = 2**16
_PILOT = 128


@dataclasses.dataclass(frozen=True)
class ChaosStudy:
    """What `chaos_study` measured, seen at one `time`.

    - `Ns`, `times`, `replicas` (runs of each N); `system`, `limit`: in words. `theory`: by the name of the distance.
    - `series[name]`: `Series` with N, value, stderr, floor. `exponents[name]`: `Exponent`.
    - `gain[name]`, (n,): the factor by which control variates and coupling reduce the variance; 1 without them.
    - `at(time)`: the study at another of its times. `richardson(name)`: twice the value of N minus that of N/2.
    - `table()`, `plot()`, `to_json(path=None)`."""

    measured: Mapping[str, Measured]
    times: tuple[float, ...]
    time: float
    system: str
    limit: str
    theory: Mapping[str, Theory]

    @property
    def Ns(self) -> tuple[int, ...]:
        return next(iter(self.measured.values())).Ns

    @property
    def replicas(self) -> tuple[int, ...]:
        return next(iter(self.measured.values())).replicas

    @property
    def _index(self) -> int:
        """Among the saves, of which the first is at time 0."""
        return self.times.index(self.time) + (self.times[0] > 0)

    @functools.cached_property
    def series(self) -> dict[str, Series]:
        return {name: one.series(self._index) for name, one in self.measured.items()}

    @functools.cached_property
    def exponents(self) -> dict[str, Exponent]:
        return {
            name: fit_exponent(one, floor="fit") if self.measured[name].fit_floor else fit_exponent(one)
            for name, one in self.series.items()
        }

    @functools.cached_property
    def gain(self) -> dict[str, np.ndarray]:
        return {name: one.gain(self._index) for name, one in self.measured.items()}

    def at(self, time: float) -> "ChaosStudy":
        """The same runs at another time. **Raises:** `ValueError` for a time at which nothing was measured."""
        check_scalar("time", time)
        near = [t for t in self.times if math.isclose(t, float(time), rel_tol=1e-9, abs_tol=1e-12)]
        if not near:
            raise argument_error("time", f"be one of {list(self.times)}", f"is {time}", "add it to `times`")
        return dataclasses.replace(self, time=near[0])

    def richardson(self, name: str) -> Series:
        """2 value(N) - value(N/2), for every N whose half was measured: what depends on N as c + b/N keeps only c, with an
        error of order N^-2."""
        if name not in self.series:
            raise argument_error("name", f"be one of {list(self.series)}", f"is {name!r}", "correct it")
        one = self.series[name]
        pairs = [(list(one.N).index(n // 2), i) for i, n in enumerate(one.N) if n % 2 == 0 and n // 2 in one.N]
        if not pairs:
            raise argument_error(
                "name", "be measured at some N and at N/2", f"has N = {list(one.N)}", "double N in `Ns`"
            )
        half, full = np.array(pairs).T
        draws = 2 * one.draws[:, full] - one.draws[:, half]
        value, zero = 2 * one.amount[full] - one.amount[half], np.zeros(len(full))
        stderr = draws.std(0, ddof=1) if len(draws) > 1 else zero
        return Series(one.N[full], value, stderr, value, zero, one.replicas[full], value, draws, one.power)

    def table(self) -> str:
        """Markdown: quantity, theorem, predicted and measured exponent, N of the fit, what the fit says."""
        return report.table(self)

    def plot(self) -> Any:
        """A log-log figure (matplotlib) with floors; points within their noise are hollow."""
        return report.plot(self)

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        return report.to_json(self, path)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}: {one.value:.3g} +- {one.stderr:.2g}" for name, one in self.exponents.items())
        return f"ChaosStudy({self.system}, N = {list(self.Ns)}, t = {self.time:g}; exponents {shown})"

    def _repr_markdown_(self) -> str:
        """The table, which a notebook shows as one."""
        return self.table()


def chaos_study(
    system_of_N: Callable[[int], AbstractSystem],
    start: Callable[[Key, int], State],
    distances: Mapping[str, AbstractDistance],
    Ns: Sequence[int],
    *,
    key: Key,
    times: RealScalarLike | Sequence[float],
    dt: float | None = None,
    scheme: AbstractScheme | None = None,
    replicas: int | None = None,
    target: float | None = None,
    limit: Any = None,
    floor: bool | str = True,
    independent_start: bool = False,
    coupled: bool = False,
    theory: Mapping[str, Theory] | None = None,
    draws: int = 200,
    path: str | os.PathLike | None = None,
    progress: bool = False,
) -> ChaosStudy:
    r"""Distances between N particles and their limit for a range of N, and the exponents p with which they decay, N^{-p}.

    For every N, independent runs of `system_of_N(N)` from `start(key, N)`. Each distance keeps a few numbers of each run at
    each time; its value is estimated from all runs, and products of means are unbiased; its error is a bootstrap over the runs.
    What N independent particles of the limit would give is measured in the same way and removed in quadrature. An exponent is
    fitted by `fit_exponent`, whose error counts the runs and the choice of the window.

    **Arguments:**

    - `system_of_N`: N -> system. To couple a parameter to N, use N: `lambda N: jk.landau.Microcanonical(interaction,
      epsilon=1/N)`.
    - `start`: (key, N) -> state, for example `lambda key, N: jk.initial.maxwellian(key, N, 3)`.
    - `distances`: name -> distance, from `jk.chaos`. `theory`: name -> `jk.chaos.Theory`, for the table.
    - `Ns`: at least three, each at least 2.
    - `times`, `dt`: multiples of dt, 0 included (by default, for `ExactClock`, the largest dt of which all are multiples).
    - `replicas`: runs of each N, rounded up to complete rounds; 256 by default. `target`: the standard error that every
      exponent shall have; then as many runs as that takes, at most `replicas` (65536 by default).
    - `limit`: the law of one particle in the limit, for distances that need it: `(equation, density)`, where the equation is
      `system.limit()`, or a function time -> law. A law is a `jk.RadialDensity`, a `jk.Density`, or a sampler
      (key, num) -> `jk.Particles`.
    - `floor`: True measures the floor and removes it, False keeps the raw distance, "fit" makes it a parameter of the fit.
    - `independent_start`: the particles of `start` are independent with the law of the limit. Then distances that vanish at
      time 0 use their value at time 0 as a control variate, with a coefficient from the other half of the runs: unbiased.
    - `coupled`: measures the distance of N particles minus the mean of those of its two halves, which run by themselves with
      the same initial values and the same noise; Ns even. It decays with the same exponent p > 0 (at p = 0 it is 0), needs no
      limit for `Moment`, and its variance is smaller by `gain`.
    - `draws`: of the bootstrap. Its errors are too small by 10 to 20 % for heavy-tailed observables and fewer than 100 runs.
    - `path`: a folder in which finished rounds are stored: a call with the same arguments computes
      what is missing, and gives the same result bit for bit on a CPU. `progress`: a bar, and after two rounds of every N the
      time that is left.

    **Returns:** a `ChaosStudy`. A state that is a density (`jk.landau.Liouville`) is deterministic: one run, no bootstrap.

    Memory: one round, and (R, T, S) numbers for each distance. Cost: that of the runs.

    **Raises:** `ValueError` for fewer than three N, an N below 2, times that are no multiples of dt, fewer than 4 runs, a
    distance that is not defined for the state, a limit that does not belong to the system or is missing, an
    `independent_start` that does not vanish at time 0, and a `target` that needs more runs than allowed, with their number;
    `SimulationError` if a run fails."""
    Ns = _numbers(Ns, coupled=check_bool("coupled", coupled))
    check_key("key", key)
    check_progress(progress)
    check_bool("independent_start", independent_start)
    floor, distances = checked_floor(floor), checked_distances(distances)
    theory = checked_theory(theory, distances)
    check_functions(system_of_N, start)
    check_integer("draws", draws, minimum=2)
    moments = tuple(
        float(t) for t in known_numbers("times", np.atleast_1d(np.asarray(times)), shape=(None,), nonnegative=True)
    )
    if not moments or any(np.diff(moments) <= 0):
        must = "increase" if moments else "have at least one time"
        raise argument_error("times", must, f"is {list(moments)}", "pass `sorted(set(times))`")
    smallest = checked_system(system_of_N, Ns[0])
    step = _step(moments, dt, scheme or smallest.default_scheme())
    most = check_integer("replicas", replicas, minimum=1) if replicas is not None else _MOST if target else _REPLICAS
    if target is not None:
        check_scalar("target", target, positive=True)
    pilot, saves = min(most, _PILOT) if target else most, tuple(dict.fromkeys((0.0, *moments)))
    laws = _laws(limit, saves, step, distances, smallest)
    path = None if path is None else as_path("path", path)
    studies, warned = [], set()
    for num in Ns:
        system = checked_system(system_of_N, num)
        key_n = jax.random.fold_in(key, num)
        starts = parts_of(start, num, coupled)
        state = jax.eval_shape(starts[0], key)
        for one in distances.values():
            if not one.samples_itself:
                one.check(system, state)
        check_state(state, num, laws)
        _check_exchangeable_halves(coupled, state)
        parts: list[Runs] = []
        for i, part in enumerate(starts):
            of = system if i == 0 else checked_system(system_of_N, part.size)
            tables = {name: one.tables(laws if one.needs_limit else (), part.size) for name, one in distances.items()}
            folder = None if path is None else path / f"N-{num}{['', '-first', '-last'][i]}"
            steps = steps_of(saves, step)
            parts.append(Runs(of, part, distances, tables, key_n, saves, steps, step, scheme, folder, warned))
        if most < LEAST_RUNS and not _deterministic(parts[0]):
            raise argument_error("replicas", f"be at least {LEAST_RUNS}, for errors", f"is {most}", "run more of them")
        for one in parts:
            one.size = 1 if _deterministic(one) else round_size(starts[0], key, pilot)
        studies.append(parts)

    def floor_of(name: str) -> list[np.ndarray] | None:
        # As many as there are runs: the floor of a mean over runs may depend on their number.
        one, runs = distances[name], studies[0][0].replicas
        if not one.has_floor or floor is not True or coupled:
            return None
        return floors(one, Ns, [parts[0].tables[name] for parts in studies], laws, key, runs)

    def seen() -> ChaosStudy:
        measured = {
            name: Measured(
                one, Ns, tuple(tuple(part.statistics(name) for part in parts) for parts in studies),
                tuple(tuple(part.tables[name] for part in parts) for parts in studies), floor, independent_start, draws,
                floor_of(name),
            )
            for name, one in distances.items()
        }  # fmt: skip
        of = repr(system_of_N(Ns[-1]))
        told = f"{of} at N = {Ns[-1]}"
        return ChaosStudy(measured, moments, moments[-1], told, _limit_in_words(limit, smallest), theory)

    _run(studies, pilot, progress)
    study = seen()
    check_varies(study.measured, bool(_deterministic(studies[0][0])))
    for name, one in study.measured.items():
        one.check_control(name)
    while target is not None and not _deterministic(studies[0][0]):
        needed = max(_needed(study.exponents[name], study.series[name], target, most) for name in distances)
        if needed <= min(study.replicas):
            break
        if needed > most:
            unknown = not all(math.isfinite(one.value) for one in study.exponents.values())
            raise argument_error(
                "target", f"be reachable with {most} runs of each N",
                f"{target:g} takes {'at least' if unknown else 'about'} {needed}",
                f"raise `replicas` to {needed}, or `target`",
            )  # fmt: skip
        _run(studies, needed, progress)
        study = seen()
    return study


def _needed(exponent: Exponent, series: Series, target: float, most: int) -> int:
    """Runs of each N after which the exponent may have this error, at least the present number. `most`: allowed."""
    runs = int(min(series.replicas))
    if not math.isfinite(exponent.value):
        # Without an exponent, only the runs until three N stand out of the noise are known.
        return min(4 * runs, most) if runs < most else max(runs + 1, runs_needed(exponent, series, target))
    if exponent.stderr <= target:
        return runs
    share = (exponent.stderr**2 - exponent.stderr_window**2) / target**2
    # What the exponent depends on the range of N is itself noisy as long as the runs are few.
    return math.ceil(2 * share * runs) if share > 0.5 else max(runs + 1, runs_needed(exponent, series, target))


def _run(studies: list[list[Runs]], replicas: int, progress: bool) -> None:
    """Rounds until there are so many replicas: first one round of every N, which is compiled, then one that is timed, then the
    others."""
    rounds = [1 if _deterministic(parts[0]) else math.ceil(replicas / parts[0].size) for parts in studies]
    left = [max(0, n - len(parts[0].rounds)) for n, parts in zip(rounds, studies, strict=True)]
    seconds = [0.0] * len(studies)
    with Progress(sum(left), "round", shown=progress, label="chaos") as bar:
        for phase in ("compiled", "timed", "the rest"):
            for i, parts in enumerate(studies):
                for _ in range(left[i] if phase == "the rest" else min(left[i], 1)):
                    begin = clock.perf_counter()
                    for part in parts:
                        part.run()
                    seconds[i] = clock.perf_counter() - begin
                    left[i] -= 1
                    bar.note(f"N = {parts[0].start.num}")
                    bar.advance()
            if phase == "timed" and progress and any(left):
                more = sum(n * s for n, s in zip(left, seconds, strict=True))
                print(f"About {more:.0f} s more.", file=sys.stderr, flush=True)


def _deterministic(runs: Runs) -> bool:
    if all(one.samples_itself for one in runs.distances.values()):
        return False
    return not isinstance(jax.eval_shape(runs.start, runs.key), Particles)


def _numbers(Ns: Sequence[int], coupled: bool) -> tuple[int, ...]:
    try:
        found = [check_integer("Ns", n, minimum=2) for n in Ns]
    except TypeError:
        raise argument_error("Ns", "be a sequence of integers", f"is {describe(Ns)}", "pass [64, 128, 256]") from None
    found = tuple(sorted(set(found)))
    if len(found) < 3:
        was = f"has {len(found)}"
        raise argument_error(
            "Ns", "have at least three different N, or there is no exponent", was, "pass [64, 128, 256]"
        )
    if found[-1] > MOST_PARTICLES:
        raise argument_error("Ns", f"be at most {MOST_PARTICLES}", f"has {found[-1]}", "lower it")
    if coupled and any(n % 2 or n < 4 for n in found):
        raise argument_error("Ns", "be even and at least 4 for coupled halves", f"is {list(found)}", "change them")
    return found


def _step(times: Sequence[float], dt: Any, scheme: AbstractScheme) -> float:
    if dt is None:
        from ..pairs import ExactClock

        if not isinstance(scheme, ExactClock):
            raise argument_error("dt", f"be given for {type(scheme).__name__}", "is missing", "pass the time step")
        return _common_step(times)
    check_scalar("dt", dt, positive=True)
    dt = float(dt)
    for t in times:
        if abs(t / dt - round(t / dt)) > 1e-6 or (t > 0 and round(t / dt) < 1):
            raise argument_error("times", f"be multiples of dt = {dt:g}", f"has {t:g}", "change one of the two")
    return dt


def _common_step(times: Sequence[float]) -> float:
    """The largest dt of which all times are multiples; 1 if all are 0."""
    last = times[-1]
    if last == 0:
        return 1.0
    shares = [Fraction(t / last).limit_denominator(10**4) for t in times]
    if any(abs(t / last - share) > 1e-9 for t, share in zip(times, shares, strict=True)):
        raise argument_error("dt", f"be given for times without a common step, {list(times)}", "is missing", "pass it")
    # The last share is 1.
    return last / math.lcm(*(share.denominator for share in shares))


def _laws(
    limit: Any, times: Sequence[float], dt: float, distances: Mapping[str, Any], system: AbstractSystem
) -> list[Any]:
    needing = [name for name, one in distances.items() if one.needs_limit]
    if limit is not None:
        check_limit(system, limit)
    if not needing:
        return []
    if limit is None:
        raise argument_error(
            "limit", f"be given for {needing[0]!r}, a distance to the limit", "is missing",
            "pass (system.limit(), density), or a function time -> law",
        )  # fmt: skip
    return list(laws_at(limit, times, dt))


def _limit_in_words(limit: Any, system: AbstractSystem) -> str:
    if limit is None:
        return "none: the distances are between N particles"
    return repr(limit[0]) if isinstance(limit, tuple) else (getattr(limit, "__doc__", None) or describe(limit)).strip()


def _check_exchangeable_halves(coupled: bool, state: Any) -> None:
    if coupled and not isinstance(state, Particles):
        raise argument_error("coupled", "be False for a state that is no Particles", "is True", "leave it out")
