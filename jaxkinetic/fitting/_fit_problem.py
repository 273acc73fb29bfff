"""The model of a fit as a function of one vector of parameters, and the program that evaluates it."""

import contextlib
import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error, describe, kind, takes
from .._util.types import Array, Key, PyTree

__all__ = ["Problem", "evaluate", "flat_data", "read_problem"]


class Problem(eqx.Module):
    """`model` with the leaves that are held fixed. `structure`, `shapes`, `dtypes`: those of the fitted leaves. `dtype`: that
    of the vector x of all of them. `forward`: whether the Jacobian is made by forward mode."""

    model: Any
    fixed: PyTree
    structure: Any = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    dtypes: tuple[str, ...] = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    forward: bool = eqx.field(static=True, default=True)

    def fitted(self, x: Any) -> PyTree:
        """The tree of the fitted leaves from x (p,); None in place of the fixed ones."""
        sizes = [math.prod(shape) for shape in self.shapes]
        ends = np.cumsum([0, *sizes])
        leaves = [
            x[first:last].reshape(shape).astype(dtype)
            for first, last, shape, dtype in zip(ends[:-1], ends[1:], self.shapes, self.dtypes, strict=True)
        ]
        return jax.tree.unflatten(self.structure, leaves)

    def parameters(self, x: Any) -> PyTree:
        return eqx.combine(self.fitted(x), self.fixed)

    def predict(self, x: Array, key: Key | None) -> Array:
        """The prediction as one vector (n,)."""
        given = (self.parameters(x),) if key is None else (self.parameters(x), key)
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(self.model(*given))]
        return jnp.concatenate([leaf.reshape(-1).astype(self.dtype) for leaf in leaves])


@eqx.filter_jit
def evaluate(problem: Problem, x: Array, key: Key | None) -> tuple[Array, Array]:
    """The prediction m (n,) and its Jacobian dm/dx (n, p), from one run of the model."""
    if problem.forward:

        def twice(x: Array) -> tuple[Array, Array]:
            prediction = problem.predict(x, key)
            return prediction, prediction

        jacobian, prediction = jax.jacfwd(twice, has_aux=True)(x)
        return prediction, jacobian
    prediction, pull = jax.vjp(lambda x: problem.predict(x, key), x)
    (jacobian,) = jax.vmap(pull)(jnp.eye(prediction.shape[0], dtype=prediction.dtype))
    return prediction, jacobian


def read_problem(
    model: Any, data: PyTree, start: PyTree, mask: PyTree, key: Key | None
) -> tuple[Problem, list[tuple[str, np.ndarray]], list[str]]:
    """The problem, (name, concrete array) of each fitted leaf, and the name of each of the p parameters. **Raises:**
    `ValueError`: see `fit_parameters`."""
    chosen = _chosen(start, mask)
    fitted, fixed = eqx.partition(start, chosen)
    with_paths, structure = jax.tree_util.tree_flatten_with_path(fitted)
    # Python floats become arrays, since the derivative in a constant of the program cannot be taken.
    leaves = [(_name(path), np.asarray(leaf, jnp.result_type(leaf))) for path, leaf in with_paths]
    for name, leaf in leaves:
        if not np.isfinite(leaf.astype(float)).all():
            raise argument_error("start", "be finite", f"{name} is not", "pass finite numbers")
    names = [
        name if leaf.shape == () else f"{name}[{', '.join(map(str, index))}]"
        for name, leaf in leaves
        for index in np.ndindex(leaf.shape)
    ]
    # The widest dtype of parameters and data that JAX has here, at least float32.
    found = [x.dtype for x in (*(leaf for _, leaf in leaves), *jax.tree.leaves(data)) if x.dtype.itemsize >= 4]
    dtype = max(found, key=lambda d: d.itemsize, default=jnp.dtype(jnp.float32))
    problem = Problem(
        model, fixed, structure, tuple(x.shape for _, x in leaves), tuple(x.dtype.name for _, x in leaves),
        jnp.dtype(dtype).name,
    )  # fmt: skip
    x = np.concatenate([leaf.ravel().astype(dtype) for _, leaf in leaves])
    return _differentiable(_checked(problem, data, x, key), x, key), leaves, names


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".") or "parameter"


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, float) or (
        isinstance(leaf, (jax.Array, np.ndarray, np.generic)) and jnp.issubdtype(leaf.dtype, jnp.floating)
    )


def _chosen(start: PyTree, mask: PyTree) -> PyTree:
    """A tree of bools: which leaves are fitted."""
    if not any(_is_floating(leaf) for leaf in jax.tree.leaves(start)):
        raise argument_error(
            "start", "hold a floating number to fit", f"is {describe(start)}", "pass floats or floating arrays"
        )
    if mask is None:
        return jax.tree.map(_is_floating, start)

    def choose(path: Any, wanted: Any, subtree: PyTree) -> PyTree:
        where = _name(path)
        if not isinstance(wanted, (bool, np.bool_)):
            raise argument_error("mask", "hold bools", f"{where} is {describe(wanted)}", "use True for what is fitted")
        leaves = jax.tree.leaves(subtree)
        if wanted and leaves and not any(_is_floating(leaf) for leaf in leaves):
            raise argument_error(
                "mask", "be True for floating leaves only", f"{where} is {describe(leaves[0])}, in which the model has no "
                "derivative", "pass a float in `start`, or False in `mask`",
            )  # fmt: skip
        return jax.tree.map(lambda leaf: bool(wanted) and _is_floating(leaf), subtree)

    chosen = broadcast("mask", choose, mask, start)
    if not any(jax.tree.leaves(chosen)):
        raise argument_error("mask", "be True for one leaf at least", "is False everywhere", "fit one parameter")
    return chosen


def broadcast(argument: str, function: Any, prefix: PyTree, tree: PyTree, is_leaf: Any = None) -> PyTree:
    """function(path, entry of `prefix`, subtree of `tree`) for every entry of a pytree prefix. **Raises:** `ValueError` if
    `prefix` is not one."""
    try:
        jax.tree.map(lambda *_: None, prefix, tree, is_leaf=is_leaf)
    except (ValueError, TypeError):
        raise argument_error(
            argument, "be a prefix of the pytree `start`", f"is {describe(prefix)}", "give it the structure of `start`"
        ) from None
    return jax.tree_util.tree_map_with_path(function, prefix, tree, is_leaf=is_leaf)


def flat_data(data: PyTree) -> tuple[PyTree, np.ndarray]:
    """`data` with floating arrays as leaves, and the vector (n,) of all numbers. **Raises:** `ValueError` for data that are not
    real and finite."""

    def floating(leaf: Any) -> np.ndarray:
        try:
            array = np.asarray(leaf)
        except (TypeError, ValueError, jax.errors.TracerArrayConversionError):
            array = np.asarray(None)
        if array.dtype.kind not in "fiu" and not jnp.issubdtype(array.dtype, jnp.floating):
            raise argument_error("data", "hold real numbers", f"holds {describe(leaf)}", "pass real arrays")
        return array.astype(jnp.result_type(array if jnp.issubdtype(array.dtype, jnp.floating) else float))

    data = jax.tree.map(floating, data)
    leaves = jax.tree_util.tree_leaves_with_path(data)
    for path, leaf in leaves:
        bad = np.argwhere(~np.isfinite(leaf.astype(float)))
        if len(bad):
            place = jax.tree_util.keystr(path)
            raise argument_error(
                f"data{place}", "hold finite numbers", f"has a NaN or infinity at {tuple(int(i) for i in bad[0])}",
                "leave it out of data and prediction",
            )  # fmt: skip
    return data, np.concatenate([leaf.astype(float).ravel() for _, leaf in leaves] or [np.zeros(0)])


def _checked(problem: Problem, data: PyTree, x: np.ndarray, key: Key | None) -> Problem:
    """**Raises:** `ValueError` unless the model takes what it is given and predicts something in the form of the data."""
    model = problem.model
    if not callable(model):
        raise argument_error("model", "be a function", f"is {describe(model)}", "pass model(parameters, key)")
    if key is None and not takes(model, 1):
        raise argument_error(
            "key", "be given for a model of two arguments, (parameters, key)", "is None", "pass key=jax.random.key(0)"
        )
    if key is not None and not takes(model, 2):
        raise argument_error(
            "key",
            "be None for a model of one argument",
            "is given",
            "write the model as a function of (parameters, key)",
        )
    given = (problem.parameters(x),) if key is None else (problem.parameters(x), key)
    found = eqx.filter_eval_shape(lambda *given: jax.tree.map(jnp.asarray, model(*given)), *given)
    wanted, got = jax.tree.structure(data), jax.tree.structure(found)
    do = "return the prediction in the form of `data`"
    if wanted != got:
        raise argument_error("model", f"predict a pytree like `data`, {_form(data)}", f"it gives {_form(found)}", do)
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(data), jax.tree.leaves(found), strict=True):
        place = jax.tree_util.keystr(path)
        if one.shape != other.shape:
            raise argument_error(
                "model", f"predict data{place} of shape {one.shape}", f"it gives shape {other.shape}", do
            )
        if not jnp.issubdtype(other.dtype, jnp.floating):
            raise argument_error("model", "predict real floating numbers", f"it gives {other.dtype}", "convert them")
    return problem


def _form(tree: PyTree) -> str:
    return "one array" if jax.tree_util.all_leaves([tree]) else f"{kind(tree)} of {len(jax.tree.leaves(tree))} arrays"


def _differentiable(problem: Problem, x: np.ndarray, key: Key | None) -> Problem:
    """Forward mode where the model has it, else reverse mode. **Raises:** what the model raises in reverse mode."""
    with contextlib.suppress(TypeError, NotImplementedError):
        eqx.filter_eval_shape(evaluate, problem, x, key)
        return problem
    backward = dataclasses.replace(problem, forward=False)
    eqx.filter_eval_shape(evaluate, backward, x, key)
    return backward
