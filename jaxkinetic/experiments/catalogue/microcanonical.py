"""Microcanonical collisions beside Kac's diffusion from the same data: their distance against epsilon, and invariants."""

import dataclasses
import functools
import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ... import initial, plotting as look
from ..._util.checks import argument_error, did_you_mean
from ...diagnostics import wasserstein
from ...landau import Kac, Microcanonical, PowerLaw, exact
from ...plotting import Figure
from ...states import Particles
from .._harness.errors import energy_drift, log_log_slope, meaning, momentum_drift, standard_error
from .._harness.experiment import Experiment, Headline, Options, Report, Watch
from .._harness.replicas import run_replicas, velocities_of
from .._harness.table import table

__all__ = ["MICROCANONICAL", "run"]

# Temperatures at the start: (2 perpendicular + parallel)/3 = 1.
_PERPENDICULAR = 1.4
_PARALLEL = 0.2
# The fewest steps of a run.
_MIN_STEPS = 4
# Of epsilon, each half of the one before.
_SIZES = 3
# Of the harmonics whose rates are drawn.
_DEGREES = 8
_EPSILON = {"fixed_angle": 1.2, "constant_rate": 0.08, "heat_kernel": 0.08}


@dataclasses.dataclass(frozen=True)
class _Run:
    """Of one process: the anisotropy of every run and save, (R, T); all last velocities along the axis; largest drifts (T,)."""

    gaps: np.ndarray
    last: np.ndarray
    momentum: np.ndarray
    energy: np.ndarray


def run(options: Options, watch: Watch) -> Report:
    law = options.law or "heat_kernel"
    gamma = -3.0 if options.gamma is None else options.gamma
    largest = _EPSILON[law] if options.epsilon is None else options.epsilon
    epsilons = largest / 2.0 ** np.arange(_SIZES)
    interaction = PowerLaw(gamma)
    # Before anything runs: a value out of range is refused here.
    systems = [Microcanonical(interaction, law, e) for e in epsilons]

    def process(system: Kac | Microcanonical, scheme: str, label: str) -> tuple[np.ndarray, _Run]:
        solution = run_replicas(
            system,
            eqx.Partial(
                initial.bimaxwellian,
                num_particles=options.particles,
                dim=options.dim,
                perpendicular=_PERPENDICULAR,
                parallel=_PARALLEL,
            ),
            dataclasses.replace(options, scheme=scheme),
            observe={},
            state=True,
            label=label,
            watch=watch,
        )
        return np.asarray(solution.times, float), _measured(velocities_of(solution))

    times, kac = process(Kac(interaction), "sweep", "Kac")
    jumps = [process(system, "exact-clock", f"epsilon {e:.4g}")[1] for system, e in zip(systems, epsilons, strict=True)]

    # The same data on both sides: what the initial velocities scatter drops out of the difference.
    changes = np.stack([run.gaps - kac.gaps for run in jumps])
    shift, noise = changes.mean(1), np.stack([standard_error(c) for c in changes])
    distances = np.array([_distance(run.last, kac.last) for run in jumps])
    half = len(kac.last) // 2
    floor = _distance(kac.last[:half], kac.last[half : 2 * half]) / math.sqrt(2)
    order, order_stderr = _slope(epsilons, shift[:, -1], noise[:, -1])
    limit = _limit(law, gamma, options.dim)
    theory = _theory(law, gamma, epsilons, np.abs(shift[:, -1]) / noise[:, -1], options.dim)
    drift_p = max(run.momentum.max() for run in (kac, *jumps))
    drift_e = max(run.energy.max() for run in (kac, *jumps))

    headers = ["epsilon", "T_perp-T_par", "+-", "minus Kac's", "+-", "W2", "|dp|", "|dE|/E"]
    end = standard_error(kac.gaps)[-1]
    rows = [
        ["Kac", f"{kac.gaps.mean(0)[-1]:.5f}", f"{end:.5f}", "", "", f"{floor:.5f}", f"{kac.momentum.max():.1e}",
         f"{kac.energy.max():.1e}"],
        *(
            [f"{e:.4g}", f"{r.gaps.mean(0)[-1]:.5f}", f"{standard_error(r.gaps)[-1]:.5f}", f"{s:+.5f}", f"{n:.5f}", f"{w:.5f}",
             f"{r.momentum.max():.1e}", f"{r.energy.max():.1e}"]
            for e, r, s, n, w in zip(epsilons, jumps, shift[:, -1], noise[:, -1], distances, strict=True)
        ),
    ]  # fmt: skip
    symbol = "the angle" if law == "fixed_angle" else "h, the mean free time of a particle"
    measured = (
        f"Measured order of the difference at t = {times[-1]:.3g} in epsilon: {order:.2f} +- {order_stderr:.2f}; "
        f"{limit:.3g} as epsilon -> 0"
        + (f"; that of the exact initial rates over the same epsilon is {theory:.2f}: close pairs." if theory else ".")
        if math.isfinite(order)
        else "Too few differences stand out of the noise by 3 standard errors: take more replicas, or a larger epsilon."
    )
    findings = (
        measured,
        f'Law "{law}", gamma = {gamma:g}: epsilon is {symbol}. Kac\'s diffusion by sweeps of order 2 at dt = {options.dt:g}, '
        "from the same data; the jump processes have no time step.",
        "W2: between the laws of the velocity along the axis at the end, all runs pooled; of Kac's row its noise floor for "
        f"independent data, from two halves of its own runs ({len(kac.last)} velocities in all).",
        meaning(options.replicas),
        f"Momentum per particle moves by at most {drift_p:.1e}, energy by {drift_e:.1e} of itself: round-off, at any epsilon.",
    )
    numbers = {
        "order": order,
        "order_stderr": order_stderr,
        "order_limit": limit,
        "order_initial_exact": theory,
        "law": law,
        "largest_epsilon": float(largest),
        "difference_first": float(shift[0, -1]),
        "difference_first_stderr": float(noise[0, -1]),
        "wasserstein": [float(w) for w in distances],
        "wasserstein_floor": floor,
        "momentum_drift": float(drift_p),
        "energy_drift": float(drift_e),
    }
    arrays = {
        "times": times, "epsilon": epsilons, "kac": kac.gaps, "microcanonical": np.stack([r.gaps for r in jumps]),
        "difference": shift, "difference_noise": noise, "wasserstein": distances,
        "momentum_drift": np.stack([r.momentum for r in (kac, *jumps)]),
        "energy_drift": np.stack([r.energy for r in (kac, *jumps)]),
    }  # fmt: skip
    draw = functools.partial(
        _draw,
        times,
        epsilons,
        kac,
        jumps,
        (shift[:, -1], noise[:, -1]),
        (order, order_stderr),
        (distances, floor),
        law,
        gamma,
        options,
    )
    return Report(table(headers, rows), findings, numbers, arrays, draw)


def _measured(velocities: np.ndarray) -> _Run:
    # Summed in float64: the round-off of a sum is not the scheme's.
    v = np.asarray(velocities, float)
    square = (v**2).mean(axis=2)
    momentum, energy = v.mean(axis=2), square.sum(-1) / 2
    return _Run(
        gaps=square[..., :-1].mean(-1) - square[..., -1],
        last=velocities[:, -1, :, -1].ravel(),
        momentum=momentum_drift(momentum).max(axis=0),
        energy=np.abs(energy_drift(energy)).max(axis=0),
    )


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(wasserstein(*(Particles(jnp.asarray(v)[:, None]) for v in (x, y))))


def _slope(epsilons: np.ndarray, values: np.ndarray, noise: np.ndarray) -> tuple[float, float]:
    """Least squares through the logarithms, weighted by their noise, of what stands out by 3 standard errors; NaN for fewer
    than two, or for one run, which does not show its noise. The noises have Kac's in common, which moves a slope less than
    noises of their own would."""
    clear = np.abs(values) > 3 * noise
    return log_log_slope(epsilons[clear], np.abs(values[clear]), noise[clear], least=2)


def _limit(law: str, gamma: float, dim: int) -> float:
    """The order as epsilon -> 0, of moments of a smooth law. Where 2 gamma + d + 4 < 0 pairs closer than h^{1/|gamma|}, which
    turn as far as they can, decide: order (d + 4)/|gamma| - 1."""
    if law == "fixed_angle":
        return 2.0
    return min(1.0, (dim + 4) / -gamma - 1) if gamma < 0 else 1.0


def _theory(law: str, gamma: float, epsilons: np.ndarray, signal: np.ndarray, dim: int) -> float | None:
    """The same slope for the exact rates at t = 0, N large; known for Coulomb's law in d = 3 and constant rates."""
    if gamma != -3 or dim != 3 or law == "fixed_angle" or not np.isfinite(signal).all():
        return None
    rates = [
        exact.coulomb_isotropization_rate_microcanonical(_PERPENDICULAR, _PARALLEL, law, float(e)) for e in epsilons
    ]
    gaps = 3 * exact.coulomb_isotropization_rate(_PERPENDICULAR, _PARALLEL) - np.array(rates)
    # Weighted as the measured ones.
    return _slope(epsilons, gaps, np.abs(gaps) / signal)[0]


def _adapt(options: Options, given: frozenset[str]) -> Options:
    law = "heat_kernel" if options.law is None else options.law
    if law not in _EPSILON:
        sentence = argument_error("--law", f"be one of {', '.join(_EPSILON)}", f"is {law!r}", "choose one")
        raise did_you_mean(sentence, law, _EPSILON)
    if law == "fixed_angle" and (options.gamma is None or options.gamma < 0):
        was = "is not given, and -3 is the default" if "gamma" not in given else f"is {options.gamma:g}"
        raise argument_error(
            "--gamma", "be at least 0 with --law fixed_angle", was,
            "pass --gamma 1, say, or --law heat_kernel: the rate of close pairs would have no bound",
        )  # fmt: skip
    if "epsilon" not in given or options.epsilon is None:
        return dataclasses.replace(options, epsilon=_EPSILON[law])
    if law == "fixed_angle" and options.epsilon > math.pi:
        raise argument_error(
            "--epsilon", "be an angle in (0, pi] with --law fixed_angle", f"is {options.epsilon:g}", "lower it"
        )
    return options


def _draw(
    times: np.ndarray, epsilons: np.ndarray, kac: _Run, jumps: list[_Run], differences: tuple[np.ndarray, np.ndarray],
    order: tuple[float, float], distances: tuple[np.ndarray, float], law: str, gamma: float, options: Options,
) -> Figure:  # fmt: skip
    name = "Coulomb" if gamma == -options.dim == -3 else f"γ = {gamma:g}"
    symbol = "angle ε" if law == "fixed_angle" else "mean free time h"
    short = "ε" if law == "fixed_angle" else "h"
    figure, axes = look.new_figure(
        2, 2, size=(13.5, 9.4),
        title=f"Microcanonical collisions and Kac's diffusion, {name}  ({options.replicas} × {options.particles} particles)",
    )  # fmt: skip
    ax = axes[0, 0]
    look.points(ax, times, kac.gaps.mean(0), standard_error(kac.gaps), color=look.BLACK, label="Kac's diffusion")
    for run, e, color in zip(jumps, epsilons, look.COLORS, strict=False):
        ax.plot(times, run.gaps.mean(0), color=color, label=f"jumps, {short} = {e:.3g}")
    if gamma == -3 and options.dim == 3:
        first = kac.gaps.mean(0)[0]
        # Of independent particles, the sum over partners has N - 1 of N.
        rate = 3 * exact.coulomb_isotropization_rate(_PERPENDICULAR, _PARALLEL) * (1 - 1 / options.particles)
        early = np.linspace(0, min(0.5 / rate, times[-1]), 2)
        ax.plot(early, first * (1 - rate * early), ":", color=look.GREY, lw=2, label="exact slope at t = 0")
    look.describe(ax, "time t", r"$T_\perp - T_\parallel$", "Two temperatures become one")
    look.legend(ax)

    ax = axes[0, 1]
    sizes, noise = np.abs(differences[0]), differences[1]
    look.points(ax, epsilons, sizes, noise, label=r"$|\Delta(T_\perp - T_\parallel)|$")
    ax.plot(epsilons, noise, ":", color=look.BLUE, label="its standard error")
    if math.isfinite(order[0]):
        clear = sizes > 3 * noise
        weight = (sizes[clear] / noise[clear]) ** 2
        level = np.average(np.log(sizes[clear]) - order[0] * np.log(epsilons[clear]), weights=weight)
        line = np.exp(level) * epsilons ** order[0]
        ax.plot(epsilons, line, "--", color=look.BLUE, label=f"order {order[0]:.2f} ± {order[1]:.2f}")
    look.points(ax, epsilons, distances[0], color=look.ORANGE, label=r"$W_2$ along the axis")
    ax.axhline(distances[1], color=look.ORANGE, ls=":", label=r"noise floor of $W_2$")
    look.log_log(ax)
    look.describe(ax, symbol, "distance from Kac's diffusion", f"Distance at t = {times[-1]:.3g}")
    look.legend(ax)

    ax, degrees = axes[1, 0], np.arange(1, _DEGREES + 1)
    typical = math.sqrt(2 * options.dim * ((options.dim - 1) * _PERPENDICULAR + _PARALLEL) / options.dim)
    for e, color in zip(epsilons, look.COLORS, strict=False):
        rates = [
            1 + exact.microcanonical_defect(law, int(l), float(e), options.dim, psi=typical**gamma, exact=True)
            for l in degrees
        ]
        ax.plot(degrees, rates, "o-", color=color, ms=5, label=f"{short} = {e:.3g}")
    ax.axhline(1, color=look.BLACK, lw=1)
    look.describe(
        ax, "degree l of the harmonic", "rate of decay over Landau's",
        f"Exact rates of one pair at r = {typical:.2g}",
    )  # fmt: skip
    look.legend(ax)

    ax = axes[1, 1]
    for run, name, color in ((kac, "Kac", look.BLACK), (jumps[-1], f"jumps, {short} = {epsilons[-1]:.3g}", look.BLUE)):
        for values, what, mark in ((run.energy, "energy, relative", "o"), (run.momentum, "momentum", "s")):
            ax.plot(
                times[1:], np.maximum(values[1:], 1e-18), mark, ms=5, color=color, mfc="none", label=f"{name}: {what}"
            )
    ax.set_yscale("log")
    look.describe(ax, "time t", "largest drift of a run", "Momentum and energy: round-off")
    look.legend(ax)
    return figure


MICROCANONICAL = Experiment(
    name="microcanonical",
    summary="jumps of pairs beside Kac's diffusion, Coulomb: their distance against epsilon, the measured order, round-off",
    defaults=Options(
        particles=32, dim=3, dt=0.1, steps=10, replicas=8192, scheme="exact-clock", gamma=-3.0, law="heat_kernel", epsilon=0.08
    ),
    run=run,
    headline=Headline("order", "order_stderr", "order in ε"),
    least_steps=_MIN_STEPS,
    adapt=_adapt,
    schemes=("exact-clock",),
)  # fmt: skip
