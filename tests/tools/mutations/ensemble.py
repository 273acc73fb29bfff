"""Ensembles and reductions."""

from .mutation import Mutation, tests

MUTATIONS = [
    Mutation(
        "ensemble-one-key",
        "All replicas have the same key.",
        "jaxkinetic/_ensemble.py",
        "jax.random.split(jax.random.fold_in(self.key, index))",
        "jax.random.split(self.key)",
        tests("core/test_ensemble.py", "test_replica_equals_single_run[3]"),
    ),
    Mutation(
        "ensemble-key-of-the-batch",
        "The key of a replica depends on the batch.",
        "jaxkinetic/_ensemble.py",
        "index = first[0] + jnp.minimum(places, count - 1)",
        "index = first[0] + places % batch",
        tests("core/test_ensemble.py", "test_replica_equals_single_run[3]"),
    ),
    Mutation(
        "ensemble-padding-counts",
        "The replicas that pad the last batch count in mean and variance.",
        "jaxkinetic/_ensemble.py",
        "reduce.add(a, x, places < count)",
        "reduce.add(a, x, jnp.ones(places.shape, bool))",
        tests("core/test_ensemble.py", "test_mean_and_variance[scheme0]"),
    ),
    Mutation(
        "ensemble-totals-not-merged",
        "On several devices only the total of the first one is kept.",
        "jaxkinetic/_ensemble.py",
        "total = reduce.merge(total, jax.tree.map(lambda x, i=i: x[i], totals))",
        "total = jax.tree.map(lambda x: x[0], totals)",
        tests("core/test_ensemble.py", "test_replicas_on_two_devices"),
    ),
    Mutation(
        "reduction-gap-of-means",
        "The variances of two batches are merged without the gap of their means.",
        "jaxkinetic/_reductions.py",
        "a.square + b.square + _square(gap) * (n * m / both)",
        "a.square + b.square",
        tests("core/test_ensemble.py", "test_variance_does_not_cancel"),
    ),
    Mutation(
        "reduction-n",
        "The variance over replicas is divided by N instead of N - 1.",
        "jaxkinetic/_reductions.py",
        "total.square / jnp.maximum(count - 1, 1)",
        "total.square / jnp.maximum(count, 1)",
        tests("core/test_ensemble.py", "test_complex_integer_and_boolean_observables"),
    ),
    Mutation(
        "reduction-cancels",
        "The variance is E x^2 - (E x)^2, which cancels.",
        "jaxkinetic/_reductions.py",
        "_Total(num, mean, jnp.sum(_square(distance), axis=0))",
        "_Total(num, mean, jnp.sum(_square(distance + mean[None]), axis=0) - at_least_one * _square(mean))",
        tests("core/test_ensemble.py", "test_variance_does_not_cancel"),
    ),
    Mutation(
        "reduction-complex",
        "The variance of complex numbers is that of their real part.",
        "jaxkinetic/_reductions.py",
        "return x.real**2 + x.imag**2 if",
        "return x.real**2 if",
        tests("core/test_ensemble.py", "test_complex_integer_and_boolean_observables"),
    ),
]
