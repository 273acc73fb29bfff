"""The isotropic Landau equation: its kernel, its differences, the plan of a run."""

from .mutation import Mutation, tests

_PDE, _KERNEL = "jaxkinetic/landau/isotropic_pde.py", "jaxkinetic/landau/isotropic_kernel.py"
_DIFFERENCES, _RK = "jaxkinetic/landau/radial_differences.py", "jaxkinetic/runge_kutta.py"
_TESTS = "laws/test_isotropic_landau.py"

MUTATIONS = [
    Mutation(
        "isotropic-kernel-diagonal",
        "The correction of the kernel at its kink has the wrong sign.",
        _KERNEL,
        "out[:, l] = -series",
        "out[:, l] = series",
        tests(_TESTS, "test_order_for_coulomb"),
    ),
    Mutation(
        "isotropic-kernel-one-neighbour",
        "The kernel is corrected at one neighbour of the diagonal only.",
        _KERNEL,
        "_NEIGHBOURS = 2",
        "_NEIGHBOURS = 1",
        tests(_TESTS, "test_order_for_coulomb"),
    ),
    Mutation(
        "isotropic-kernel-measure",
        "The angular average is that of another dimension.",
        _KERNEL,
        "jnp.maximum(1 - t * t, 0) ** ((dim - 1) / 2)",
        "jnp.maximum(1 - t * t, 0) ** (dim / 2)",
        tests(_TESTS, "test_kernel"),
    ),
    Mutation(
        "isotropic-even-dimension",
        "For even d the divergence near v = 0 is not corrected.",
        _DIFFERENCES,
        "slope[:_BLOCK, :_BLOCK] += _block(slope, dim)",
        "slope[:_BLOCK, :_BLOCK] += 0 * _block(slope, dim)",
        tests(_TESTS, "test_bkw[2-120-0.5-5e-08]"),
    ),
    Mutation(
        "isotropic-energy",
        "The derivative of e = v^2/2 is not exactly 1 for even and odd d: the face's speed is off by round-off of float32.",
        _DIFFERENCES,
        "((2 * k - 1) * face)",
        "((2 * k - 1) * face * (1 + 1e-7 * face))",
        tests(_TESTS, "test_conserved_and_entropy_falls"),
    ),
    Mutation(
        "isotropic-drift",
        "The drift has the wrong sign of the integral over the partner's derivative.",
        _PDE,
        "return slope * sums[:, 0] - sums[:, 1]",
        "return slope * sums[:, 0] + sums[:, 1]",
        tests(_TESTS, "test_conserved_and_entropy_falls"),
    ),
    Mutation(
        "isotropic-dissipation",
        "The dissipation counts every pair twice.",
        _PDE,
        "return jnp.sum(at.weighted * at.slope * self._drift(at))",
        "return 2 * jnp.sum(at.weighted * at.slope * self._drift(at))",
        tests(_TESTS, "test_dissipation"),
    ),
    Mutation(
        "isotropic-rough",
        "Differences of high order are taken across jumps of log f.",
        _PDE,
        "rough = steep | _bent(step)",
        "rough = (steep | _bent(step)) & False",
        tests(_TESTS, "test_edge_of_a_support_and_underflow"),
    ),
    Mutation(
        "isotropic-landau-stiffness",
        "The bound of the eigenvalues lacks a factor of the spacing's order.",
        _PDE,
        "return jnp.max(high / grid.spacing**2 + low)",
        "return jnp.max(high / grid.spacing + low)",
        tests(_TESTS, "test_stiffness_is_a_bound"),
    ),
    Mutation(
        "isotropic-edge",
        "The R that would do is named for the cold part of f.",
        _PDE,
        "enough = radius**2 + 2 * temperature",
        "enough = radius**2 + 0.2 * temperature",
        tests(_TESTS, "test_errors_and_warnings"),
    ),
    Mutation(
        "runge-kutta-plan",
        "RKC does not use the tables of the plan.",
        _RK,
        "system = system if plan is None else plan\n        stiffness, info",
        "stiffness, info",
        tests(_TESTS, "test_table_is_computed_once"),
    ),
]
