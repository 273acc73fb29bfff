"""The variables of a dataset: names, dimensions and coordinates of what a run saved."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from .._io.netcdf import need_xarray
from ..radial import RadialDensity
from ..states import Density, Particles, Wave
from .reductions import Moments

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["UNITS", "Columns", "GridAxis", "axes_of", "axis_names", "entry_name"]

# Every quantity of this library is nondimensional.
UNITS = "nondimensional"


class GridAxis(NamedTuple):
    """An axis of a grid as it was saved: `start` and `length` may have leading axes. `wavenumber`: its points are those of the
    discrete Fourier transform, in FFT order."""

    name: str
    start: Any
    length: Any
    num: int
    periodic: bool | None = None
    wavenumber: bool = False

    def points(self) -> np.ndarray | None:
        """The coordinates; None if they are not the same in all runs and at all times."""
        start, length = np.unique(_plain(self.start)), np.unique(_plain(self.length))
        if start.size != 1 or length.size != 1:
            return None
        if self.wavenumber:
            points = 2 * np.pi * np.fft.fftfreq(self.num, float(length[0]) / self.num)
        else:
            points = float(start[0]) + float(length[0]) / self.num * np.arange(self.num)
        return points.astype(length.dtype)


def axis_names(count: int, coordinates: str) -> list[str]:
    """Names of the axes of a grid. `coordinates`: "phase space" (first all positions, then all velocities), "velocity", or ""
    if unknown."""

    def of(letter: str, num: int) -> list[str]:
        return [letter] if num == 1 else [f"{letter}_{i + 1}" for i in range(num)]

    if coordinates == "phase space" and count % 2 == 0:
        return of("x", count // 2) + of("v", count // 2)
    return of("v", count) if coordinates == "velocity" else [f"axis_{i}" for i in range(count)]


def axes_of(state: Density | Wave, coordinates: str) -> list[GridAxis]:
    axes = state.grid.axes
    fourier = isinstance(state, Wave) and state.picture == "fourier"
    names = axis_names(len(axes), "phase space" if isinstance(state, Wave) else coordinates)
    names = [name.replace("v", "xi") if fourier else name for name in names]
    return [
        GridAxis(name, axis.start, axis.length, axis.num, axis.periodic, name.startswith("xi"))
        for name, axis in zip(names, axes, strict=True)
    ]


class Columns:
    """Collects variables. `reserved`: names of observables, which no dimension `name_0` may have."""

    def __init__(self, reserved: Collection[str] = ()):
        self.variables: dict[str, Any] = {}
        self.coordinates: dict[str, Any] = {}
        self.sizes: dict[str, int] = {}
        self.reserved = set(reserved)

    def dimension(self, name: str, size: int, owner: str = "") -> str:
        """`name`, or a longer name if a dimension of another size or a variable has it."""
        while self.sizes.get(name, size) != size or name in self.variables:
            name = f"{owner}_{name}" if owner and not name.startswith(f"{owner}_") else f"{name}_"
        self.sizes[name] = size
        return name

    def coordinate(self, name: str, points: np.ndarray, owner: str = "", **attributes: Any) -> str:
        """The dimension with these points, which several variables share."""
        while name in self.sizes and not (
            name in self.coordinates and np.array_equal(self.coordinates[name][1], points)
        ):
            name = f"{owner}_{name}" if owner and not name.startswith(f"{owner}_") else f"{name}_"
        name = self.dimension(name, len(points), owner)
        self.coordinates[name] = ((name,), points, {"units": UNITS, **attributes})
        return name

    def put(
        self, name: str, dims: Sequence[str], value: Any, long_name: str = "", stem: str = "", **attributes: Any
    ) -> None:
        """A variable. Axes beyond `dims` get the dimensions `stem_0`, `stem_1`, ...; by default, the stem is the name. `Moments`
        become four variables with the same dimensions."""
        if isinstance(value, Moments):
            for part, what in _PARTS.items():
                shown = f"{what} of {long_name or name}"
                own = () if part == "count" else dims
                self.put(f"{name}_{part}", own, getattr(value, part), shown, name, **attributes)
            return
        if jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        values = np.asarray(value)
        dims = list(dims[: values.ndim])
        if any(self.sizes.get(dim) != size for dim, size in zip(dims, values.shape, strict=False)):
            dims = []
        for i, size in enumerate(values.shape[len(dims) :]):
            free = f"{stem or name}_{i}"
            while free in self.reserved:
                free += "_"
            dims.append(self.dimension(free, size))
        if name in self.variables or name in self.sizes or name in self.coordinates:
            name = f"observed_{name}"
        while name in self.variables or name in self.sizes or name in self.coordinates:
            name += "_"
        told = {"long_name": long_name} if long_name else {}
        self.variables[name] = (tuple(dims), values, {"units": UNITS, **told, **attributes})

    def tree(self, owner: str, lead: Sequence[str], tree: Any, coordinates: str) -> None:
        """The arrays and states of a pytree, all with the leading dimensions `lead`. `owner`: what their names begin with."""
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree, is_leaf=_is_known):
            own = _joined(owner, *map(entry_name, path))
            if isinstance(leaf, Particles):
                self.particles(own, lead, leaf.velocity, leaf.position, leaf.alive, leaf.ident)
            elif isinstance(leaf, Density):
                self.on_grid(own, lead, "f", leaf.f, axes_of(leaf, coordinates))
            elif isinstance(leaf, Wave):
                told = {"picture": leaf.picture, "num_particles": leaf.num_particles}
                self.on_grid(own, lead, "alpha", leaf.alpha, axes_of(leaf, coordinates), **told)
            elif isinstance(leaf, RadialDensity):
                self.radial(own, lead, leaf.f, leaf.grid.radius, leaf.grid.num, leaf.grid.dim)
            else:
                self.put(own or "state", lead, leaf)

    def particles(self, owner: str, lead: Sequence[str], velocity: Any, position: Any, alive: Any, ident: Any) -> None:
        num, dim = np.shape(_array(velocity))[-2:]
        particle, component = self.dimension("particle", num, owner), self.dimension("component", dim, owner)
        by_particle = {
            "alive": (alive, "whether the slot holds a particle"),
            "ident": (ident, "identity of the particle"),
        }
        for name, (value, told) in {"velocity": (velocity, "velocity"), "position": (position, "position")}.items():
            if value is not None:
                self.put(_joined(owner, name), (*lead, particle, component), value, told)
        for name, (value, told) in by_particle.items():
            if value is not None:
                self.put(_joined(owner, name), (*lead, particle), value, told)

    def on_grid(
        self, owner: str, lead: Sequence[str], field: str, value: Any, axes: Sequence[GridAxis], **attributes: Any
    ) -> None:
        dims = []
        for axis in axes:
            points = axis.points()
            if points is None:
                dims.append(self.dimension(axis.name, axis.num, owner))
                self.put(_joined(owner, axis.name, "start"), lead, axis.start, f"first {axis.name}")
                self.put(_joined(owner, axis.name, "length"), lead, axis.length, f"length of the axis {axis.name}")
                continue
            length = float(np.ravel(_plain(axis.length))[0])
            told: dict[str, Any] = {"long_name": _LONG[axis.name.partition("_")[0]], "length": length}
            if axis.periodic is not None:
                told["periodic"] = int(axis.periodic)
            dims.append(self.coordinate(axis.name, points, owner, **told))
        name = "amplitude with |alpha|^2 = f" if field == "alpha" else "density"
        self.put(_joined(owner, field), (*lead, *dims), value, name, **attributes)

    def radial(self, owner: str, lead: Sequence[str], f: Any, radius: Any, num: int, dim: int | None) -> None:
        radii = np.unique(_plain(radius))
        told = {} if dim is None else {"velocity_dimension": dim}
        if radii.size == 1:
            points = (radii[0] / num * (np.arange(num) + 0.5)).astype(radii.dtype)
            speed = self.coordinate("speed", points, owner, long_name="speed |v|", length=float(radii[0]))
        else:
            speed = self.dimension("speed", num, owner)
            self.put(_joined(owner, "radius"), lead, radius, "largest speed")
        self.put(_joined(owner, "f"), (*lead, speed), f, "isotropic density in R^d", **told)

    def dataset(self, attributes: dict[str, Any]) -> "Dataset":
        xarray = need_xarray("`to_xarray`")
        return xarray.Dataset(self.variables, self.coordinates, attributes)


_PARTS = {"mean": "mean", "var": "variance", "stderr": "standard error of the mean", "count": "number of replicas"}
_LONG = {
    "x": "position", "v": "velocity", "xi": "wavenumber of velocity, in FFT order", "axis": "coordinate of the grid",
}  # fmt: skip


def entry_name(entry: Any) -> str:
    """The name of one entry of a JAX key path: a dict key, a field or an index."""
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def _is_known(x: Any) -> bool:
    return isinstance(x, (Particles, Density, Wave, RadialDensity, Moments))


def _array(value: Any) -> Any:
    """The array itself, or the mean of an array that was reduced over replicas."""
    return value.mean if isinstance(value, Moments) else value


def _plain(value: Any) -> np.ndarray:
    return np.asarray(_array(value))


def _joined(*words: str) -> str:
    return "_".join(word for word in words if word)
