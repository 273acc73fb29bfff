"""The Boltzmann equation for isotropic densities, its self-similar profiles, the masses of the hierarchy."""

from .mutation import BOLTZMANN, Mutation, tests

_TESTS = "laws/test_boltzmann_isotropic.py"
_TENSOR, _PDE, _PROFILE = (
    BOLTZMANN + "collision_tensor.py",
    BOLTZMANN + "isotropic_pde.py",
    BOLTZMANN + "self_similar.py",
)

MUTATIONS = [
    Mutation(
        "isotropic-relative-speed",
        "The law of the relative speed lacks its weight r in the loss.",
        _TENSOR,
        "met = weight * r / (2 * a) * sigma",
        "met = weight / 2 * sigma",
        tests(_TESTS, "test_any_data_conserve"),
    ),
    Mutation(
        "isotropic-outside",
        "Collisions that leave the ball happen in the loss.",
        _TENSOR,
        "return CollisionTensor(gain, met[index], collided[index])",
        "return CollisionTensor(gain, met[index], met[index])",
        tests(_TESTS, "test_any_data_conserve"),
    ),
    Mutation(
        "isotropic-returned-energy",
        "Mass beyond the last node is put on it, without its energy.",
        _TENSOR,
        "out[:, num - 1], out[:, num - 2] = share, 1 - share",
        "out[:, num - 1], out[:, num - 2] = 1, 0 * share",
        tests(_TESTS, "test_any_data_conserve"),
    ),
    Mutation(
        "isotropic-not-sharpened",
        "The splines are not sharpened: the order is 2, and energy is not conserved.",
        BOLTZMANN + "_splines.py",
        "    for m, c in enumerate(series):\n",
        "    for m, c in enumerate(series[:1]):\n",
        tests(_TESTS, "test_error_falls_at_high_order"),
    ),
    Mutation(
        "isotropic-pairs-once",
        "Pairs of different nodes count once in the gain.",
        _TENSOR,
        "np.where(first == second, 1, 2)",
        "np.where(first == second, 1, 1)",
        tests(_TESTS, "test_moments_of_the_collision_operator"),
    ),
    Mutation(
        "isotropic-annihilation",
        "Collisions are as frequent as without annihilation.",
        _PDE,
        "return (1 - alpha) * collided - alpha",
        "return collided - alpha",
        tests(_TESTS, "test_bkw[0.5]"),
    ),
    Mutation(
        "isotropic-stiffness",
        "The stiffness is that of the least frequency.",
        _PDE,
        "return 2 * jnp.max(self.tensor.met(",
        "return 2 * jnp.min(self.tensor.met(",
        tests(_TESTS, "test_stiffness_is_a_bound"),
    ),
    Mutation(
        "isotropic-radius",
        "The R that a run suggests is the one that was too small.",
        _PDE,
        "jnp.maximum(8 * jnp.sqrt(temperature), 1.3 * grid.radius)",
        "jnp.maximum(jnp.sqrt(temperature), grid.radius)",
        tests(_TESTS, "test_errors_and_warnings"),
    ),
    Mutation(
        "profile-energy",
        "The energy of the profile is d in place of d/2.",
        _PROFILE,
        "jnp.sum(weights * x**2 * psi) - dim / 2",
        "jnp.sum(weights * x**2 * psi) - dim",
        tests(_TESTS, "test_profile"),
    ),
    Mutation(
        "profile-exponent",
        "The exponent of the density ignores that the collision frequency falls with the temperature.",
        _PROFILE,
        "xi = 1 / (1 + gamma * cooling / 2)",
        "xi = 1 / (1 + 0 * gamma * cooling / 2)",
        tests(_TESTS, "test_profile"),
    ),
    Mutation(
        "profile-implicit",
        "The profile is differentiated as if it were a constant.",
        _PROFILE,
        "root = implicit_root(residual, jax",
        "root = (lambda _, solved: jax.lax.stop_gradient(solved))(residual, jax",
        tests(_TESTS, "test_profile_gradients"),
    ),
    Mutation(
        "hierarchy-derivative",
        "The derivatives of Legendre's polynomials at 1 lack a factor j.",
        BOLTZMANN + "exact/population.py",
        "(2 * j * float(volume))",
        "(2 * float(volume))",
        tests(_TESTS, "test_hierarchy"),
    ),
]
