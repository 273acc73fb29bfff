"""All figures of the documentation, in one style, at fixed seeds.

    python docs/figures/make.py                  # every figure (two minutes on two cores)
    python docs/figures/make.py entropy vlasov   # these

Needs `pip install -e '.[plot]'`. `chaos.png` is drawn from benchmarks/results/chaos_atlas.json, without a run. Two figures are
drawn by the benchmarks that measure them: `python benchmarks/gradient_growth.py --draw` and `benchmarks/bench_gradients.py`.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from panels import DPI, TIMES, bars, label, legend, row, speeds

import jaxkinetic as jk
from jaxkinetic import plotting as look

HERE = Path(__file__).resolve().parent
ATLAS = HERE.parents[1] / "benchmarks" / "results" / "chaos_atlas.json"
FIGURES: dict[str, Callable[[], Any]] = {}


def figure(draw: Callable[[], Any]) -> Callable[[], Any]:
    FIGURES[draw.__name__] = draw
    return draw


@figure
def entropy() -> Any:
    """A shell relaxes under Maxwell molecules [KrookWu1977]: 16 runs of N = 2 10^4 by RandomMatching, exact curves."""
    num, replicas, beta, dt, every, steps = 20_000, 16, 0.4, 1e-3, 20, 400
    save = jk.Save(every=every, observe={"H": jk.diagnostics.knn_entropy, "T": jk.diagnostics.temperature}, state=True)

    def start(key: jax.Array) -> jk.Particles:
        return jk.initial.bkw(key, num, 3, beta=beta)

    runs = jk.ensemble(
        jk.landau.Kac(jk.landau.Maxwell()), start, key=jax.random.key(0), replicas=replicas, batch=8,
        scheme=jk.pairs.RandomMatching(), dt=dt, num_steps=steps, save=save,
    )  # fmt: skip
    bias, _ = jk.diagnostics.entropy_bias(jax.random.key(1), num, 3, replicas=64)
    times = np.asarray(runs.times)
    # Energy is conserved on every path, so the Maxwellian of each sample is known: its H is subtracted run by run.
    maxwell = jk.landau.exact.maxwellian_entropy(3, np.asarray(runs.observed["T"]))
    excess = np.asarray(runs.observed["H"]) - bias - maxwell + jk.landau.exact.maxwellian_entropy(3)
    mean, stderr = excess.mean(0), excess.std(0, ddof=1) / math.sqrt(replicas)
    fine = np.linspace(0, times[-1], 200)

    made = look.new_figure(1, 1, size=(10.0, 4.6), title="A shell of particles relaxes to a Maxwellian", dpi=DPI)[0]
    made.clear()
    made.suptitle("A shell of particles relaxes to a Maxwellian", fontsize=13, fontweight="bold", color=look.BLACK)
    axes = made.subplot_mosaic(["abchhh", "ssshhh"], height_ratios=[1, 1.15])
    shown = (0, 3, len(times) - 1)
    edges, grid = np.linspace(0, 4, 26), np.linspace(0, 4, 200)
    for name, place, color in zip("abc", shown, TIMES, strict=True):
        v = np.asarray(runs.states.velocity)[:4, place].reshape(-1, 3)
        v = v[np.abs(v[:, 2]) < 0.2][:1500]
        axes[name].plot(v[:, 0], v[:, 1], ".", ms=1.5, color=color, alpha=0.6)
        axes[name].set(xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), aspect="equal", xticks=[], yticks=[])
        axes[name].set_title(f"t = {times[place]:.2f}", fontsize=10, color=color)
        axes[name].spines[:].set_color("#cccccc")
        density = speeds(np.asarray(runs.states.velocity)[:, place], edges)
        bars(axes["s"], edges, density, color)
        axes["s"].plot(grid, jk.landau.exact.bkw_density(grid, times[place], 3, beta), color=color, lw=1.6)
    label(axes["s"], "speed |v|", "density f", "histograms of the particles, exact curves")
    axes["a"].set_ylabel("slice of velocities", fontsize=9)
    ax = axes["h"]
    ax.fill_between(
        times, mean - 2 * stderr, mean + 2 * stderr, color=look.BLUE, alpha=0.25, lw=0, label="two standard errors"
    )
    ax.plot(
        times, mean, "o", color=look.BLUE, ms=4.5, label=f"{replicas} runs of N = {num:,} particles".replace(",", " ")
    )
    ax.plot(fine, jk.landau.exact.bkw_entropy(fine, 3, beta), color=look.BLACK, lw=1.6, label="exact (Landau equation)")
    ax.axhline(float(jk.landau.exact.maxwellian_entropy(3)), color=look.GREY, ls=":", label="Maxwellian")
    label(ax, "time t", r"entropy $H = \int f\,\log f$", "entropy of the particles, and the exact curve")
    legend(ax)
    for name in "sh":
        axes[name].spines[["top", "right"]].set_visible(False)
        axes[name].grid(True, color="#e6e6e6", linewidth=0.7)
        axes[name].set_axisbelow(True)
    return made


@figure
def landau() -> Any:
    """Isotropisation of a bi-Maxwellian plasma beside its exact initial rate; energy errors of the schemes."""
    made, (left, right) = row(2, "Landau systems: Coulomb relaxation, and what the schemes conserve")
    num, perp, par, dt = 50_000, 1.2, 0.6, 2e-3
    state = jk.initial.bimaxwellian(jax.random.key(0), num, 3, perpendicular=perp, parallel=par)
    save = jk.Save(every=10, observe={"P": jk.diagnostics.stress})
    sol = jk.simulate(
        jk.landau.Kac(jk.landau.PowerLaw(-3.0)), state, scheme=jk.pairs.RandomMatching(), key=jax.random.key(1), dt=dt,
        num_steps=750, save=save,
    )  # fmt: skip
    times, stress = np.asarray(sol.times), np.asarray(sol.observed["P"])
    nu = jk.landau.exact.coulomb_isotropization_rate(perp, par)
    left.plot(times, (stress[:, 0, 0] + stress[:, 1, 1]) / 2, color=look.BLUE, label=r"$T_\perp$")
    left.plot(times, stress[:, 2, 2], color=look.ORANGE, label=r"$T_\parallel$")
    early = np.linspace(0, 0.35, 2)
    left.plot(early, perp - nu * (perp - par) * early, "--", color=look.BLACK, lw=1.3, label="exact slopes at t = 0")
    left.plot(early, par + 2 * nu * (perp - par) * early, "--", color=look.BLACK, lw=1.3)
    left.axhline((2 * perp + par) / 3, color=look.GREY, ls=":")
    left.set_ylim(par - 0.05, perp + 0.05)
    label(left, "time t", "temperature", "Coulomb collisions, N = 50 000")
    legend(left)

    state = jk.initial.bkw(jax.random.key(2), 500, 3)
    save = jk.Save(every=5, observe={"E": jk.diagnostics.energy})
    kinds: tuple[tuple[str, Any, Any, str], ...] = (
        ("Kac, RandomMatching", jk.landau.Kac, jk.pairs.RandomMatching(), look.BLUE),
        ("Kac, Sweep", jk.landau.Kac, jk.pairs.Sweep(), look.GREEN),
        ("Kac, Euler-Maruyama", jk.landau.Kac, jk.EulerMaruyama(), look.ORANGE),
        ("MatrixSqrt, Euler-Maruyama", jk.landau.MatrixSqrt, jk.EulerMaruyama(), look.PURPLE),
    )
    for name, system, scheme, color in kinds:
        sol = jk.simulate(
            system(jk.landau.Maxwell()), state, scheme=scheme, key=jax.random.key(3), dt=2e-3, num_steps=100, save=save
        )
        energy = np.asarray(sol.observed["E"])
        right.semilogy(sol.times[1:], np.abs(energy[1:] / energy[0] - 1) + 1e-17, "o-", ms=3.5, color=color, label=name)
    right.set_ylim(1e-17, 5)
    label(right, "time t", "relative change of the energy", "Maxwell molecules, N = 500, dt = 0.002, float64")
    legend(right, loc="center right")
    return made


@figure
def microcanonical() -> Any:
    """Decay rate of the anisotropy against epsilon, and the exact relative errors of the harmonics."""
    made, (left, right) = row(2, "Microcanonical collisions tend to the Landau diffusion as epsilon tends to 0")
    num, replicas, d, end = 2000, 32, 3, 0.05
    laws = {
        "fixed_angle": (np.array([0.2, 0.4, 0.8, 1.2]), look.BLUE, lambda e: 4 * d * np.cos(e / 2) ** 2),
        "constant_rate": (np.array([0.005, 0.01, 0.02, 0.04]), look.ORANGE, lambda h: 4 * d * (1 - 2 * (d - 1) * h)),
        "heat_kernel": (
            np.array([0.005, 0.01, 0.02, 0.04, 0.1]),
            look.GREEN,
            lambda h: -np.expm1(-8 * d * h) / (2 * h),
        ),
    }

    def start(key: jax.Array) -> jk.Particles:
        return jk.initial.bimaxwellian(key, num, d, perpendicular=1.45, parallel=0.1)

    save = jk.Save(every=1, observe={"P": jk.diagnostics.stress})
    for law, (sizes, color, exact) in laws.items():
        fine = np.geomspace(sizes[0] / 1.3, sizes[-1] * 1.2, 100)
        left.semilogx(fine, exact(fine), color=color, lw=1.4)
        found = []
        for epsilon in sizes:
            runs = jk.ensemble(
                jk.landau.Microcanonical(jk.landau.Maxwell(), law, float(epsilon)), start, key=jax.random.key(0),
                replicas=replicas, dt=end, num_steps=1, save=save,
            )  # fmt: skip
            stress = np.asarray(runs.observed["P"])
            gap = (stress[..., 0, 0] + stress[..., 1, 1]) / 2 - stress[..., 2, 2]
            rates = -np.log(gap[:, 1] / gap[:, 0]) / end
            found.append((rates.mean(), rates.std(ddof=1) / math.sqrt(replicas)))
        value, stderr = np.array(found).T
        left.errorbar(sizes, value, yerr=2 * stderr, fmt="o", ms=4, color=color, capsize=2, label=f'"{law}"')
        for degree, style, text in ((2, "-", f'"{law}"'), (3, "--", None)):
            defect = [jk.landau.exact.microcanonical_defect(law, degree, e, d, exact=True) for e in fine]
            right.loglog(fine, np.abs(defect), style, color=color, lw=1.5, label=text)
    left.axhline(4 * d, color=look.BLACK, lw=1, ls=":")
    left.text(0.3, 4 * d + 0.12, "Landau: 4d = 12", fontsize=9)
    label(
        left,
        "epsilon: the angle, or the mean free time h",
        "decay rate",
        f"anisotropy, {replicas} runs of N = {num}; lines exact",
    )
    legend(left, loc="lower left")
    right.set_ylim(1e-3, 1.5)
    label(right, "epsilon", "|relative error of the rate|", "harmonics of degree 2 (lines) and 3 (dashes), exact")
    legend(right, loc="lower left")
    return made


@figure
def boltzmann() -> Any:
    """Annihilating hard spheres, alpha = 1/2: density, temperature, self-similar profile."""
    made, (first, second, third) = row(3, "Hard spheres that annihilate at half of their meetings", 3.7)
    num, replicas, alpha, dt, steps = 100_000, 12, 0.5, 0.5, 80

    def start(key: jax.Array) -> jk.Particles:
        return jk.initial.maxwellian(key, num, 3)

    def density(state: jk.Particles) -> jax.Array:
        return state.num_alive / num

    save = jk.Save(every=4, observe={"n": density, "T": jk.diagnostics.temperature}, state=True)
    runs = jk.ensemble(
        jk.boltzmann.KacWalk(jk.boltzmann.HardSphere(), volume=float(num), annihilation=alpha), start,
        key=jax.random.key(0), replicas=replicas, dt=dt, num_steps=steps, save=save,
    )  # fmt: skip
    times = np.asarray(runs.times)
    data = jk.initial.radial(jk.initial.maxwellian, 7.0, 100)
    equation = jk.boltzmann.IsotropicPDE(jk.boltzmann.HardSphere(), annihilation=alpha)
    observe = {"n": lambda f: jnp.sum(f.grid.weights * f.f), "T": jk.diagnostics.temperature}
    limit = jk.simulate(equation, data, dt=0.05, num_steps=800, save=jk.Save(every=10, observe=observe))
    exact = jk.boltzmann.exact
    laws = (
        (first, "n", "density n", exact.hard_sphere_density),
        (second, "T", "temperature T", exact.hard_sphere_temperature),
    )
    for ax, key, name, law in laws:
        fine = np.asarray(limit.times)[1:]
        ax.loglog(fine, law(fine, 3, alpha), "--", color=look.GREY, lw=1.4, label="law for small alpha")
        ax.loglog(fine, np.asarray(limit.observed[key])[1:], color=look.BLACK, lw=1.5, label="Boltzmann equation")
        values = np.asarray(runs.observed[key])[:, 1:]
        stderr = values.std(0, ddof=1) / math.sqrt(replicas)
        text = f"{replicas} runs of N = 100 000"
        ax.errorbar(times[1:], values.mean(0), yerr=2 * stderr, fmt="o", ms=4, color=look.BLUE, capsize=2, label=text)
        label(ax, "time t", name)
        legend(ax, loc="lower left")
    second.set_yticks([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], minor=False)
    for ax in (first, second):
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("")
    first.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5])
    profile = jk.boltzmann.self_similar_profile(jk.boltzmann.HardSphere(), alpha)
    edges = np.linspace(0, 3, 21)
    for place, color, name in ((0, look.GREY, "start"), (-1, look.PURPLE, f"particles, t = {times[-1]:.0f}")):
        alive, v = np.asarray(runs.states.alive)[:, place], np.asarray(runs.states.velocity)[:, place]
        scaled = []
        for run in range(replicas):
            u = v[run][alive[run]]
            u = u - u.mean(0)
            scaled.append(u / math.sqrt(2 * np.mean(np.sum(u**2, 1)) / 3))
        third.stairs(speeds(np.concatenate(scaled), edges), edges, fill=True, alpha=0.35, lw=0, color=color, label=name)
    xi = np.asarray(profile.profile.grid.speeds)
    third.plot(xi, np.asarray(profile.profile.f), color=look.BLACK, lw=1.5, label="self-similar profile")
    third.set_xlim(0, 2.6)
    label(third, r"$|v - u|/\sqrt{2T}$", r"$\psi$")
    legend(third)
    return made


@figure
def vlasov() -> Any:
    """Landau damping beside the root of the dispersion relation; phase space of the two-stream instability."""
    made, (left, right) = row(2, "Vlasov's equation: a damped wave, and the two-stream instability")
    k = 0.5
    length = 2 * math.pi / k
    grid = jk.Grid(jk.Axis(0.0, length, 16), jk.Axis(-8.0, 16.0, 128, periodic=False))
    f0 = jk.vlasov.Maxwellian(temperature=1.0, length=length)
    potential = jk.vlasov.Poisson(length)
    save = jk.Save(every=1, observe={"mode": jk.vlasov.density_mode})
    sol = jk.simulate(
        jk.vlasov.Vlasov(potential), jk.vlasov.perturbed(f0, grid, amplitude=0.01), scheme=jk.Strang(order=4), dt=0.1,
        num_steps=300, save=save,
    )  # fmt: skip
    root = complex(jk.vlasov.dispersion_root(potential, f0, k))
    times, mode = np.asarray(sol.times), np.abs(np.asarray(sol.observed["mode"]))
    left.semilogy(times, mode, color=look.BLUE, label="mode of the density")
    peak = np.argmax(mode * (times > 5) * (times < 9))
    slope = mode[peak] * np.exp(root.imag * (times - times[peak]))
    left.semilogy(
        times,
        slope,
        "--",
        color=look.BLACK,
        label=f"root of the dispersion relation: {root.real:.3f} − {-root.imag:.4f}i",
    )
    left.set_ylim(mode.max() * 2e-4, mode.max() * 20)
    label(left, r"time t, in $1/\omega_p$", r"$|\rho_k|$", "Landau damping, k = 0.5")
    legend(left, loc="upper right")

    k, drift = 0.2, 3.0
    length = 2 * math.pi / k
    grid = jk.Grid(jk.Axis(0.0, length, 128), jk.Axis(-10.0, 20.0, 256, periodic=False))
    streams = jk.vlasov.TwoStream(drift, length=length)
    sol = jk.simulate(
        jk.vlasov.Vlasov(jk.vlasov.Poisson(length)), jk.vlasov.perturbed(streams, grid, amplitude=0.01),
        scheme=jk.Strang(order=2), dt=0.1, num_steps=220,
    )  # fmt: skip
    x, v = (np.asarray(axis.points) for axis in grid.axes)
    f = np.maximum(np.asarray(sol.final.f), 0)
    image = look.phase_space_density(right, x, v, f, title="")
    label(right, "position x", "velocity v", "two streams, k = 0.2, drift 3, t = 22")
    made.colorbar(image, ax=right, label="f")
    return made


@figure
def limits() -> Any:
    """A shell under Coulomb collisions: particles beside the limit equation."""
    made, (left, right) = row(2, "Coulomb collisions: N particles and their limit equation")
    num, replicas, dt, steps, every = 20_000, 8, 5e-3, 400, 20
    kac = jk.landau.Kac(jk.landau.PowerLaw(-3.0))

    def shell(key: jax.Array) -> jk.Particles:
        return jk.initial.bkw(key, num, 3, beta=0.4)

    observe = {"H": jk.diagnostics.knn_entropy, "T": jk.diagnostics.temperature}
    runs = jk.ensemble(
        kac, shell, key=jax.random.key(0), replicas=replicas, scheme=jk.pairs.RandomMatching(), dt=dt, num_steps=steps,
        save=jk.Save(every=every, observe=observe, state=True),
    )  # fmt: skip
    start = jk.initial.radial(jk.initial.bkw, 8.0, 120, beta=0.4)
    save = jk.Save(every=every // 4, observe={"H": jk.diagnostics.entropy}, state=True)
    limit = jk.simulate(kac.limit(isotropic=True, dim=3), start, dt=dt, num_steps=steps, save=save)
    bias, _ = jk.diagnostics.entropy_bias(jax.random.key(2), num, 3, replicas=64)
    times = np.asarray(runs.times)
    maxwell = jk.landau.exact.maxwellian_entropy(3, np.asarray(runs.observed["T"]))
    values = np.asarray(runs.observed["H"]) - bias - maxwell + jk.landau.exact.maxwellian_entropy(3)
    stderr = values.std(0, ddof=1) / math.sqrt(replicas)
    left.errorbar(
        times, values.mean(0), yerr=2 * stderr, fmt="o", ms=4, capsize=2, color=look.BLUE,
        label=f"{replicas} runs of N = 20 000",
    )  # fmt: skip
    left.plot(limit.times, limit.observed["H"], color=look.BLACK, lw=1.5, label="landau.IsotropicPDE")
    left.axhline(float(jk.landau.exact.maxwellian_entropy(3)), color=look.GREY, ls=":", label="Maxwellian")
    label(left, "time t", "entropy H", "entropy of a shell")
    legend(left)
    edges, grid = np.linspace(0, 4, 21), np.asarray(start.grid.speeds)
    for place, color in zip((0, 4, len(times) - 1), TIMES, strict=True):
        bars(right, edges, speeds(np.asarray(runs.states.velocity)[:, place], edges), color)
        right.plot(grid, np.asarray(limit.states.f)[4 * place], color=color, lw=1.6, label=f"t = {times[place]:.1f}")
    right.set_xlim(0, 4)
    label(right, "speed |v|", "density f", "histograms of the particles, lines of the equation")
    legend(right)
    return made


@figure
def chaos() -> Any:
    """Exponents of propagation of chaos, from benchmarks/results/chaos_atlas.json."""
    made, (ax,) = row(1, "How fast N particles become independent", 4.4)
    studies = json.loads(ATLAS.read_text())
    shown = (
        ("kac, gamma = 0, d = 3", "Cov(v_1z, v_2z)", "Kac, Maxwell: covariance of two particles"),
        ("torus, root, d = 1", "L1 of f_2 - f x f", "torus: L1 distance of two particles"),
        ("torus, root, d = 1", "H_2", "torus: relative entropy of two particles"),
        (
            "annihilation, hard spheres, d = 3",
            "mass of f_2 - f_1 x f_1",
            "annihilating hard spheres: mass of the correlation",
        ),
        ("HMF, d = 1", "<n^2>, the counting functional", "HMF: fraction outside the mean-field state"),
    )
    for (name, distance, text), color in zip(shown, look.COLORS, strict=False):
        series, found = (studies[name]["study"][part][distance] for part in ("series", "exponents"))
        sizes, value = np.array(series["N"], float), np.abs(np.array(series["value"]))
        slope = value[0] * (sizes / sizes[0]) ** -found["value"]
        ax.errorbar(sizes, value, yerr=np.array(series["stderr"]), fmt="o", ms=4, capsize=2, color=color)
        digits = 2 if found["stderr"] > 0.0095 else 3
        power = f"p = {found['value']:.{digits}f} ± {found['stderr']:.{digits}f}"
        ax.plot(sizes, slope, color=color, lw=1.2, label=f"{text}: {power}")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    label(ax, "number of particles N", "distance", r"distances to the limit, with fits $N^{-p}$")
    ax.legend(frameon=False, fontsize=9.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return made


def main(names: list[str]) -> None:
    unknown = sorted(set(names) - set(FIGURES))
    if unknown:
        raise SystemExit(f"No figure is called {', '.join(unknown)}; there are: {', '.join(FIGURES)}.")
    jax.config.update("jax_enable_x64", True)
    for name in names or FIGURES:
        path = HERE / f"{name}.png"
        # Without the versions of programs the same numbers give the same bytes.
        FIGURES[name]().savefig(path, dpi=DPI, metadata={"Software": None})
        print(path.relative_to(HERE.parents[1]), f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
