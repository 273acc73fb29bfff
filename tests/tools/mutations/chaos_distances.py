"""Distances to the limit law: quantiles, draws, Wasserstein distances, marginals."""

from .mutation import Mutation, tests

_LINE, _LIMITS = "jaxkinetic/chaos/_line_laws.py", "jaxkinetic/chaos/limits.py"
_INVERSION = "jaxkinetic/chaos/_inversion.py"
_TRANSPORT, _MARGINALS = "jaxkinetic/chaos/transport.py", "jaxkinetic/chaos/marginals.py"
_TESTS = "chaos/test_chaos_distances.py"

MUTATIONS = [
    Mutation(
        "chaos-quantiles-parity",
        "The density of the speed is continued to v < 0 as an even function in every dimension.",
        _LINE,
        "p[::-1] if dim % 2 else -p[::-1], p",
        "p[::-1], p",
        tests(_TESTS, "test_quantiles_of_radial_densities[2]"),
    ),
    Mutation(
        "chaos-quantiles-component",
        "A component of an isotropic law is that of a law in one dimension more.",
        _LINE,
        "hyp0f1(dim / 2,",
        "hyp0f1((dim + 1) / 2,",
        tests(_TESTS, "test_quantiles_of_radial_densities[3]"),
    ),
    Mutation(
        "chaos-projection-centre",
        "The projection of a density along a direction is not moved back to its centre.",
        _LINE,
        "return of_series(found, float(direction @ middle), radius)",
        "return of_series(found, 0.0, radius)",
        tests(_TESTS, "test_quantiles_of_grids_and_samplers"),
    ),
    Mutation(
        "chaos-draw-smoothing",
        "Draws from a grid are spread over the cells without the correction that keeps their variance.",
        _INVERSION,
        "/ axis.num) ** 4",
        "/ axis.num) ** 0",
        tests(_TESTS, "test_draws_on_a_coarse_grid_keep_moments"),
    ),
    Mutation(
        "chaos-draw-on-the-circle",
        "The distribution function of an angle has the wrong sign of its waves.",
        _INVERSION,
        "inverse = jnp.where(j > 0, -1 / jnp",
        "inverse = jnp.where(j > 0, 1 / jnp",
        tests(_TESTS, "test_draws[circle]"),
    ),
    Mutation(
        "chaos-limit-of-another-system",
        "Every equation of the right class is taken as the limit of a system, with any parameter.",
        _LIMITS,
        "np.allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=0)",
        "True",
        tests(_TESTS, "test_limit_belongs_to_the_system"),
    ),
    Mutation(
        "chaos-limit-time-step",
        "The limit equation is solved with the time step of the particles.",
        _LIMITS,
        "if change < _CHANGE:",
        "if change < 1:",
        tests(_TESTS, "test_laws_at"),
    ),
    Mutation(
        "chaos-wasserstein-rest",
        "The variance of the limit inside of the intervals of length 1/N is left out.",
        _TRANSPORT,
        "return gap + rest +",
        "return gap + 0 * rest +",
        tests(_TESTS, "test_wasserstein_closed_forms", "test_wasserstein_of_independent_particles"),
    ),
    Mutation(
        "chaos-wasserstein-dead",
        "The means of the quantile function are those of N particles where fewer are alive.",
        _TRANSPORT,
        "means = jnp.where(count == num, q, longer)",
        "means = jnp.where(count >= 0, q, longer)",
        tests(_TESTS, "test_wasserstein_closed_forms"),
    ),
    Mutation(
        "chaos-l1-pairs-with-themselves",
        "A particle makes a pair with itself.",
        _MARGINALS,
        "counts[:, None] * counts[None] - jnp.diag(counts)",
        "counts[:, None] * counts[None]",
        tests(_TESTS, "test_marginal_l1_recovers_a_perturbation[2]"),
    ),
    Mutation(
        "chaos-l1-signs",
        "The signs of the differences come from the runs that give the differences.",
        _MARGINALS,
        "np.sign(one) * other + np.sign(other) * one",
        "np.sign(one) * one + np.sign(other) * other",
        tests(_TESTS, "test_marginal_l1_recovers_a_perturbation[1]"),
    ),
    Mutation(
        "chaos-fisher-of-the-marginal",
        "The relative Fisher information is that of the marginal itself.",
        _MARGINALS,
        "(derivative(f, i) - f * slope.reshape(shape)) ** 2",
        "(derivative(f, i) - 0 * slope.reshape(shape)) ** 2",
        tests(_TESTS, "test_exact_marginals_of_a_known_law"),
    ),
]
