"""Second derivatives: of roots and guards, inside and outside of loops."""

from .mutation import Mutation, tests

_GRADIENTS, _TEST = "jaxkinetic/_util/gradients.py", "contract/test_second_derivatives.py"

MUTATIONS = [
    Mutation(
        "root-frozen-in-loops",
        "A root inside a scan has no derivative left when its rule is dropped: half of the second derivative is missing.",
        _GRADIENTS,
        "return zero_with_derivative(-tangent_solve(linear, value)) + start",
        "return 0 * zero_with_derivative(-tangent_solve(linear, value)) + start",
        tests(_TEST, "test_second_derivatives_of_roots_in_loops[elementwise]"),
    ),
    Mutation(
        "matrix-root-frozen-in-loops",
        "A matrix root inside a scan has no derivative left when its rule is dropped.",
        "jaxkinetic/landau/roots.py",
        "return root + zero_with_derivative(_solved(root, eigen, matrix))",
        "return root + 0 * zero_with_derivative(_solved(root, eigen, matrix))",
        tests(_TEST, "test_second_derivatives_of_roots_in_loops[matrix]"),
    ),
    Mutation(
        "kepler-frozen-in-loops",
        "The angle of a torus mode inside a scan has no derivative left when its rule is dropped.",
        "jaxkinetic/initial/samplers.py",
        "return theta + zero_with_derivative(",
        "return theta + 0 * zero_with_derivative(",
        tests(_TEST, "test_second_derivatives_of_roots_in_loops[kepler]"),
    ),
    Mutation(
        "quantile-frozen-slope",
        "The quantile of a density has a Newton step with a frozen slope: second derivatives are wrong.",
        _GRADIENTS,
        "slope = linear(jnp.ones_like(target))",
        "slope = jax.lax.stop_gradient(linear(jnp.ones_like(target)))",
        tests(_TEST, "test_second_derivatives_of_roots_in_loops[elementwise]"),
    ),
]
