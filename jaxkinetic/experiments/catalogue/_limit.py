"""Curves of a limit equation beside those of particles, in float64 in every experiment."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from ..._core.save import Save
from ..._core.simulate import simulate
from ..._core.system import AbstractSystem
from ..._util.types import Observable

__all__ = ["limit_curves"]


def limit_curves(
    system: Callable[[], AbstractSystem],
    start: Callable[[], Any],
    times: np.ndarray,
    observe: Mapping[str, Observable],
    *,
    num_steps: int,
) -> dict[str, np.ndarray]:
    """The observables (T,) of the solution at `times`, which begin at 0: `num_steps` steps of the default scheme up to the
    last time, and a cubic spline between them. `system` and `start` are made inside, in float64."""
    from scipy.interpolate import CubicSpline

    with jax.enable_x64(True):
        save = Save(every=1, observe=dict(observe))
        run = simulate(system(), start(), dt=float(times[-1]) / num_steps, num_steps=num_steps, save=save)
        found = {name: np.asarray(values, float) for name, values in run.observed.items()}
        known = np.asarray(run.times, float)
    return {name: CubicSpline(known, values)(times) for name, values in found.items()}
