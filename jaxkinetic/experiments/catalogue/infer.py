"""Hidden parameters of a simulator, recovered from noisy curves through its gradients, with error bars."""

import dataclasses
import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from ... import plotting as look
from ..._util.checks import argument_error
from ...plotting import Axes
from .._harness import option as options
from .._harness.experiment import Experiment, Headline, Watch
from .._harness.panels import dots, line, panel
from .._harness.report import Estimate, Panel, Report, Series
from ._inference import Inference, band, infer
from ._inference_cases import Annihilating, Case, Damped, Diffusing

__all__ = ["Infer"]

_PARTICLES, _GRID = ("annihilation", "landau"), ("vlasov",)
# Defaults that depend on the system, and the options that not every system has.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "annihilation": {},
    "landau": {"particles": 64, "replicas": 32, "steps": 20, "dt": 0.1},
    "vlasov": {"steps": 120, "dt": 0.2},
}
_HAVING = {"particles": _PARTICLES, "replicas": _PARTICLES, "nx": _GRID, "nv": _GRID}


class Infer(Experiment):
    name = "infer"
    summary = "hidden parameters of a simulator, recovered from noisy curves through its gradients, with error bars"
    headline = Headline("first_parameter", "first parameter (alpha, gamma or temperature)")
    precision = 64
    system: str = options.option(
        "annihilation", "what is fitted: alpha and the strength of the annihilating walk, gamma and the strength of Landau's "
        "interaction, or temperature and wavenumber of a plasma wave", choices=tuple(_DEFAULTS),
    )  # fmt: skip
    particles: int = options.particles(40)
    replicas: int = options.replicas(16, help="runs whose mean is one evaluation of the model", minimum=2)
    dt: float = options.dt(0.4)
    steps: int = options.steps(4, minimum=4)
    seed: int = options.seed()
    nx: int = options.points(8, "x", 8)
    nv: int = options.points(64, "v", 32)
    optimiser: str = options.option(
        "levenberg-marquardt", "search; adam is that of optax", choices=("levenberg-marquardt", "adam")
    )

    @classmethod
    def quick(cls, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {} if given.get("system") in _GRID else {"particles": 16, "replicas": 16}

    def adapt(self, given: frozenset[str]) -> "Infer":
        for name, systems in _HAVING.items():
            if name in given and self.system not in systems:
                raise argument_error(
                    f"--{name}", f"be left out for {self.system}", f"is {getattr(self, name)}",
                    f"it is an option of {', '.join(systems)}",
                )  # fmt: skip
        fitting = {name: value for name, value in _DEFAULTS[self.system].items() if name not in given}
        return dataclasses.replace(self, **fitting)

    def check(self) -> None:
        super().check()
        if self.optimiser == "adam" and importlib.util.find_spec("optax") is None:
            raise argument_error(
                "--optimiser", "be levenberg-marquardt where optax is not installed", "is adam",
                "run `pip install 'jaxkinetic[infer]'`",
            )  # fmt: skip

    def case(self) -> Case:
        time: dict[str, Any] = {"steps": self.steps, "dt": self.dt}
        if self.system == "vlasov":
            return Damped(**time, nx=self.nx, nv=self.nv)
        law = Annihilating if self.system == "annihilation" else Diffusing
        return law(**time, num=self.particles, replicas=self.replicas)

    def run(self, watch: Watch = Watch()) -> Report:  # noqa: B008  (immutable)
        case = self.case()
        found = infer(
            case, self.seed, None if self.optimiser == "levenberg-marquardt" else self.optimiser, progress=watch.progress,
            path=None if watch.partial is None else watch.partial.path(self.name),
        )  # fmt: skip
        fitted, reach = band(case, found, self.seed)
        fit, names = found.fit, found.names
        estimates = {
            name: Estimate(x, error, freedom, truth)
            for name, x, error, freedom, truth in zip(
                names, found.estimate, found.stderr, found.freedom, found.truth, strict=True
            )
        }
        simulated = np.array([float(fit.simulation_stderr[name]) for name in names])
        ranges = [case.parameters[name].drawn for name in names]
        series = (
            Series("", "parameter", names),
            Series("", "drawn from", [f"{low:g} to {high:g}" for low, high in ranges]),
            Series("truth", "truth", found.truth, form=".5f"),
            Series("estimate", "estimate", found.estimate, noise=found.stderr, form=".5f"),
            Series("z", "z", found.z, form="+.2f"),
            Series("", "in 95 %", ["yes" if inside else "no" for inside in found.inside]),
            Series("simulation_stderr", "+- of simulator", simulated, form=".5f"),
        )
        numbers: dict[str, Any] = {
            **estimates, "first_parameter": estimates[names[0]], "steps": len(fit.history.loss),
            "evaluations": fit.evaluations, "reduced_chi2": fit.chi2, "z": found.z.tolist(),
            "inside": found.inside.tolist(), "converged": fit.result.ok, "message": str(fit.result),
            "correlation": float(fit.covariance[0, 1]) / float(found.stderr.prod()),
        }  # fmt: skip
        noise = f"with normal noise of {case.noise:.0%} of each curve's value at the start"
        notes = (
            *(f"{name} = {estimate:.4f}, truth {estimate.exact:.4f}." for name, estimate in estimates.items()),
            f"{len(fit.history.loss)} steps, {fit.evaluations} evaluations, reduced chi^2 {fit.chi2:.2f}; {fit.result}",
            f"{case.measured} at {len(case.times)} times up to t = {case.times[-1]:.3g}, {noise}.",
            case.why,
            f"z is the error of the estimate in units of +-. The correlation of the two is {numbers['correlation']:+.2f}.",
            "`+- of simulator` is the part of the error that more replicas reduce." if case.random else "",
        )
        arrays = {"times": case.times, "data": found.data, "data_stderr": found.sizes, "without_noise": found.exact}
        arrays |= {"fit": fitted, "band": reach}
        dims = {name: "time curve" for name, values in arrays.items() if np.ndim(values) == 2}
        title = f"Inference: {self.system}, seed {self.seed}"
        return Report(numbers, series, notes, _panels(case, found, fitted, reach), title, arrays, dims=dims)


def _panels(case: Case, found: Inference, fitted: np.ndarray, reach: np.ndarray) -> list[Panel]:
    times = case.times

    def curve(i: int) -> Panel:
        def shade(ax: Axes) -> None:
            ax.fill_between(
                times,
                (fitted - reach)[:, i],
                (fitted + reach)[:, i],
                color=look.ORANGE,
                alpha=0.3,
                lw=0,
                label="95 % band",
            )

        return panel(
            shade, line(times, found.exact[:, i], "hidden parameters", "--", look.GREY),
            line(times, fitted[:, i], "fit", color=look.ORANGE), dots(times, found.data[:, i], found.sizes[:, i], "data"),
            y=case.curves[i], title="Data and fit",
        )  # fmt: skip

    return [*(curve(i) for i in range(len(case.curves))), _plane(case, found)]


def _plane(case: Case, found: Inference) -> Panel:
    """The plane of the two parameters: path of the search, truth, estimate and the ellipse of 95 %."""
    first, second = found.names
    # chi^2 of two degrees of freedom at 95 %.
    root = np.linalg.cholesky(np.asarray(found.fit.covariance, float)) * np.sqrt(5.991)
    angle = np.linspace(0, 2 * np.pi, 200)
    x, y = found.estimate[:, None] + root @ np.stack([np.cos(angle), np.sin(angle)])
    # The last steps, at the final keys, lead to the estimate.
    path = [
        np.r_[case.parameters[name].begin, np.asarray(found.fit.history.parameters[name], float), end]
        for name, end in zip(found.names, found.estimate, strict=True)
    ]
    (u, v), (u_true, v_true) = found.estimate[:, None], found.truth[:, None]
    return panel(
        line(path[0], path[1], "search", ".-", look.GREY, lw=0.8), line(x, y, "95 % region", color=look.ORANGE),
        line(u, v, "fit", "o", look.ORANGE), line(u_true, v_true, "hidden parameters", "*", look.PURPLE, ms=12),
        x=first, y=second, title="Parameters",
    )  # fmt: skip
