"""Limit equations, the schemes that advance them, and diagnostics of densities."""

from .mutation import Mutation, tests

_PDE, _RK = "jaxkinetic/landau/torus_pde.py", "jaxkinetic/runge_kutta.py"
_DENSITIES = "jaxkinetic/diagnostics/densities.py"
_LIOUVILLE = "jaxkinetic/landau/liouville.py"

MUTATIONS = [
    Mutation(
        "torus-pde-drift",
        "The drift of the equation on the torus has the wrong sign.",
        _PDE,
        "flux = -sine[i] * here",
        "flux = sine[i] * here",
        tests("laws/test_torus_pde.py", "test_galerkin_sum"),
    ),
    Mutation(
        "torus-pde-aliasing",
        "Products on the torus are computed on the grid of the data, where they alias.",
        _PDE,
        "_smooth(axis.num + int(m)) for",
        "axis.num + 0 * int(m) for",
        tests("laws/test_torus_pde.py", "test_galerkin_sum"),
    ),
    Mutation(
        "torus-pde-stiffness",
        "The bound of the eigenvalues has the largest wavenumber of one axis only.",
        _PDE,
        "largest = math.sqrt(sum((n / 2 - 1) ** 2 for n in f.shape))",
        "largest = min(n / 2 - 1 for n in f.shape) / 2",
        tests("laws/test_torus_pde.py", "test_stiffness_is_a_bound"),
    ),
    Mutation(
        "runge-kutta-time-of-a-stage",
        "The stages of a Runge-Kutta step are all at its beginning.",
        _RK,
        "system.vector_field(t + sum(row) * dt, at)",
        "system.vector_field(t, at)",
        tests("laws/test_runge_kutta.py", "test_order[scheme1-2-steps1]"),
    ),
    Mutation(
        "rkc-too-few-stages",
        "The interval of stability of RKC is taken to be twice as long.",
        _RK,
        "needed = jnp.sqrt(1 + 1.5 * scaled",
        "needed = jnp.sqrt(1 + 0.75 * scaled",
        tests("laws/test_runge_kutta.py", "test_stages_are_enough_and_few"),
    ),
    Mutation(
        "rkc-block-of-stages",
        "The last block of stages of RKC is skipped unless it is full.",
        "jaxkinetic/_core/loops.py",
        "lambda _, k: k * size < count",
        "lambda _, k: k * size + size - 1 < count",
        tests("laws/test_runge_kutta.py", "test_order[scheme5-2-steps5]"),
    ),
    Mutation(
        "rkc-second-order",
        "The last coefficient of a stage of RKC has the wrong sign.",
        _RK,
        "mu_slope, -a[j - 1] * mu_slope",
        "mu_slope, a[j - 1] * mu_slope",
        tests("laws/test_runge_kutta.py", "test_order[scheme5-2-steps5]"),
    ),
    Mutation(
        "density-entropy-cell",
        "The entropy of a density lacks the volume of a cell.",
        _DENSITIES,
        "return state.integral(jnp.where(empty, 0, f * jnp.log(jnp.where(empty, 1, f))))",
        "return jnp.sum(jnp.where(empty, 0, f * jnp.log(jnp.where(empty, 1, f))))",
        tests("measuring/test_densities.py", "test_normal_law"),
    ),
    Mutation(
        "density-moment-mass",
        "A moment of a density is not divided by its mass.",
        _DENSITIES,
        "return state.integral(values * state.f) / state.mass",
        "return state.integral(values * state.f)",
        tests("measuring/test_densities.py", "test_normal_law"),
    ),
    Mutation(
        "liouville-drift",
        "The drift in the law of N particles has the wrong sign.",
        _LIOUVILLE,
        "- on_pair(b, i, j, num) * f",
        "+ on_pair(b, i, j, num) * f",
        tests("laws/test_liouville.py", "test_equilibria_of_independent_noise[2-32-1.25]"),
    ),
    Mutation(
        "liouville-factor",
        "The law of N particles is divided by N - 1 instead of N.",
        _LIOUVILLE,
        "return moving(state, total / num)",
        "return moving(state, total / (num - 1))",
        tests("laws/test_liouville.py", "test_one_particle_marginal_at_the_start[kac]"),
    ),
    Mutation(
        "liouville-stiffness",
        "The bound of the eigenvalues counts one pair.",
        _LIOUVILLE,
        'pairs = num if self.noise == "kac" else num - 1',
        "pairs = 0.25",
        tests("laws/test_liouville.py", "test_stiffness_is_a_bound"),
    ),
    Mutation(
        "entropy-per-particle",
        "The entropy of k particles is not divided by k.",
        _DENSITIES,
        "    return total / count\n",
        "    return total\n",
        tests("laws/test_liouville.py", "test_entropy_per_particle_of_a_product"),
    ),
]
