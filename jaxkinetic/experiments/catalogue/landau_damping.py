"""Landau damping [Landau1946]: a wave in a collisionless Maxwellian plasma decays at the rate of the dispersion relation."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._util.checks import argument_error
from ...fitting.oscillation import fit_oscillation
from ...plotting import Axes
from ...vlasov import Maxwellian, Poisson, dispersion_root
from .._harness import option as options
from .._harness.experiment import Headline
from .._harness.grid import Evolution, GridExperiment, GridProblem, grid_report, rates, wavelength
from .._harness.report import Report, Series
from ._systematic import GridFit, fitted

__all__ = ["LandauDamping"]

# The largest velocity on the grid.
_REACH = 8.0
# Periods left out of the fit: modes that are damped faster are still present.
_TRANSIENT = 2.5
# Fewest saves in the window of the fit.
_FEWEST = 12
# Fraction of the initial wave below which round-off dominates.
_LOST = 1e-8


class LandauDamping(GridExperiment):
    name = "landau-damping"
    summary = (
        "a wave in a collisionless plasma: frequency and damping rate against the roots of the dispersion relation"
    )
    headline = Headline("damping_rate", "damping rate", "systematic")
    dt: float = options.dt(0.1)
    steps: int = options.steps(400, minimum=20)
    nx: int = options.points(32, "x", 8)
    nv: int = options.points(256, "v", 32)
    amplitude: float = options.amplitude(1e-3)
    wavenumber: float = options.wavenumber(0.5)

    def check(self) -> None:
        super().check()
        end = self.dt * self.steps
        # By Bohm and Gross's frequency, which is below that of the wave: this many true periods take less time.
        least = (_TRANSIENT + 2) * 2 * np.pi / np.hypot(1, np.sqrt(3) * self.wavenumber)
        if end < least:
            must = f"reach t = {least:.3g}, {_TRANSIENT + 2:g} periods of the wave"
            raise argument_error("--steps", must, f"ends at {end:.3g}", "raise it, or --dt")

    def problem(self) -> GridProblem:
        length = wavelength(self.wavenumber)
        return GridProblem(Poisson(length), Maxwellian(1.0, length), self.wavenumber, _REACH)

    def analyse(self, evolution: Evolution, problem: GridProblem) -> Report:
        k, end, times = self.wavenumber, self.dt * self.steps, evolution.times
        root = complex(dispersion_root(problem.potential, problem.f0, k))
        period = 2 * np.pi / root.real
        # At this time the phases k v t of all grid velocities agree again [ChengKnorr1976].
        recurrence = 2 * np.pi / (k * (evolution.v[1] - evolution.v[0]))
        # End the fit before the recurrence of the wave, and before round-off dominates.
        window = _TRANSIENT * period, min(end, 0.8 * recurrence, np.log(_LOST) / root.imag)
        # As a single mode, for two periods at least.
        long = window[1] > window[0] + 2 * period
        found = fitted(_rates, _FEWEST, self, evolution, window if long else None)
        exact = {"damping_rate": -root.imag, "frequency": root.real}
        # sqrt(k E), with the field E = A/k of the density perturbation A cos kx.
        bounce = np.sqrt(self.amplitude)
        why = (
            f"the run has fewer than {_FEWEST} saves of the wave as a single mode; lower --dt"
            if long
            else f"by {_TRANSIENT + 2:g} periods the wave has recurred, has decayed to round-off, or is not yet a single mode"
        )
        notes = (
            found["frequency"].sentence("Frequency", root.real),
            found["damping_rate"].sentence("Damping rate", -root.imag),
            f"Fitted to the mode of the density from t = {window[0]:.3g} to {window[1]:.3g} (the first {_TRANSIENT:g} periods "
            "are a transient); the energy of the field decays at twice the rate.",
        ) if found else (
            f"Nothing is fitted: {why}. By the dispersion relation the frequency is {root.real:.6f} and the damping rate "
            f"{-root.imag:.6f}.",
        )  # fmt: skip
        strong = f"NOT linear: the bounce frequency of trapped particles, about {bounce:.2g}, exceeds the damping rate."
        when = "within" if recurrence < end else "after"
        notes += (
            strong if bounce > -root.imag else "",
            f"On this grid the wave recurs at t = {recurrence:.3g}, {when} the run.",
        )
        numbers: dict[str, Any] = {key: found.get(key, GridFit()).beside(value) for key, value in exact.items()}
        numbers["wavenumber"] = k

        def lines(ax: Axes) -> None:
            if found:
                # Envelopes of the field energy, from its largest value in the first fitted period on.
                t = times[times >= window[0]]
                first = len(times) - len(t)
                top = evolution.field_energy[first : first + max(2, round(period / (times[1] - times[0])))].max()
                rates(t, top, -found["damping_rate"].value, root.imag)(ax)

        mode = Series("", "density mode", evolution.mode, form="+.4e")
        f0 = np.asarray(problem.f0(jnp.asarray(evolution.v)))[None, :]
        title = f"Landau damping, k = {k:g}  {self.resolution()}"
        return grid_report(evolution, mode, notes, numbers, title, _REACH / 2, f0, lines)


def _rates(evolution: Evolution, window: tuple[float, float]) -> dict[str, float]:
    fit = fit_oscillation(evolution.times, evolution.mode, window=window)
    return {"damping_rate": -float(fit.growth), "frequency": float(fit.frequency)}
