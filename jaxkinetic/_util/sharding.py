"""Arrays and meshes whose axes are Explicit, which is the default of `jax.make_mesh`: to Auto axes.

With Explicit axes every gather, sort and contraction over a sharded axis has to name the sharding of its result. Programs here
leave that to the compiler.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import jax
from jax.core import Tracer
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

_F = TypeVar("_F", bound=Callable[..., Any])


def automatic_mesh(mesh: Mesh) -> Mesh:
    """The same devices and names, all axes Auto."""
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))


def explicit_context() -> bool:
    """Whether the code runs inside `jax.set_mesh` of a mesh with Explicit axes."""
    return bool(jax.sharding.get_abstract_mesh().explicit_axes)


def automatic(tree: Any) -> Any:
    """The tree with its arrays on the same devices in the same parts, and no axis Explicit. Inside `jax.set_mesh` of a mesh
    with Explicit axes, where Auto ones are not allowed: with a copy of each array on every device."""
    if not any(_is_explicit(leaf) for leaf in jax.tree.leaves(tree)):
        return tree
    put = _copied if explicit_context() else _automatic
    return jax.tree.map(lambda leaf: put(leaf) if _is_explicit(leaf) else leaf, tree)


def on_any_mesh(fn: _F) -> _F:
    """`fn`, for arguments with arrays sharded over Explicit axes too."""

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = automatic((args, kwargs))
        return fn(*args, **kwargs)

    return cast(_F, wrapped)


def _is_explicit(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and bool(jax.typeof(leaf).sharding.mesh.explicit_axes)


def _automatic(array: jax.Array) -> jax.Array:
    if isinstance(array, Tracer):
        return _automatic_in_trace(array)
    sharding: Any = array.sharding
    return jax.device_put(array, NamedSharding(automatic_mesh(sharding.mesh), sharding.spec))


# Jitted: under `jax.grad` alone a tracer does not know its devices.
@jax.jit
def _automatic_in_trace(array: jax.Array) -> jax.Array:
    sharding = jax.typeof(array).sharding
    names = sharding.mesh.axis_names
    mesh = AbstractMesh(sharding.mesh.axis_sizes, names, axis_types=(AxisType.Auto,) * len(names))
    return jax.device_put(array, NamedSharding(mesh, sharding.spec))  # pyright: ignore[reportArgumentType]


def _copied(array: jax.Array) -> jax.Array:
    return jax.sharding.reshard(array, PartitionSpec())


class Layout(NamedTuple):
    """How the arrays of a state lie: on how many devices, and whether these hold different parts of one of them."""

    devices: int
    divided: bool

    @staticmethod
    def of(tree: Any) -> "Layout":
        """Of traced arrays what Explicit axes tell; of those on Auto axes nothing is known: one device."""
        layouts = [_layout(leaf) for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array) and leaf.ndim > 0]
        return Layout(max((one.devices for one in layouts), default=1), any(one.divided for one in layouts))

    def warn(self, system: Any, scheme: Any, stacklevel: int = 3) -> None:
        """**Warns:** where several devices do what one would do, or wait for each other in every step."""
        if self.devices == 1:
            return
        gathers = scheme.gathers or system.gathers
        if self.divided and not gathers:
            return
        what = (
            f"The state is divided among {self.devices} devices, but a step of {type(scheme).__name__} for "
            f"{type(system).__name__} {gathers}"
            if self.divided
            else f"Each of {self.devices} devices holds a copy of the state and computes the complete run"
        )
        do = "put the state on one device, or share out replicas by `jk.ensemble(mesh=)`"
        warnings.warn(f"{what}; {do}.", stacklevel=stacklevel)


def _layout(array: jax.Array) -> Layout:
    if isinstance(array, Tracer):
        sharding: Any = jax.typeof(array).sharding
        parts = any(part is not None for part in sharding.spec)
        return Layout(sharding.mesh.size if sharding.mesh.explicit_axes else 1, parts and _is_explicit(array))
    return Layout(len(array.sharding.device_set), not array.sharding.is_fully_replicated)
