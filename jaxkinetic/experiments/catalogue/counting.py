"""The counting functional of [NeissPickl2018] as N grows: the fraction of the particles outside the mean-field state, beside
the bound of their Theorem 4.8. The theorem is stated on R^d; the data here live on a torus."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import plotting as look
from ...vlasov import Counting as Statistics
from .._harness import option as options
from .._harness.panels import dots, line, panel
from .._harness.parts import Part
from .._harness.report import Estimate, Report, Series
from ._amplitudes import FIRST, AmplitudeExperiment, exponent, outside_panel

__all__ = ["Counting"]

# The lambda at which the exponent of Theorem 4.8, min(lambda, (1 - lambda)/4), is largest.
_LAMBDA = 0.2
# The largest N whose k-distribution is sampled: one sample takes N + 1 runs of N particles.
_ALL = 8
# Number of times at which <n^2> is sampled.
_TIMES = 4
# The N whose k-distribution is drawn.
_SHOWN = 4


class Counting(AmplitudeExperiment):
    name = "counting"
    summary = (
        "the counting functional against N: particles outside the mean-field state, beside the exponent of theorem 4.8"
    )
    particles: int = options.particles(256, minimum=4)
    steps: int = options.steps(20, minimum=4)
    scheme: str = options.scheme("leapfrog")
    nv: int = options.points(64, "v", 32)

    def problem(self) -> Mapping[str, Part]:
        flow = functools.cache(self.flow)

        def count(num: int, steps: int, swaps: int) -> Sequence[Any]:
            return _numbers(self.sampled(num, flow(steps), swaps=swaps), whole=swaps == num)

        parts = {f"N = {n}": functools.partial(count, n, self.steps, n if n <= _ALL else 1) for n in self.sizes()}
        return parts | {f"step {step}": functools.partial(count, self.particles, step, 1) for step in self._saved()}

    def _saved(self) -> list[int]:
        return [int(step) for step in np.unique(np.linspace(0, self.steps, _TIMES + 1).astype(int)[1:])]

    def analyse(self, parts: Mapping[str, Sequence[np.ndarray]]) -> Report:
        n, steps, end = np.asarray(self.sizes()), np.asarray(self._saved()), self.dt * self.steps
        counts = [parts[f"N = {num}"] for num in n]
        over_time = np.stack([np.stack(parts[f"step {step}"][:2]) for step in steps])
        outside, error = np.stack([np.stack(count[:2]) for count in counts], 1)
        lower, upper = np.stack([count[2] for count in counts], 1)
        whole = [count for count, num in zip(counts, n, strict=True) if num <= _ALL]
        functional, functional_error = np.stack([count[3] for count in whole], 1)
        first = int(min(FIRST, n[-3] if len(n) > 2 else n[0]))
        rate, theorem = exponent(n, outside, error, first), min(_LAMBDA, (1 - _LAMBDA) / 4)
        notes = (
            f"At t = {end:g} the fraction of the particles outside the mean-field state, <n^2> = 1 - <p_1> with p_1 the "
            f"projection of particle 1 on that state, decays as N^b, "
            f"b = {rate:.3f} (fitted from N = {n[n >= first][0]} on).",
            f"Theorem 4.8 of Neiss and Pickl, on R^d, bounds <m_lambda> by N^-{theorem:g} times a constant that grows with t, "
            f"at lambda = {_LAMBDA:g}, where its exponent is best. Here <m_lambda> lies between <n^2> and "
            f"N^{1 - _LAMBDA:g} <n^2>, that is between N^{rate.value:.2f} and N^{rate.value + 1 - _LAMBDA:.2f}.",
            f"<m_lambda> itself is sampled up to N = {_ALL}: one sample takes N + 1 runs of N particles.",
            "+- is one standard error. The initial amplitude is complex, so the phase K of the Hamilton-Vlasov equation acts.",
        )
        numbers = {
            "exponent": rate, "exponent_theorem": -theorem, "lambda": _LAMBDA, "time": end,
            "outside": Estimate(outside[-1], error[-1]),
        }  # fmt: skip
        few = n[: len(whole)]
        texts = [f"{m:.4f} +- {e:.4f}" for m, e in zip(functional, functional_error, strict=True)]
        series = (
            Series("sizes", "N", n, form="d"),
            Series("outside", "<n^2>", outside, form=".3e"),
            Series("outside_stderr", "+-", error, form=".1e"),
            Series("", "N <n^2>", n * outside, form=".3f"),
            Series("", "least", lower, form=".3e"),
            Series("", f"<m_{_LAMBDA:g}>", texts + ["-"] * (len(n) - len(few))),
            Series("", "most", upper, form=".3e"),
        )
        distribution, distribution_error = parts[f"N = {_SHOWN}"][4]
        arrays = {
            "bounds": np.stack([lower, upper], 1), "functional": functional, "functional_stderr": functional_error,
            "distribution": distribution, "distribution_stderr": distribution_error, "times": steps * self.dt,
            "outside_over_time": over_time[:, 0], "outside_over_time_stderr": over_time[:, 1],
        }  # fmt: skip
        dims = {
            "bounds": "N bound", "functional": "few", "functional_stderr": "few", "distribution": "outside_particles",
            "distribution_stderr": "outside_particles", "outside_over_time": "time", "outside_over_time_stderr": "time",
        }  # fmt: skip

        expectation = rf"$\langle m_{{{_LAMBDA:g}}}\rangle$"
        correlations, noise = self.particles * np.r_[[[0.0, 0.0]], over_time].T
        bars = {"yerr": distribution_error, "color": look.BLUE, "alpha": 0.7, "capsize": 3}
        panels = (
            outside_panel(
                n, outside, error, rate.value, r"$\langle n^2\rangle = 1 - \langle p_1\rangle$",
                lambda ax: ax.fill_between(n, lower, upper, color=look.BLUE, alpha=0.15, lw=0, label=f"{expectation} is here"),
                dots(few, functional, functional_error, expectation, look.ORANGE),
                line(n, upper[0] * (n / n[0]) ** -theorem, f"theorem 4.8: slope {-theorem:g}", ":", lw=2),
                y="expectation", title=f"At t = {end:g}",
            ),
            panel(
                lambda ax: ax.bar(np.arange(len(distribution)), distribution, **bars), x="k particles outside",
                y=r"$\langle P_k\rangle$", title=f"How many of N = {_SHOWN}",
            ),
            panel(
                dots(np.r_[0.0, steps * self.dt], correlations, noise, ""), y=r"$N\,\langle n^2\rangle$",
                title=f"Correlations grow, N = {self.particles}", bottom=0,
            ),
        )  # fmt: skip
        title = f"Particles outside the mean-field state  (HMF model, complex data, {self.replicas} samples)"
        return Report(numbers, series, notes, panels, title, arrays, dims=dims)


def _numbers(c: Statistics, *, whole: bool) -> Sequence[Any]:
    """<n^2>, its error, the bounds of <m_lambda>; if the `whole` k-distribution was sampled, also <m_lambda> and that
    distribution, each with its error."""
    numbers = [c.outside, c.outside_stderr, np.asarray(c.bounds(_LAMBDA))]
    if whole:
        numbers.append(np.asarray([c.functional(_LAMBDA), c.functional_stderr(_LAMBDA)]))
        numbers.append(np.stack([c.distribution, c.distribution_stderr]))
    return numbers
