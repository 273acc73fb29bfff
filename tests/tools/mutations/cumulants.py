"""The dual equation, the cumulants, the weak error, and the dissipation on the torus."""

from .mutation import LANDAU, Mutation, tests

_TESTS = "laws/test_cumulants.py"
_IDENTITY = tests(_TESTS, "test_weak_error_identity[2-kac]")

MUTATIONS = [
    Mutation(
        "cumulants-backward-drift",
        "The drift of the backward equation has the wrong sign.",
        LANDAU + "backward.py",
        "derivative(diffusion, i) + drift",
        "derivative(diffusion, i) - drift",
        tests(_TESTS, "test_backward_equation_is_the_adjoint[independent]"),
    ),
    Mutation(
        "cumulants-backward-forward",
        "The backward equation is the forward equation for independent noise, too.",
        LANDAU + "backward.py",
        'if self.noise == "kac":',
        "if self.noise:",
        tests(_TESTS, "test_backward_equation_is_the_adjoint[independent]"),
    ),
    Mutation(
        "cumulants-terminal-data",
        "The terminal data are a sum over subsets instead of their mean.",
        LANDAU + "backward.py",
        "polynomials[k] / math.comb(num, k)",
        "polynomials[k] / math.comb(num, 0)",
        tests(_TESTS, "test_symmetrized_power"),
    ),
    Mutation(
        "cumulants-sign",
        "The means are added to the cumulant.",
        LANDAU + "cumulants.py",
        "values = values - jnp.expand_dims(mean, i)",
        "values = values + jnp.expand_dims(mean, i)",
        tests(_TESTS, "test_cumulants[3]"),
    ),
    Mutation(
        "cumulants-mass",
        "A density of another mass is accepted.",
        LANDAU + "cumulants.py",
        "abs(mass - 1) < tolerance",
        "abs(mass - 1) < 2",
        tests(_TESTS, "test_errors"),
    ),
    Mutation(
        "cumulants-axis",
        "A density on another interval is accepted.",
        LANDAU + "cumulants.py",
        'for name in ("start", "length"):',
        'for name in ("length",):',
        tests(_TESTS, "test_errors"),
    ),
    Mutation(
        "cumulants-hierarchy",
        "The weighted marginal integrates against f without its spacing.",
        LANDAU + "cumulants.py",
        "return f * axis.spacing",
        "return f",
        tests(_TESTS, "test_hierarchy_of_the_weighted_marginals"),
    ),
    Mutation(
        "cumulants-kernel-pair",
        "V_f of Kac's noise lacks the derivative of the second particle.",
        LANDAU + "weak_error.py",
        "a * (here - there) if",
        "a * here if",
        tests(_TESTS, "test_kernel[kac]"),
    ),
    Mutation(
        "cumulants-kernel-drift",
        "The drift in V_f of independent noise has the wrong sign.",
        LANDAU + "weak_error.py",
        "else a * here - b *",
        "else a * here + b *",
        tests(_TESTS, "test_kernel[independent]"),
    ),
    Mutation(
        "cumulants-weak-error-pairs",
        "The weak error has N instead of N - 1.",
        LANDAU + "weak_error.py",
        "rate = (num - 1) * jnp.sum(pair * two)",
        "rate = num * jnp.sum(pair * two)",
        _IDENTITY,
    ),
    Mutation(
        "cumulants-weak-error-diagonal",
        "On the diagonal of V_f a particle meets itself.",
        LANDAU + "weak_error.py",
        "jnp.sum(single * one) * spacing",
        "jnp.sum(jnp.diag(pair) / density.f * one) * spacing",
        _IDENTITY,
    ),
    Mutation(
        "torus-pde-dissipation",
        "D(f) is summed over the finer grid with the cell of the grid of f.",
        LANDAU + "torus_pde.py",
        "total * state.grid.cell * (f.size / here.size)",
        "total * state.grid.cell",
        tests("laws/test_torus_pde.py", "test_dissipation"),
    ),
]
