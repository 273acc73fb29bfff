"""Derivatives at special points, and the start that `Reversible` rebuilds."""

from .mutation import BOLTZMANN, DIAGNOSTICS, LANDAU, PAIRS, VLASOV, Mutation, tests

POINTS = "core/test_special_points.py"
REVERSIBLE = "core/test_reversible.py"

MUTATIONS = [
    Mutation(
        "special-bodies-at-one-place",
        "The derivative of the force between two bodies at one place is masked with its value.",
        VLASOV + "pair_sums.py",
        "        known = smooth\n",
        "        known = jnp.zeros((), bool)\n",
        tests(POINTS, "test_step_of_coinciding_bodies", "test_potentials_where_bodies_coincide[custom]"),
    ),
    Mutation(
        "special-singular-force",
        "A force that has no derivative at 0 is evaluated there.",
        VLASOV + "pair_sums.py",
        "jnp.isfinite(values[0]).all() & jnp.isfinite(values[1]).all()",
        "jnp.isfinite(values[0]).all() | True",
        tests(POINTS, "test_singular_potentials_count_with_derivative_0"),
    ),
    Mutation(
        "special-weight-at-rest",
        "psi of a pair of equal velocities counts as 0, so b loses its derivative there.",
        LANDAU + "interactions.py",
        "return jnp.where(positive, psi, self.psi_at_rest(psi.dtype))",
        "return jnp.where(positive, psi, jnp.zeros((), psi.dtype))",
        tests(POINTS, "test_interactions_at_equal_velocities[softened]"),
    ),
    Mutation(
        "special-singular-weight",
        "psi of an unsoftened power law counts at equal velocities with the cutoff of r^gamma.",
        LANDAU + "interactions.py",
        "soft = delta * delta > _least_base(gamma)",
        "soft, delta = gamma < 0, jnp.maximum(delta, jnp.sqrt(_least_base(gamma)))",
        tests(POINTS, "test_singular_interactions_count_with_derivative_0[-3]"),
    ),
    Mutation(
        "special-square-speed",
        "Sigma = r^2 has derivative 0 in r^2 at 0.",
        BOLTZMANN + "cross_sections.py",
        "jnp.where(positive, power, constant + slope * r2)",
        "jnp.where(positive, power, constant)",
        tests(POINTS, "test_cross_sections_at_rest[gamma_2]"),
    ),
    Mutation(
        "special-no-rotation-at-rest",
        "In d = 2 a pair of equal velocities counts as one that is not rotated.",
        PAIRS + "rotations.py",
        "        return jnp.ones(z[0].shape, bool)\n",
        "        return (z[0] != 0) | (z[1] != 0)\n",
        tests(POINTS, "test_rotations_of_equal_velocities[heat]"),
    ),
    Mutation(
        "special-clipped-time",
        "The derivative of the quantile in tau is 0 at tau = 0, because tau is clipped.",
        "jaxkinetic/pairs/spherical_heat/__init__.py",
        "jnp.where(tau < least, least + zero_with_derivative(tau), tau)",
        "jnp.maximum(least, tau)",
        tests(POINTS, "test_spherical_heat_law_at_the_ends[tau_0]"),
    ),
    Mutation(
        "special-power-of-distance",
        "|x - y|^p for 1 < p < 2 is differentiated twice at 0.",
        DIAGNOSTICS + "distances.py",
        "return jnp.where(zero, 0, jnp.abs(jnp.where(zero, 1, distance)) ** order)",
        "return jnp.abs(distance) ** order",
        tests(POINTS, "test_diagnostics_with_a_cone_count_with_derivative_0"),
    ),
    Mutation(
        "special-error-of-nothing",
        "The standard error 0 of samples that are alike has the derivative NaN.",
        VLASOV + "counting.py",
        "return square_root(self.covariance[1, 1])",
        "return jnp.sqrt(self.covariance[1, 1])",
        tests(POINTS, "test_errors_that_vanish_have_derivative_0"),
    ),
    Mutation(
        "special-free-flow",
        "sin(omega t)/omega is NaN at stiffness 0.",
        VLASOV + "exact/flows.py",
        "small = jnp.abs(square) < 0.5",
        "small = jnp.abs(square) < 0",
        tests(POINTS, "test_initial_and_exact_laws[free_flow]"),
    ),
    Mutation(
        "reversible-never-looks-back",
        "The start that the backward pass rebuilds is not compared with the true one.",
        "jaxkinetic/_core/reversible.py",
        "far = ~(error <= self.tolerance)",
        "far = error < 0",
        tests(REVERSIBLE, "test_chaotic_path_raises"),
    ),
    Mutation(
        "reversible-start-at-rest",
        "The distance from a start at rest is infinite.",
        "jaxkinetic/_core/reversible.py",
        "off / jnp.where(size == 0, last, size)",
        "off / size",
        tests(REVERSIBLE, "test_harmless_path_is_as_it_was"),
    ),
]
