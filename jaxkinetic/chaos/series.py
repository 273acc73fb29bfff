"""A distance for every N, and the exponent that it shows."""

import dataclasses

import numpy as np

__all__ = ["Exponent", "Series", "Theory"]


@dataclasses.dataclass(frozen=True)
class Theory:
    """What is known of a distance as N grows. `theorem`: in words, such as "bound 1/2" or "qualitative"; `source`: its BibTeX
    key. `predicted`: the exponent that a formal or exact computation gives, None where theory is silent."""

    theorem: str = ""
    predicted: float | None = None
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Series:
    """A distance for every N, at one time.

    - `N`, (n,). `value`: signed. With a floor: sqrt(raw^2 - floor^2); if raw < floor, -sqrt(floor^2 - raw^2).
      `stderr`: its standard error, by bootstrap over the runs (0 for a deterministic system).
    - `raw`: before the floor was removed. `floor`: what N independent particles of the limit give; 0 without a floor.
    - `replicas`: runs for each N.
    - `amount`, `draws`: what is fitted, |amount| ~ N^{-power p}: the value, or its square (`power` = 2), (n,), and bootstrap
      draws of it, (B, n); draws are equal to `amount` for a deterministic system."""

    N: np.ndarray
    value: np.ndarray
    stderr: np.ndarray
    raw: np.ndarray
    floor: np.ndarray
    replicas: np.ndarray
    amount: np.ndarray
    draws: np.ndarray
    power: int = 1

    def __repr__(self) -> str:
        rows = {
            name: np.array2string(getattr(self, name), precision=4, separator=", ") for name in ("N", "value", "stderr")
        }
        return f"Series({', '.join(f'{name}={row}' for name, row in rows.items())})"


@dataclasses.dataclass(frozen=True)
class Exponent:
    """A distance that decays as N^{-value}.

    - `value`, `stderr`; `interval`: 95 %, from a bootstrap over runs and over the window of the fit.
    - `used`: the N that were fitted. `left_out`: N -> the reason in words. `within_noise`: those of `used` that do not
      stand out of the noise, N -> the reason in words. They enter with their errors; figures must not show them as a law.
    - `statement`: what the fit says, in one sentence, for example that it cannot tell 1/2 from 1.
    - `curvature`, `curvature_stderr`: the second derivative of log(distance) with respect to log N, and its standard error;
      NaN for fewer than four N.
    - `stderr_window`: the part of `stderr` that surely comes from the range of N; more runs do not reduce it.
    - `fitted_floor`, `fitted_floor_stderr`: the floor F, if it was a parameter of the fit; negative if F^2 < 0 fits best."""

    value: float
    stderr: float
    interval: tuple[float, float]
    used: tuple[int, ...]
    left_out: dict[int, str]
    statement: str
    curvature: float = float("nan")
    curvature_stderr: float = float("nan")
    stderr_window: float = 0.0
    within_noise: dict[int, str] = dataclasses.field(default_factory=dict)
    fitted_floor: float | None = None
    fitted_floor_stderr: float | None = None

    def __str__(self) -> str:
        return self.statement
