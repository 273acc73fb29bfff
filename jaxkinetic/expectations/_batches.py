"""How the replicas of an expectation are divided into batches, and how scores are weighted."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._util.types import PyTree


class Estimator(eqx.Module):
    """How the scores are weighted: `kind` "cone" or "global"; bits of `words` words at a time; at most `most_blocks` blocks.
    `shared_start`: the decisions of the start change the candidates, so that their cone is everything."""

    kind: str = eqx.field(static=True)
    words: int = eqx.field(static=True)
    most_blocks: int | None = eqx.field(static=True)
    shared_start: bool = eqx.field(static=True)


class Batches(eqx.Module):
    """`number` batches of `size` replicas; `replicas` of them are wanted."""

    replicas: int = eqx.field(static=True)
    size: int = eqx.field(static=True)

    @property
    def number(self) -> int:
        return -(-self.replicas // self.size)

    def over(self, function: Any, *trees: PyTree) -> PyTree:
        """`function` of every replica's number and of its entries of the trees."""
        total = self.number * self.size
        index = jnp.minimum(jnp.arange(total), self.replicas - 1)

        def split(x: Array) -> Array:
            return x[index].reshape(self.number, self.size, *x.shape[1:])

        def batch(entry: PyTree) -> PyTree:
            if self.size == 1:
                out = function(*jax.tree.map(lambda x: x[0], entry))
                return jax.tree.map(lambda x: x[None], out)
            return jax.vmap(function)(*entry)

        entries = (index.reshape(self.number, self.size), *jax.tree.map(split, trees))
        if self.number == 1:
            out = batch(jax.tree.map(lambda x: x[0], entries))
            return jax.tree.map(lambda x: x[: self.replicas], out)
        out = jax.lax.map(batch, entries)
        return jax.tree.map(lambda x: x.reshape(total, *x.shape[2:])[: self.replicas], out)


def with_arrays(tree: PyTree) -> PyTree:
    """The tree with its Python floats as arrays, so that other numbers use the same program."""
    return jax.tree.map(lambda x: jnp.asarray(float(x)) if isinstance(x, float) else x, tree)
