"""Shared by the experiments on a phase-space grid: a run from a perturbed homogeneous state, its time series, its figure."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ... import plotting as look
from ..._core.iterate import iterate
from ..._core.save import Save
from ..._util.checks import argument_error
from ...plotting import Axes, Figure
from ...states import Axis, Density, Grid, Wave
from ...vlasov import (
    AbstractPotential,
    Maxwellian,
    TwoStream,
    casimir,
    density_mode,
    energy,
    perturbed,
    phase_space_density,
    potential_energy,
)
from .._harness.experiment import SYSTEMS, GridOptions, Watch
from .._harness.progress import Progress

# Fewest saves of a long run; each gives one point of the curves.
_SAVES = 400
# Fewest chunks of a long run; the progress bar moves after each.
_CHUNKS = 20
# The grid counts as fine enough if the spectral tails and the mass near its ends are at most this fraction.
_RESOLVED = 1e-4


@dataclasses.dataclass(frozen=True)
class Evolution:
    """`mode`: first Fourier mode of the density, real by symmetry. `pictures`: (time, f) at the middle and the end of the run.
    `x`, `v`: grid points."""

    times: np.ndarray
    mode: np.ndarray
    field_energy: np.ndarray
    drifts: dict[str, float]
    stats: dict[str, float]
    pictures: tuple[tuple[float, np.ndarray], ...]
    x: np.ndarray
    v: np.ndarray


def evolve(
    options: GridOptions, potential: AbstractPotential, f0: Maxwellian | TwoStream, reach: float, label: str, watch: Watch,
    sign: int = 1,
) -> Evolution:  # fmt: skip
    """A run from f_0 (1 + sign A cos kx), A the amplitude, on one wavelength and |v| < reach."""
    if options.steps < 2:
        raise argument_error("--steps", "be at least 2", f"is {options.steps}", "raise it")
    assert f0.length is not None
    grid = Grid(Axis(0.0, float(f0.length), options.nx), Axis(-reach, 2 * reach, options.nv, periodic=False))
    dtype = jnp.result_type(float)
    density = perturbed(f0, grid, jnp.asarray(sign * options.amplitude, dtype))
    # The Hamiltonian systems evolve an amplitude alpha with |alpha|^2 = f.
    state = density if options.system == "vlasov" else Wave(jnp.sqrt(density.f), grid)
    every = max(1, options.steps // _SAVES)
    # A multiple of the interval between saves: all chunks but the last then share one program.
    chunk = every * max(1, options.steps // (_CHUNKS * every))
    save = Save(every=every, observe={"series": functools.partial(_series, potential=potential)})
    given = {"scheme": options.make_scheme(), "dt": options.dt, "num_steps": options.steps, "save": save}
    parts, pictures = [], []
    with Progress(label, 1 + options.steps // every, shown=watch.progress) as bar:
        for part in iterate(SYSTEMS[options.system](potential), state, chunk=chunk, **given):
            step = part.checkpoint.step
            if step == options.steps or step - chunk < options.steps // 2 <= step:
                pictures.append((step * options.dt, np.asarray(phase_space_density(part.final))))
            # Keep the series, not the final state of every chunk.
            parts.append((part.times, part.observed["series"], part.stats))
            bar.advance(len(part.times))
    times, series = (np.concatenate([np.asarray(part[k], float) for part in parts]) for k in (0, 1))
    mode, field, whole, norm = series.T
    names = ("spectral_tail_x", "spectral_tail_v", "boundary_mass", "recurrence")
    return Evolution(
        times,
        mode,
        field,
        {"energy": float(np.ptp(whole) / abs(whole[0])), "square_norm": float(np.ptp(norm) / norm[0])},
        {name: max(float(stats[name]) for _, _, stats in parts) for name in names},
        (pictures[0], pictures[-1]),
        np.asarray(grid.axes[0].points),
        np.asarray(grid.axes[1].points),
    )


def _series(state: Density | Wave, *, potential: AbstractPotential) -> Array:
    return jnp.stack(
        [
            density_mode(state).real,
            potential_energy(state, potential),
            energy(state, potential),
            casimir(state, jnp.square),
        ]
    )


def accuracy(evolution: Evolution) -> tuple[str, str]:
    """Sentences on the drift of the invariants and on the resolution of the grid."""
    drifts, stats = evolution.drifts, evolution.stats
    tail = max(stats["spectral_tail_x"], stats["spectral_tail_v"])
    poor = tail > _RESOLVED or stats["boundary_mass"] > _RESOLVED or stats["recurrence"] > 1
    return (
        f"Largest relative change over the run: energy {drifts['energy']:.1e}, int f^2 {drifts['square_norm']:.1e}.",
        f"Fraction of the perturbation's square norm in the upper third of the wavenumbers: {tail:.1e}; fraction of the mass "
        f"near the largest velocities: {stats['boundary_mass']:.1e}; end of the run: {stats['recurrence']:.2g} recurrence times"
        + (". NOT resolved: take more grid points or fewer steps." if poor else " (resolved)."),
    )


def arrays(evolution: Evolution) -> dict[str, np.ndarray]:
    (t_half, half), (t_end, end) = evolution.pictures
    return {
        "times": evolution.times, "mode": evolution.mode, "field_energy": evolution.field_energy, "x": evolution.x,
        "v": evolution.v, "f_half": half, "f_end": end, "picture_times": np.array([t_half, t_end]),
    }  # fmt: skip


def rows(evolution: Evolution, count: int = 15) -> np.ndarray:
    """Indices of the saves that the table shows."""
    return np.unique(np.linspace(0, len(evolution.times) - 1, count).round().astype(int))


def draw(
    evolution: Evolution, title: str, reach: tuple[float, float], background: np.ndarray | None,
    energies: Callable[[Axes], Any],
) -> Figure:  # fmt: skip
    """Two snapshots of f (or of f - `background`) in phase space, and the field energy over time, to which `energies` adds
    lines."""
    figure, axes = look.new_figure(1, 3, size=(16.5, 4.9), title=title)
    for ax, (t, f) in zip(axes[0, :2], evolution.pictures, strict=True):
        shown = f if background is None else f - background
        name = f"f(x, v), t = {t:.3g}" if background is None else f"f - f$_0$, t = {t:.3g}"
        image = look.phase_space_density(ax, evolution.x, evolution.v, shown, signed=background is not None, title=name)
        ax.set_ylim(reach)
        figure.colorbar(image, ax=ax, shrink=0.9, label="f(x, v)" if background is None else "f(x, v) - f$_0$(v)")
    ax = axes[0, 2]
    ax.plot(evolution.times, np.abs(evolution.field_energy), color=look.BLUE, lw=1.6, label="field energy")
    energies(ax)
    ax.set_yscale("log")
    look.describe(ax, "time t", r"$|\frac{1}{2}\int \rho\;\Gamma * \rho|$", "Energy of the field")
    look.legend(ax)
    return figure


def wavelength(wavenumber: float) -> float:
    return 2 * math.pi / wavenumber
