"""The counting functional of [NeissPickl2018] as N grows: the fraction of the particles outside the mean-field state, beside
the bound of their Theorem 4.8. The theorem is stated on R^d; the data here live on a torus."""

import functools

import numpy as np

from ... import plotting as look
from ...plotting import Figure
from ...vlasov import Counting
from .._harness.errors import log_log_slope
from .._harness.experiment import AmplitudeOptions, Experiment, Headline, Report, Watch
from .._harness.progress import Progress
from .._harness.table import table
from ._amplitudes import flow, sampled, sizes

__all__ = ["COUNTING", "run"]

# The lambda at which the exponent of Theorem 4.8, min(lambda, (1 - lambda)/4), is largest.
_LAMBDA = 0.2
# The largest N whose k-distribution is sampled: one sample takes N + 1 runs of N particles.
_ALL = 8
# The smallest N in the fit: the exponent is that of large N.
_FIRST = 8
# Number of times at which <n^2> is sampled.
_TIMES = 4
# The N whose k-distribution is drawn.
_SHOWN = 4


def run(options: AmplitudeOptions, watch: Watch) -> Report:
    numbers_of = sizes(options.particles)
    steps = np.unique(np.linspace(0, options.steps, _TIMES + 1).astype(int)[1:])
    counts: list[Counting] = []
    with Progress("counting", len(numbers_of) + len(steps), shown=watch.progress, unit="part") as bar:
        last = flow(options, options.steps)
        for num in numbers_of:
            counts.append(sampled(options, num, last, swaps=num if num <= _ALL else 1))
            bar.advance()
        over_time = []
        for step in steps:
            over_time.append(sampled(options, options.particles, flow(options, int(step))))
            bar.advance()

    n = np.asarray(numbers_of)
    outside, error = _values([c.outside for c in counts]), _values([c.outside_stderr for c in counts])
    bounds = np.asarray([[float(b) for b in c.bounds(_LAMBDA)] for c in counts])
    whole = [c for c in counts if c.num_particles <= _ALL]
    functional = _values([c.functional(_LAMBDA) for c in whole])
    functional_error = _values([c.functional_stderr(_LAMBDA) for c in whole])
    fitted = n >= min(_FIRST, n[-3] if len(n) > 2 else n[0])
    rate, rate_error = log_log_slope(n[fitted], outside[fitted], error[fitted], least=3)
    theorem = min(_LAMBDA, (1 - _LAMBDA) / 4)

    lines = []
    for i, num in enumerate(n):
        measured = f"{functional[i]:.4f} +- {functional_error[i]:.4f}" if i < len(whole) else "-"
        lines.append(
            [str(num), f"{outside[i]:.3e}", f"{error[i]:.1e}", f"{num * outside[i]:.3f}", f"{bounds[i, 0]:.3e}",
             measured, f"{bounds[i, 1]:.3e}"]
        )  # fmt: skip
    end = options.dt * options.steps
    findings = (
        f"At t = {end:g} the fraction of the particles outside the mean-field state, <n^2> = 1 - <p_1>, decays as N^b, "
        f"b = {rate:.3f} +- {rate_error:.3f} (fitted from N = {n[fitted][0]} on).",
        f"Theorem 4.8 of Neiss and Pickl, on R^d, bounds <m_lambda> by N^-{theorem:g} times a constant that grows with t, "
        f"at lambda = {_LAMBDA:g}, where its exponent is best. Here <m_lambda> lies between <n^2> and N^{1 - _LAMBDA:g} <n^2>, "
        f"that is between N^{rate:.2f} and N^{rate + 1 - _LAMBDA:.2f}.",
        f"<m_lambda> itself is sampled up to N = {_ALL}: one sample takes N + 1 runs of N particles.",
        "+- is one standard error. The initial amplitude is complex, so that the phase K of (HVl) contributes.",
    )
    numbers = {
        "exponent": rate, "exponent_stderr": rate_error, "exponent_theorem": -theorem, "lambda": _LAMBDA,
        "outside": float(outside[-1]), "outside_stderr": float(error[-1]), "time": end,
    }  # fmt: skip
    shown = next(c for c in counts if c.num_particles == _SHOWN)
    results = {
        "sizes": n, "outside": outside, "outside_stderr": error, "bounds": bounds, "functional": functional,
        "functional_stderr": functional_error, "distribution": np.asarray(shown.distribution),
        "distribution_stderr": np.asarray(shown.distribution_stderr), "times": steps * options.dt,
        "outside_over_time": _values([c.outside for c in over_time]),
        "outside_over_time_stderr": _values([c.outside_stderr for c in over_time]),
    }  # fmt: skip
    headers = ["N", "<n^2>", "+-", "N <n^2>", "least", f"<m_{_LAMBDA:g}>", "most"]
    return Report(
        table(headers, lines), findings, numbers, results,
        functools.partial(_draw, results, rate, theorem, shown.num_particles, options),
    )  # fmt: skip


def _values(values: list) -> np.ndarray:
    return np.asarray([float(v) for v in values])


def _draw(results: dict, rate: float, theorem: float, num: int, options: AmplitudeOptions) -> Figure:
    title = f"Particles outside the mean-field state  (HMF model, complex data, {options.replicas} samples)"
    figure, axes = look.new_figure(1, 3, size=(16.5, 5.0), title=title)
    ax, n = axes[0, 0], results["sizes"]
    lower, upper = results["bounds"].T
    ax.fill_between(
        n, lower, upper, color=look.BLUE, alpha=0.15, lw=0, label=rf"$\langle m_{{{_LAMBDA:g}}}\rangle$ is here"
    )
    look.points(
        ax, n, results["outside"], results["outside_stderr"], label=r"$\langle n^2\rangle = 1 - \langle p_1\rangle$"
    )
    few = n[: len(results["functional"])]
    look.points(
        ax, few, results["functional"], results["functional_stderr"], color=look.ORANGE,
        label=rf"$\langle m_{{{_LAMBDA:g}}}\rangle$",
    )  # fmt: skip
    if np.isfinite(rate):
        ax.plot(n, results["outside"][-1] * (n / n[-1]) ** rate, "--", color=look.BLUE, label=f"slope {rate:.2f}")
    ax.plot(n, upper[0] * (n / n[0]) ** -theorem, ":", color=look.BLACK, lw=2, label=f"theorem 4.8: slope {-theorem:g}")
    look.log_log(ax)
    look.describe(ax, "number of particles N", "expectation", f"At t = {options.dt * options.steps:g}")
    look.legend(ax)

    ax, k = axes[0, 1], np.arange(num + 1)
    ax.bar(k, results["distribution"], yerr=results["distribution_stderr"], color=look.BLUE, alpha=0.7, capsize=3)
    look.describe(ax, "k particles outside", r"$\langle P_k\rangle$", f"How many of N = {num}")

    ax, t = axes[0, 2], np.r_[0.0, results["times"]]
    scale = options.particles
    look.points(
        ax, t, scale * np.r_[0.0, results["outside_over_time"]], scale * np.r_[0.0, results["outside_over_time_stderr"]]
    )
    look.describe(ax, "time t", r"$N\,\langle n^2\rangle$", f"Correlations grow, N = {options.particles}")
    ax.set_ylim(bottom=0)
    return figure


COUNTING = Experiment(
    name="counting",
    summary="the counting functional against N: particles outside the mean-field state, beside the exponent of theorem 4.8",
    defaults=AmplitudeOptions(
        particles=256,
        replicas=10000,
        nx=32,
        nv=64,
        dt=0.05,
        steps=20,
        amplitude=0.4,
        temperature=0.5,
        scheme="leapfrog",
    ),
    run=run,
    precision=64,
    headline=Headline("outside", "outside_stderr", "share of particles outside"),
    least_steps=4,
    least_dim=1,
    most_dim=1,
    schemes=("leapfrog",),
)
