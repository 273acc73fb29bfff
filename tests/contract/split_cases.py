"""Systems that `Strang` drives, their potentials, grids and initial states: the cases of test_split_contract.py and
test_split_errors_and_equations.py, and of test_contract.py."""

import math
from dataclasses import dataclass
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from case import Case
from helpers import CIRCLE, VLASOV_SYSTEMS as SYSTEMS

import jaxkinetic as jk

V = jk.vlasov
STEPS, DT = 8, 0.1


class Screened(V.AbstractPotential):
    """A user's own potential, which the library has never seen: hat Gamma = strength/(k^2 + screening^2)."""

    strength: jax.Array = eqx.field(converter=jnp.asarray)
    screening: jax.Array = eqx.field(converter=jnp.asarray)
    regular = False

    def gamma(self, x):
        """In d = 1."""
        m = self.screening.astype(x.dtype)
        turn = jnp.abs(x[..., 0]) % CIRCLE
        return self.strength.astype(x.dtype) * jnp.cosh(m * (math.pi - turn)) / (2 * m * jnp.sinh(m * math.pi))

    def coefficients(self, axes):
        square = jnp.zeros((), axes[0].length.dtype)
        for i, axis in enumerate(axes):
            count = jnp.asarray([min(j, axis.num - j) for j in range(axis.num)], axis.length.dtype)
            square = square + jk.spectral.along((CIRCLE / axis.length * count) ** 2, i, len(axes))
        return self.strength / (square + self.screening**2)

    def bound(self, dim):
        return jnp.full((), jnp.inf, self.strength.dtype)


class Bell(eqx.Module):
    """A function with parameters, for `Custom`: every harmonic of a torus, smooth."""

    strength: jax.Array = eqx.field(converter=jnp.asarray)
    sharpness: jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, x):
        return self.strength * jnp.exp(self.sharpness * jnp.sum(jnp.cos(x) - 1, -1))


def bare(x):
    """A plain function, for `Custom`."""
    return -0.7 * jnp.sum(jnp.cos(x), -1)


class Fragile(V.Cosine):
    """Attracts, and breaks at the one place where the density is largest, if it is above a threshold."""

    threshold: jax.Array

    def __init__(self, strength, threshold):
        super().__init__(strength)
        self.threshold = jnp.asarray(threshold)

    def field(self, rho, axes):
        top = jnp.max(rho)
        # 1: a point mass, with which a potential may be checked before a run.
        broken = (rho == top) & (top > self.threshold) & (top < 1)
        return tuple(jnp.where(broken, jnp.nan, e) for e in super().field(rho, axes))


class Sum(V.AbstractPotential):
    """All potentials on a torus at once: one program has the derivatives in all of their parameters."""

    cosine: V.Cosine
    gaussian: V.Gaussian
    poisson: V.Poisson
    custom: V.Custom
    screened: Screened

    @property
    def parts(self):
        return self.cosine, self.gaussian, self.poisson, self.custom, self.screened

    def gamma(self, x):
        return sum(part.gamma(x) for part in self.parts)

    def coefficients(self, axes):
        return sum(part.coefficients(axes) for part in self.parts)


POTENTIALS = {
    "cosine": lambda: V.Cosine(0.8),
    "gaussian": lambda: V.Gaussian(-0.6, 0.9),
    "poisson": lambda: V.Poisson(CIRCLE, 5.0),
    "harmonic": lambda: V.Harmonic(0.7),
    "custom": lambda: V.Custom(Bell(-0.6, 0.7)),
    "bare": lambda: V.Custom(bare),
    "screened": lambda: Screened(4.0, 0.8),
    "sum": lambda: Sum(*(POTENTIALS[name]() for name in ("cosine", "gaussian", "poisson", "custom", "screened"))),
}
# Poisson's length is there for `check` and for particles: on a grid the wavenumbers are those of the grid.
PARAMETERS = {
    "harmonic": ("stiffness",),
    "sum": ("cosine.strength", "gaussian.strength", "gaussian.width", "poisson.strength", "custom.fn.strength",
            "custom.fn.sharpness", "screened.strength", "screened.screening"),
}  # fmt: skip


@dataclass(frozen=True)
class GridCase(Case):
    kind: str
    interaction: str
    dim: int = 1
    order: int = 2
    dtype: str = "float64"
    dt: float = DT
    thorough: bool = True
    differentiable: bool = True

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.interaction}-d{self.dim}-order{self.order}-{self.dtype}"

    @property
    def precisions(self) -> tuple[str, ...]:
        return (self.dtype,)

    @property
    def complex(self) -> str:
        return {"float32": "complex64", "float64": "complex128"}[self.dtype]

    def grid(self) -> jk.Grid:
        return grid(self.dim, trapped=self.interaction == "harmonic")

    def system(self) -> jk.AbstractSystem:
        return SYSTEMS[self.kind](POTENTIALS[self.interaction]())

    def scheme(self) -> jk.Strang:
        return jk.Strang(self.order)

    def options(self) -> dict:
        return {"scheme": self.scheme(), "dt": self.dt}

    def start(self, dtype=None, seed: int = 1):
        """Rolled in x for other seeds than 1."""
        assert dtype is None or jnp.dtype(dtype) == self.dtype
        state = _start(self)
        return state if seed == 1 else eqx.tree_at(values, state, jnp.roll(values(state), seed, 0))

    @staticmethod
    def values(state):
        return values(state)

    def variations(self):
        system = jax.tree.map(lambda x: x * 0.9 if eqx.is_array(x) else x, self.system())
        state = self.start()
        turned = eqx.tree_at(values, state, values(state)[::-1])
        moved = eqx.tree_at(lambda s: s.grid.axes[-1].start, state, state.grid.axes[-1].start - 0.3)
        return [{"system": system}, {"state": turned}, {"dt": 0.05, "t0": 1.0}, {"state": moved}]

    def __str__(self) -> str:
        return self.name


def grid(dim: int, *, trapped: bool = False) -> jk.Grid:
    """`trapped`: positions on the whole space, and data that decay there."""
    num_x, num_v = ((16,), (24,)) if dim == 1 else ((6, 4), (8, 6))
    circles = [jk.Axis(start, CIRCLE, num) for start, num in zip((0.3, -1.0), num_x, strict=False)]
    lines = [line(num, 0.1) for num in num_x]
    return jk.Grid(*(lines if trapped else circles), *[line(num, 0.3 * (i + 1)) for i, num in enumerate(num_v)])


def line(num: int, centre: float) -> jk.Axis:
    """From -4.6 to 4.6 about the centre, ends included: wide enough for a Gaussian, few points or many."""
    return jk.Axis(centre - 4.6, 9.2 * num / (num - 1), num, periodic=False)


def mesh(g: jk.Grid) -> list[np.ndarray]:
    return np.meshgrid(*(np.asarray(axis.points) for axis in g.axes), indexing="ij")


def amplitude(g: jk.Grid, width: float = 1.0, shift: float = 0.2) -> np.ndarray:
    """Complex, of norm 1, with a mean velocity, without a symmetry; it decays where an axis is not periodic."""
    d, points = g.half, mesh(g)
    x, across, v = points[0], points[d - 1], [c - shift * (1 + i) for i, c in enumerate(points[d:])]
    square = sum(c * c for c in v)
    weight = np.exp(
        -sum(c * c for c, axis in zip([*points[:d], *v], g.axes, strict=True) if not axis.periodic) / (2 * width)
    )
    f = (1 + 0.3 * np.cos(x) + 0.2 * np.sin(across + 0.4)) * weight
    angle = (0.5 * np.sin(x) + 0.3 * np.cos(across + 1)) * np.exp(-square / (6 * width)) * (1 + 0.3 * v[0])
    return normalised(np.sqrt(f) * np.exp(1j * angle), g)


def normalised(alpha: np.ndarray, g: jk.Grid) -> np.ndarray:
    return alpha / np.sqrt(np.sum(np.abs(alpha) ** 2) * float(g.cell))


def as_state(kind: str, alpha: np.ndarray, g: jk.Grid):
    if kind == "vlasov":
        return jk.Density(np.abs(alpha) ** 2, g)
    wave = jk.Wave(alpha, g)
    return wave if kind == "velocity" else wave.fourier_picture()


@cache
def _start(case: GridCase):
    g = case.grid()
    return as_state(case.kind, amplitude(g).astype(case.complex), g)


def values(state) -> jax.Array:
    return state.f if isinstance(state, jk.Density) else state.alpha


BITWISE = [
    GridCase("vlasov", "gaussian"),
    GridCase("velocity", "screened", order=4, dtype="float32"),
    GridCase("fourier", "custom"),
    GridCase("velocity", "harmonic", dim=2, dtype="float32"),
]
