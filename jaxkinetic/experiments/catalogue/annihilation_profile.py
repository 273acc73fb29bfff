"""Hard spheres that annihilate at long times [LodsNotaPezzotti2020, section 6.3]: exponents and self-similar profile against
alpha, from the limit equation and from the walk."""

from collections.abc import Mapping, Sequence
from math import pi
from typing import Any

import numpy as np

from ... import plotting as look
from ...boltzmann import HardSphere, self_similar_profile
from .._harness import option as options
from .._harness.errors import standard_error
from .._harness.experiment import Headline
from .._harness.panels import dots, line, panel
from .._harness.parts import ExperimentInParts, Part
from .._harness.report import Estimate, Panel, Report, Series
from .annihilation import Annihilation

__all__ = ["AnnihilationProfile"]

# alpha of the equation, and those at which the walk is run too.
_ALPHAS = np.round(np.arange(17) * 0.05, 2)
_WALKS = (0.1, 0.25, 0.5, 0.8)


class AnnihilationProfile(ExperimentInParts):
    name = "annihilation-profile"
    summary = (
        "annihilating hard spheres at long times: exponents and self-similar profile against alpha, beside the walk"
    )
    headline = Headline("largest_score", "largest distance of the walk, in standard errors")
    precision = 64
    particles: int = options.particles(20_000)
    dim: int = options.dim(3, 3, 3)
    dt: float = options.dt(0.5)
    steps: int = options.steps(80, minimum=10)  # exponents are fitted
    replicas: int = options.replicas(16)
    seed: int = options.seed()

    def problem(self) -> Mapping[str, Part]:
        walks = {_walk(alpha): lambda alpha=alpha: self._walk(alpha) for alpha in _WALKS}
        return {"equation": self._equation, **walks}

    def _equation(self) -> Sequence[Any]:
        """(xi, zeta, kurtosis (A,), speeds (n,), psi (A, n))."""
        found = [self_similar_profile(HardSphere(), float(alpha)) for alpha in _ALPHAS]
        numbers = [[float(getattr(one, name)) for one in found] for name in ("xi", "zeta", "kurtosis")]
        return *numbers, found[0].profile.grid.speeds, [np.asarray(one.profile.f) for one in found]

    def _walk(self, alpha: float) -> Sequence[Any]:
        """((value, standard error, degrees of freedom) of xi and of zeta, edges, histograms of the scaled speed at the end)."""
        report = Annihilation(
            particles=self.particles, dim=self.dim, dt=self.dt, steps=self.steps, replicas=self.replicas, seed=self.seed,
            alpha=alpha,
        ).run()  # fmt: skip
        fits = [report.numbers[f"{name}_exponent"] for name in ("density", "temperature")]
        known = [[np.nan if x is None else x for x in (fit.value, fit.stderr, fit.freedom)] for fit in fits]
        return *known, report.arrays["edges"], report.arrays["profiles"][:, -1]

    def analyse(self, parts: Mapping[str, Sequence[np.ndarray]]) -> Report:
        *exponents, speeds, profiles = parts["equation"]
        kurtosis = exponents.pop()
        walks = {alpha: parts[_walk(alpha)] for alpha in _WALKS}
        rows = [int(np.flatnonzero(alpha == _ALPHAS)[0]) for alpha in _WALKS]
        found = []
        for i, name in enumerate(("xi", "zeta")):
            values, noise = (np.array([walk[i][k] for walk in walks.values()]) for k in (0, 1))
            found.append((name, exponents[i], values, noise))
        scores = {
            name: np.abs(values - exact[rows]) / np.where(noise > 0, noise, np.nan)
            for name, exact, values, noise in found
        }
        known = np.concatenate(list(scores.values()))
        largest = float(np.nanmax(known)) if np.isfinite(known).any() else np.nan
        told = ", ".join(
            f"{float(walk[0][0]):.4f} +- {float(walk[0][1]):.4f} (alpha = {alpha:g})" for alpha, walk in walks.items()
        )
        notes = (
            "n ~ t^-xi and T ~ t^-zeta at long times, 2(1 - xi) = zeta; f = n (2T)^(-3/2) psi(v/sqrt(2T)). kurtosis is "
            "<|v|^4>/(15 T^2), 1 for a Maxwellian. As alpha -> 0, xi tends to 12/13, zeta to 2/13.",
            f"xi of the walk, fitted from the time when half of the particles are gone: {told}. With many particles the fit "
            "differs from the exponent at long times by more than its statistical error, because the time is finite.",
            f"The walk's exponents differ from the equation's by at most {largest:.1f} standard errors."
            if np.isfinite(largest)
            else "Too few particles are left to fit the walk's exponents; take more particles or fewer steps.",
            "The profile, from `boltzmann.self_similar_profile`, is exact to 1e-6; Newton's method needs no time to pass.",
        )
        numbers = {
            f"{name}_walk_{alpha:g}": Estimate(
                float(walks[alpha][i][0]), float(walks[alpha][i][1]), float(walks[alpha][i][2]), float(exact[row])
            )
            for i, (name, exact, *_) in enumerate(found)
            for alpha, row in zip(_WALKS, rows, strict=True)
        }
        series = [Series("alpha", "alpha", _ALPHAS, form=".2f")]
        for name, exact, values, noise in found:
            cells = [""] * len(_ALPHAS)
            for row, value, error in zip(rows, values, noise, strict=True):
                cells[row] = f"{value:.4f} +- {error:.4f}"
            series += [Series(name, name, exact, form=".5f"), Series("", "walk", cells)]
        series.append(Series("kurtosis", "kurtosis", kurtosis, form=".5f"))
        panels = (
            *(
                panel(
                    line(_ALPHAS, exact, "limit equation"),
                    line(_ALPHAS, np.full(len(_ALPHAS), limit), f"α → 0: {words}", "--", look.GREY),
                    dots(np.array(_WALKS), values, noise, "Kac's walk"),
                    x="annihilation probability α", y=f"exponent {symbol}", title=title,
                )
                for (_, exact, values, noise), symbol, limit, words, title in zip(
                    found, "ξζ", (12 / 13, 2 / 13), ("12/13", "2/13"),
                    (r"Density, $n \sim t^{-\xi}$", r"Temperature, $T \sim t^{-\zeta}$"), strict=True,
                )
            ),
            self._shape(speeds, profiles, walks, rows),
        )  # fmt: skip
        title = f"Annihilating hard spheres at long times  ({self.replicas} × {self.particles} particles)"
        arrays = {"speeds": speeds, "profiles": profiles, "walk_alpha": np.array(_WALKS)}
        for name, _, values, noise in found:
            arrays |= {f"{name}_walk": values, f"{name}_walk_noise": noise}
        numbers = {"largest_score": largest, **numbers}
        dims = {**{name: "walk_alpha" for name in arrays if "_walk" in name}, "profiles": "alpha speed"}
        return Report(numbers, series, notes, panels, title, arrays, dims=dims)

    def _shape(
        self, speeds: np.ndarray, profiles: np.ndarray, walks: Mapping[float, Any], rows: Sequence[int]
    ) -> Panel:
        """psi over the Maxwellian, for every alpha of the walk; particles for the largest."""
        from scipy.special import gammainc

        shown, items = speeds < 2.6, []
        colors = dict(zip(_WALKS, look.COLORS, strict=False))
        for alpha, row in zip(_WALKS, rows, strict=True):
            ratio = profiles[row] * pi**1.5 * np.exp(speeds**2)
            items.append(line(speeds[shown], ratio[shown], f"α = {alpha:g}", color=colors[alpha]))
        edges, histograms = walks[_WALKS[-1]][2:]
        # Bins of three, and the share of the Maxwellian in each: few particles are left.
        share = np.diff(gammainc(1.5, edges[::3] ** 2)) / np.diff(edges[::3])
        coarse = histograms.reshape(len(histograms), -1, 3).mean(2) / share
        centres = (edges[3::3] + edges[:-1:3]) / 2
        few = centres < 2.5
        label = f"walk, α = {_WALKS[-1]:g}"
        items.append(dots(centres[few], coarse.mean(0)[few], standard_error(coarse)[few], label, look.GREY))
        return panel(*items, x=r"$|\xi| = |v|/\sqrt{2T}$", y=r"$\psi/\psi_{\rm Maxwell}$", title="Self-similar profile")


def _walk(alpha: float) -> str:
    return f"walk, alpha = {alpha:g}"
