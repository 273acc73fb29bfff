"""Microcanonical collisions, after [Du2025], and Kac's diffusion from the same data: their distance as a function of epsilon,
and the drift of their invariants. The rates and angles of the collisions are this library's."""

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

# Initial temperatures: (2 perpendicular + parallel)/3 = 1.
_PERPENDICULAR = 1.4
_PARALLEL = 0.2
# The fewest steps of a run.
_MIN_STEPS = 4
# Number of values of epsilon, each half of the one before.
_SIZES = 3
# Largest degree of the spherical harmonics whose decay rates are drawn.
_DEGREES = 8
# Default of the largest epsilon: an angle, or a mean free time.
_EPSILON = {"fixed_angle": 1.2, "constant_rate": 0.08, "heat_kernel": 0.08}


@dataclasses.dataclass(frozen=True)
class _Run:
    """Results of one process: the anisotropy (R, T) of every run and save; the final velocities of all runs along the axis;
    the largest drifts (T,)."""

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
    # Construct all systems before the first run: a value out of range raises here.
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

    # Both processes start from the same velocities, whose scatter cancels in the difference.
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
        f"Measured order in epsilon of the difference at t = {times[-1]:.3g}: {order:.2f} +- {order_stderr:.2f}; "
        f"{limit:.3g} as epsilon -> 0"
        + (
            f"; {theory:.2f} for the exact initial rates at the same epsilon, because of pairs of small relative speed."
            if theory
            else "."
        )
        if math.isfinite(order)
        else "Too few differences exceed 3 standard errors; take more replicas or a larger epsilon."
    )
    findings = (
        measured,
        f'Law "{law}", gamma = {gamma:g}: epsilon is {symbol}. Kac\'s diffusion starts from the same data and '
        f"is computed by second-order sweeps at dt = {options.dt:g}; the jump processes have no time step.",
        "W2: distance from Kac's diffusion of the final law of the velocity along the axis, all runs pooled. The row `Kac` "
        f"shows the noise floor for independent data, from two halves of Kac's runs ({len(kac.last)} velocities in all).",
        meaning(options.replicas),
        f"Largest drift of momentum per particle: {drift_p:.1e}; of energy, relative: {drift_e:.1e}. Both are round-off at any "
        "epsilon.",
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
    # Sum in float64, so that the drifts show the round-off of the scheme and not of the sums.
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
    """Slope and standard error of a weighted least-squares line through the logarithms of the values above 3 standard errors.
    NaN for fewer than two, or for one run, whose noise is unknown. The values share the noise of Kac's runs, which changes a
    slope less than independent noise would."""
    clear = np.abs(values) > 3 * noise
    return log_log_slope(epsilons[clear], np.abs(values[clear]), noise[clear], least=2)


def _limit(law: str, gamma: float, dim: int) -> float:
    """The order as epsilon -> 0 of the difference of moments, for a smooth law. If 2 gamma + d + 4 < 0, pairs of relative speed
    below h^{1/|gamma|}, whose rotation is saturated, dominate: order (d + 4)/|gamma| - 1."""
    if law == "fixed_angle":
        return 2.0
    return min(1.0, (dim + 4) / -gamma - 1) if gamma < 0 else 1.0


def _theory(law: str, gamma: float, epsilons: np.ndarray, signal: np.ndarray, dim: int) -> float | None:
    """The same slope for the exact rates at t = 0 as N -> infinity: known for Coulomb collisions in d = 3 and the laws of
    constant rate."""
    if gamma != -3 or dim != 3 or law == "fixed_angle" or not np.isfinite(signal).all():
        return None
    rates = [
        exact.coulomb_isotropization_rate_microcanonical(_PERPENDICULAR, _PARALLEL, law, float(e)) for e in epsilons
    ]
    gaps = 3 * exact.coulomb_isotropization_rate(_PERPENDICULAR, _PARALLEL) - np.array(rates)
    # With the weights of the measured differences.
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
            "pass --gamma 1, for example, or --law heat_kernel: the rate at small relative speeds would have no bound",
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
        # Independent particles: N - 1 partners give (N - 1)/N of the limit.
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
    summary="microcanonical collisions and Kac's diffusion, Coulomb: distance against epsilon, its measured order, invariants",
    defaults=Options(
        particles=32, dim=3, dt=0.1, steps=10, replicas=8192, scheme="exact-clock", gamma=-3.0, law="heat_kernel", epsilon=0.08
    ),
    run=run,
    headline=Headline("order", "order_stderr", "order in ε"),
    least_steps=_MIN_STEPS,
    adapt=_adapt,
    schemes=("exact-clock",),
)  # fmt: skip
