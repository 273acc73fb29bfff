"""Convert arrays and meshes from Explicit axes, the default of `jax.make_mesh`, to Auto axes.

With Explicit axes every gather, sort and contraction over a sharded axis must name the sharding of its result. The programs of
this library leave the sharding to the compiler.
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
    """A mesh with the same devices and axis names, all axes Auto."""
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))


def explicit_context() -> bool:
    """Whether the code runs inside `jax.set_mesh` of a mesh with Explicit axes."""
    return bool(jax.sharding.get_abstract_mesh().explicit_axes)


def automatic(tree: Any) -> Any:
    """The tree with its arrays divided among the same devices, but without Explicit axes. Inside `jax.set_mesh` of a mesh with
    Explicit axes, which forbids Auto axes, each array is copied to every device instead."""
    if not any(_is_explicit(leaf) for leaf in jax.tree.leaves(tree)):
        return tree
    put = _copied if explicit_context() else _automatic
    return jax.tree.map(lambda leaf: put(leaf) if _is_explicit(leaf) else leaf, tree)


def on_any_mesh(fn: _F) -> _F:
    """`fn`, extended to arguments whose arrays are sharded over Explicit axes."""

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


# Jitted, because under `jax.grad` without `jit` a tracer does not know its devices.
@jax.jit
def _automatic_in_trace(array: jax.Array) -> jax.Array:
    sharding = jax.typeof(array).sharding
    names = sharding.mesh.axis_names
    mesh = AbstractMesh(sharding.mesh.axis_sizes, names, axis_types=(AxisType.Auto,) * len(names))
    return jax.device_put(array, NamedSharding(mesh, sharding.spec))  # pyright: ignore[reportArgumentType]


def _copied(array: jax.Array) -> jax.Array:
    return jax.sharding.reshard(array, PartitionSpec())


class Layout(NamedTuple):
    """How a state is placed: the number of devices, and whether any array is divided among them."""

    devices: int
    divided: bool

    @staticmethod
    def of(tree: Any) -> "Layout":
        """The layout of a tree. A traced array shows its sharding only on Explicit axes; otherwise it counts as one device."""
        layouts = [_layout(leaf) for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array) and leaf.ndim > 0]
        return Layout(max((one.devices for one in layouts), default=1), any(one.divided for one in layouts))

    def warn(self, system: Any, scheme: Any, stacklevel: int = 3) -> None:
        """**Warns:** if several devices all compute the complete run, or must exchange data in every step."""
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
