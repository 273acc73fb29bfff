"""Experiments on a phase-space grid in d = 1: one run from a perturbed homogeneous state, its time series, its figure."""

import dataclasses
import functools
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ... import plotting as look
from ..._core.iterate import iterate
from ..._core.save import Save
from ..._core.system import AbstractSystem
from ..._io.progress import Progress
from ...plotting import Axes
from ...states import Axis, Density, Grid, Wave
from ...vlasov import (
    AbstractPotential,
    HamiltonHartree,
    HamiltonVlasov,
    Maxwellian,
    TwoStream,
    Vlasov,
    casimir,
    density_mode,
    energy,
    perturbed,
    phase_space_density,
    potential_energy,
)
from . import option as options
from .experiment import Experiment, Watch, make_scheme
from .report import Panel, Report, Series

SYSTEMS: dict[str, Callable[[AbstractPotential], AbstractSystem]] = {
    "vlasov": Vlasov,
    "hamilton-vlasov": HamiltonVlasov,
    "hamilton-hartree": HamiltonHartree,
}
# Fewest saves of a long run; each gives one point of the curves.
_SAVES = 400
# Fewest chunks of a long run; the progress bar moves after each.
_CHUNKS = 20
# The grid counts as fine enough if the spectral tails and the mass near its ends are at most this fraction.
_RESOLVED = 1e-4


@dataclasses.dataclass(frozen=True)
class GridProblem:
    """f_0 (1 + `sign` A cos kx), A the amplitude, on one wavelength and |v| < `reach`. `width`: that of f0."""

    potential: AbstractPotential
    f0: Maxwellian | TwoStream
    wavenumber: float
    reach: float
    width: float = 1.0
    sign: int = 1


@dataclasses.dataclass(frozen=True)
class Evolution:
    """`mode`: first Fourier mode of the density, real by symmetry. `pictures`: (time, f) at the middle and the end of the run.
    `x`, `v`: grid points. `again(dt=, steps=)`: the evolution from the same data with another time step."""

    times: np.ndarray
    mode: np.ndarray
    field_energy: np.ndarray
    drifts: dict[str, float]
    stats: dict[str, float]
    pictures: tuple[tuple[float, np.ndarray], ...]
    x: np.ndarray
    v: np.ndarray
    again: Callable[..., "Evolution"]


class GridExperiment(Experiment):
    """An experiment on a grid, in double precision."""

    precision = 64
    dim: int = options.dim(1, 1, 1)
    dt: float
    steps: int
    scheme: str = options.scheme("strang-4", "strang")
    nx: int = options.points(256, "x", 8)
    nv: int = options.points(512, "v", 32)
    amplitude: float
    system: str = options.option("vlasov", "form of the equation", choices=tuple(SYSTEMS))

    @abstractmethod
    def problem(self) -> GridProblem: ...

    @abstractmethod
    def analyse(self, evolution: Evolution, problem: GridProblem) -> Report: ...

    def run(self, watch: Watch = Watch()) -> Report:  # noqa: B008  (immutable)
        problem = self.problem()
        return self.analyse(evolve(self, problem, self.name, watch), problem)

    def resolution(self) -> str:
        """System and size of the grid, for the title of a figure."""
        return f"({self.system}, {self.nx} × {self.nv} points)"


def evolve(experiment: GridExperiment, problem: GridProblem, label: str, watch: Watch) -> Evolution:
    """One run, saved at least 400 times if it has that many steps."""
    steps, dt, reach = experiment.steps, experiment.dt, problem.reach
    space = Axis(0.0, wavelength(problem.wavenumber), experiment.nx)
    grid = Grid(space, Axis(-reach, 2 * reach, experiment.nv, periodic=False))
    amplitude = jnp.asarray(problem.sign * experiment.amplitude, jnp.result_type(float))
    density = perturbed(problem.f0, grid, amplitude)
    # The Hamiltonian systems evolve an amplitude alpha with |alpha|^2 = f.
    state = density if experiment.system == "vlasov" else Wave(jnp.sqrt(density.f), grid)
    every = max(1, steps // _SAVES)
    # A multiple of the interval between saves: all chunks but the last then share one program.
    chunk = every * max(1, steps // (_CHUNKS * every))
    system, scheme = SYSTEMS[experiment.system](problem.potential), make_scheme(experiment.scheme)
    save = Save(every=every, observe={"series": functools.partial(_series, potential=problem.potential)})
    chunks = iterate(system, state, scheme=scheme, dt=dt, num_steps=steps, save=save, chunk=chunk)
    parts, pictures = [], []
    # The host moves the bar: a callback inside a program would keep it out of the compilation cache, and make a GPU wait.
    with Progress(1 + steps // every, "save", shown=watch.progress, label=label) as bar:
        for part in chunks:
            step = part.checkpoint.step
            if step == steps or step - chunk < steps // 2 <= step:
                pictures.append((step * dt, np.asarray(phase_space_density(part.final))))
            # Keep the series, not the final state of every chunk.
            parts.append((part.times, part.observed["series"], part.stats))
            bar.advance(len(part.times))
    times, series = (np.concatenate([np.asarray(part[k], float) for part in parts]) for k in (0, 1))
    mode, field, whole, norm = series.T
    names = ("spectral_tail_x", "spectral_tail_v", "boundary_mass", "recurrence")
    x, v = (np.asarray(axis.points) for axis in grid.axes)

    def again(**changes: Any) -> Evolution:
        return evolve(dataclasses.replace(experiment, **changes), problem, f"{label}, 2 dt", watch)

    return Evolution(
        times, mode, field,
        {"energy": float(np.ptp(whole) / abs(whole[0])), "square_norm": float(np.ptp(norm) / norm[0])},
        {name: max(float(stats[name]) for _, _, stats in parts) for name in names},
        (pictures[0], pictures[-1]), x, v, again,
    )  # fmt: skip


def _series(state: Density | Wave, *, potential: AbstractPotential) -> Array:
    return jnp.stack([
        density_mode(state).real, potential_energy(state, potential), energy(state, potential), casimir(state, jnp.square),
    ])  # fmt: skip


def grid_report(
    evolution: Evolution, mode: Series, notes: tuple[str, ...], numbers: dict[str, Any], title: str, reach: float,
    background: np.ndarray | None, lines: Callable[[Axes], Any],
) -> Report:  # fmt: skip
    """The report of a run on a grid. `mode`: the second column of the table; its sentences and numbers come before those on the
    invariants and the resolution. The figure has two snapshots of f (or of f - `background`) on |v| < `reach`, and the field
    energy over time, to which `lines` adds lines."""
    drifts, stats = evolution.drifts, evolution.stats
    tail = max(stats["spectral_tail_x"], stats["spectral_tail_v"])
    poor = tail > _RESOLVED or stats["boundary_mass"] > _RESOLVED or stats["recurrence"] > 1
    accuracy = (
        f"Largest relative change over the run: energy {drifts['energy']:.1e}, int f^2 {drifts['square_norm']:.1e}.",
        f"Fraction of the perturbation's square norm in the upper third of the wavenumbers: {tail:.1e}; fraction of the mass "
        f"near the largest velocities: {stats['boundary_mass']:.1e}; end of the run: {stats['recurrence']:.2g} recurrence times"
        + (". NOT resolved: take more grid points or fewer steps." if poor else " (resolved)."),
    )
    times, field = evolution.times, evolution.field_energy
    name, label = ("f(x, v)", "f(x, v)") if background is None else ("f - f$_0$", "f(x, v) - f$_0$(v)")

    def draw_snapshot(ax: Axes, *, t: float, f: np.ndarray) -> None:
        shown, signed = (f, False) if background is None else (f - background, True)
        title = f"{name}, t = {t:.3g}"
        image = look.phase_space_density(ax, evolution.x, evolution.v, shown, signed=signed, title=title)
        ax.set_ylim(-reach, reach)
        ax.figure.colorbar(image, ax=ax, shrink=0.9, label=label)

    def draw_energy(ax: Axes) -> None:
        ax.plot(times, np.abs(field), color=look.BLUE, lw=1.6, label="field energy")
        lines(ax)

    panels = [
        *(Panel(functools.partial(draw_snapshot, t=t, f=f)) for t, f in evolution.pictures),
        Panel(draw_energy, y=r"$|\frac{1}{2}\int \rho\;\Gamma * \rho|$", title="Energy of the field", log="y"),
    ]
    energies = Series("field_energy", "field energy", field, form="+.4e" if (field < 0).any() else ".4e")
    (t_half, half), (t_end, end) = evolution.pictures
    arrays = {
        "mode": evolution.mode, "x": evolution.x, "v": evolution.v, "f_half": half, "f_end": end,
        "picture_times": np.array([t_half, t_end]),
    }  # fmt: skip
    dims = {"mode": "time", "f_half": "x v", "f_end": "x v"}
    series = (Series("times", "t", times, form=".4g"), mode, energies)
    return Report({**numbers, **drifts, **stats}, series, (*notes, *accuracy), panels, title, arrays, dims=dims)


def rates(t: np.ndarray, first: float, fitted: float, exact: float) -> Callable[[Axes], None]:
    """Lines `first` e^{2 rate (t - t_0)} through the field energy, for the fitted and the exact growth rate."""

    def draw(ax: Axes) -> None:
        for rate, style, color, name in ((fitted, "--", look.ORANGE, "fitted"), (exact, ":", look.BLACK, "exact")):
            curve = first * np.exp(2 * rate * (t - t[0]))
            ax.plot(t, curve, style, color=color, lw=2.5, label=f"{name}, 2γ = {2 * rate:.4f}")

    return draw


def wavelength(wavenumber: float) -> float:
    return 2 * math.pi / wavenumber
