"""Initial laws."""

from .mutation import Mutation, tests

MUTATIONS = [
    Mutation(
        "initial-bkw-length",
        "The extreme datum of the BKW solution has a wrong temperature.",
        "jaxkinetic/initial/samplers.py",
        "extreme = (dim / (dim + 2)) ** 0.5 * length * direction",
        "extreme = length * direction",
        tests("core/test_initial.py", "test_bkw[3-0.4]"),
    ),
    Mutation(
        "initial-bkw-beta",
        "The datum of the BKW solution is that of another beta.",
        "jaxkinetic/initial/samplers.py",
        "s2 = beta / (2 / (dim + 2))",
        "s2 = beta * 1.0",
        tests("core/test_initial.py", "test_bkw[3-0.15]"),
    ),
    Mutation(
        "initial-bimaxwellian-axes",
        "The two temperatures of a bi-Maxwellian are exchanged between the axes.",
        "jaxkinetic/initial/samplers.py",
        "jnp.stack([perpendicular] * (shape[1] - 1) + [parallel])",
        "jnp.stack([perpendicular] + [parallel] * (shape[1] - 1))",
        tests("core/test_initial.py", "test_maxwellian_and_bimaxwellian"),
    ),
    Mutation(
        "initial-shell-temperature",
        "The shell of Rosenbluth lacks the factor d in its temperature.",
        "jaxkinetic/initial/samplers.py",
        "sigma = jnp.sqrt(shape[1] * temperature / mean_square)",
        "sigma = jnp.sqrt(temperature / mean_square)",
        tests("core/test_initial.py", "test_rosenbluth[3]"),
    ),
    Mutation(
        "initial-derivative-zero",
        "A Maxwellian has no gradient in its temperature.",
        "jaxkinetic/initial/samplers.py",
        "return centre + jnp.sqrt(temperature) *",
        "return centre + jnp.sqrt(jax.lax.stop_gradient(temperature)) *",
        tests("core/test_initial.py", "test_dtype_and_gradient[float64]"),
    ),
    Mutation(
        "initial-torus-sign",
        "The sampler of the torus mode has the wrong sign of the amplitude.",
        "jaxkinetic/initial/samplers.py",
        "shift = -a * jnp.sin(kepler(a, start))",
        "shift = a * jnp.sin(kepler(a, start))",
        tests("laws/test_torus.py", "test_mode_sampler[mode0-0.8-0.0]"),
    ),
    Mutation(
        "initial-kepler-derivative",
        "The derivative of Kepler's equation has a wrong sign.",
        "jaxkinetic/initial/samplers.py",
        "(tangents[1] - jnp.sin(theta) * tangents[0]) / _slope(a, theta)",
        "(tangents[1] + jnp.sin(theta) * tangents[0]) / _slope(a, theta)",
        tests("laws/test_torus.py", "test_mode_sampler_gradient[float64]"),
    ),
    Mutation(
        "precision-unavailable",
        "float64 is accepted although x64 is off.",
        "jaxkinetic/initial/samplers.py",
        "if jax.dtypes.canonicalize_dtype(dtype) != dtype:",
        "if False:",
        tests("core/test_single_precision.py", "test_library_without_x64"),
    ),
    Mutation(
        "initial-beta-not-checked",
        "A datum of the BKW solution with a negative density is accepted.",
        "jaxkinetic/initial/samplers.py",
        "low=0.0, high=largest * (1 + 1e-6))",
        "low=0.0)",
        tests("core/test_initial.py", "test_argument_errors"),
    ),
]
