"""Landau's equation in R^d from a shell: the isotropic solver, the Fourier-spectral one, and Kac's particles."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ... import diagnostics, initial, plotting as look
from ..._core.ensemble import ensemble
from ..._core.save import Save
from ..._core.simulate import simulate
from ...landau import IsotropicPDE, Kac, LandauPDE as Equation, PowerLaw, exact
from ...pairs import RandomMatching
from ...states import Axis, Grid
from .._harness import option as options
from .._harness.experiment import Headline
from .._harness.panels import dots, line, panel
from .._harness.parts import ExperimentInParts, Part
from .._harness.replicas import save_steps
from .._harness.report import Report, Series
from ._entropy import excess_entropy, fisher_excess, fourth_ratio

__all__ = ["LandauPDE"]

# Steps of the particles in a step of the equations: RandomMatching is of order 1.
_FINER = 8
# The velocity box is [-L/2, L/2]^d; speeds go up to R.
_LENGTH, _RADIUS = 13.0, 8.0


class LandauPDE(ExperimentInParts):
    name = "landau-pde"
    summary = (
        "Landau's equation from a shell, by two solvers and by particles: entropy, dissipation, Fisher's information"
    )
    headline = Headline("entropy_last", "H - H_M at the end")
    precision = 64
    particles: int = options.particles(20_000, minimum=8)
    dim: int = options.dim(3, 2, 3)
    dt: float = options.dt(0.02)
    steps: int = options.steps(50, minimum=4)
    replicas: int = options.replicas(4)
    seed: int = options.seed()
    nv: int = options.points(36, "v", 30)
    speeds: int = options.option(200, "speeds of the isotropic solver", minimum=40, symbol="number of speeds")
    gamma: float = options.gamma(-3.0, "at least -dim, at most 1")

    def check(self) -> None:
        super().check()
        options.check_gamma(self.gamma, self.dim)
        options.check_gamma_at_most(self.gamma, 1)

    def problem(self) -> Mapping[str, Part]:
        return {"isotropic": self._isotropic, "grid": self._grid, "particles": self._particles}

    @property
    def _interaction(self) -> PowerLaw:
        return PowerLaw(self.gamma)

    @property
    def _shell(self) -> dict[str, float]:
        # The extreme BKW datum, f ~ |v|^2 exp(-(d+2)|v|^2/2d).
        return {"beta": 2 / (self.dim + 2)}

    def _isotropic(self) -> Sequence[Any]:
        start = initial.radial(initial.bkw, _RADIUS, self.speeds, self.dim, **self._shell)
        return self._solved(IsotropicPDE(self._interaction, self.dim), start)

    def _grid(self) -> Sequence[Any]:
        axis = Axis(-_LENGTH / 2, _LENGTH, self.nv, periodic=False)
        return self._solved(
            Equation(self._interaction), initial.on_grid(initial.bkw, Grid(*[axis] * self.dim), **self._shell)
        )

    def _solved(self, system: IsotropicPDE | Equation, start: Any) -> Sequence[Any]:
        """(times, H, D, I, <|v|^4>) at every step."""
        observe = {
            "H": diagnostics.entropy, "D": system.dissipation, "I": diagnostics.fisher_information, "M4": diagnostics.moment
        }  # pyright: ignore  # fmt: skip
        run = simulate(system, start, dt=self.dt, num_steps=self.steps, save=Save(every=1, observe=observe))
        return run.times, *(run.observed[name] for name in observe)

    def _particles(self) -> Sequence[Any]:
        """(times, value and noise of H - H_M, of I/I_M - 1, and of M4 over that of the Maxwellian) at the saves."""
        steps = [_FINER * step for step in save_steps(self.steps)]
        runs = ensemble(
            Kac(self._interaction),
            eqx.Partial(initial.bkw, num_particles=self.particles, dim=self.dim, dtype="float32", **self._shell),
            key=jax.random.key(self.seed, impl="threefry2x32"),
            replicas=self.replicas,
            scheme=RandomMatching(),
            dt=self.dt / _FINER,
            num_steps=_FINER * self.steps,
            save=Save(steps=steps, state=True),
        )
        assert runs.states is not None
        v = np.asarray(runs.states.velocity)
        h = excess_entropy(v, self)
        information, information_noise, _ = fisher_excess(v, self)
        return np.asarray(runs.times), h["value"], h["noise"], information, information_noise, *fourth_ratio(v)

    def analyse(self, parts: Mapping[str, Sequence[np.ndarray]]) -> Report:
        from scipy.integrate import cumulative_simpson

        saves, maxwellian, d = list(save_steps(self.steps)), float(exact.maxwellian_entropy(self.dim)), self.dim
        of = {}
        for name in ("isotropic", "grid"):
            t, h, production, information, fourth = (np.asarray(x, float) for x in parts[name])
            balance = h + cumulative_simpson(production, x=t, initial=0) - h[0]
            of[name] = {
                "H": h - maxwellian, "D": production, "I": information / d - 1, "M4": fourth / (d * (d + 2)),
                "balance": np.abs(balance), "rise": np.diff(h).max(),
            }  # fmt: skip
        t, (ts, *measured) = (
            np.asarray(parts["isotropic"][0], float),
            (np.asarray(x, float) for x in parts["particles"]),
        )
        ((h, h_noise), (i, i_noise), (m, m_noise)) = zip(measured[::2], measured[1::2], strict=True)
        radial, grid = of["isotropic"], of["grid"]
        apart = {name: np.abs(radial[name] - grid[name]).max() for name in ("H", "D", "I", "M4")}
        z = np.abs(h - radial["H"][saves]) / h_noise
        notes = (
            f"The two solvers differ by at most {apart['H']:.1e} in H, {apart['M4']:.1e} in M4, {apart['D']:.1e} in D.",
            f"Balance, largest |H(t) + int D - H(0)|: {radial['balance'].max():.1e} isotropic, {grid['balance'].max():.1e} on "
            "the grid. H falls in every step of both."
            if max(radial["rise"], grid["rise"]) < 0
            else "H rises in a step: it is not resolved.",
            f"Particles: H - H_M is at most {z.max():.1f} standard errors from the isotropic solver's. The estimate of "
            "Fisher's information is that of a density smoothed by its kernel, which is lower.",
            "H_M, M4_M and I_M are those of the Maxwellian of temperature 1.",
        )
        series = (
            Series("times", "t", ts, form=".4g"),
            Series("entropy", "H-H_M", h, h_noise, radial["H"][saves], ".5f", exact_header="isotropic"),
            Series("entropy_grid", "grid", grid["H"][saves], form=".5f"),
            Series("fourth", "M4/M4_M", m, m_noise, radial["M4"][saves], ".4f", exact_header="isotropic"),
            Series("fourth_grid", "grid", grid["M4"][saves], form=".4f"),
            Series("fisher", "I/I_M-1", i, i_noise, radial["I"][saves], ".3f", exact_header="isotropic"),
            Series("dissipation", "D", radial["D"][saves], form=".4f"),
            Series("dissipation_grid", "grid", grid["D"][saves], form=".4f"),
        )
        numbers = {
            "entropy_last": radial["H"][-1], "dissipation_first": radial["D"][0],
            "balance_isotropic": radial["balance"].max(), "balance_grid": grid["balance"].max(),
            **{f"solvers_apart_{name}": value for name, value in apart.items()},
        }  # fmt: skip

        def curves(name: str, **more: Any) -> list[Any]:
            return [
                line(t, radial[name], "isotropic solver", **more),
                line(t, grid[name], f"spectral solver, {self.nv}{'²³'[d - 2]} points", "--", look.ORANGE),
            ]

        panels = (
            panel(
                *curves("H"), dots(ts, h, h_noise, f"{self.replicas} × {self.particles} particles"),
                y=r"$H(t) - H_{\rm Maxwell}$", title="Entropy falls", log="y",
            ),
            panel(*curves("D"), y=r"$D(f) = -dH/dt$", title="Entropy dissipation", log="y"),
            panel(
                *curves("I"), dots(ts, i, i_noise, "particles, kernel estimate"),
                lambda ax: ax.axhline(0, color=look.GREY, ls=":"),
                y=r"$I/I_{\rm Maxwell} - 1$", title="Fisher's information falls",
            ),
            panel(
                *curves("M4"), dots(ts, m, m_noise, "particles"), y=r"$M_4/M_{4,\rm Maxwell}$", title="Fourth moment",
                legend="lower right",
            ),
        )  # fmt: skip
        law = "Coulomb" if self.gamma == -3 else f"γ = {self.gamma:g}"
        return Report(
            numbers,
            series,
            notes,
            panels,
            f"The Landau equation in R{'²³'[d - 2]} from a shell, {law}",
            size=(6.2, 4.4),
        )
