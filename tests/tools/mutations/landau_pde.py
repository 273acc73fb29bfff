"""The Landau equation in R^d by a Fourier method."""

from .mutation import Mutation, tests

_PDE, _BOX = "jaxkinetic/landau/landau_pde.py", "jaxkinetic/landau/velocity_box.py"
_KERNEL, _CONVOLUTION = "jaxkinetic/landau/truncated_kernel.py", "jaxkinetic/landau/truncated_convolution.py"
_LAWS = "laws/test_landau_pde.py"

MUTATIONS = [
    Mutation(
        "landau-pde-drift",
        "The drift of the equation in R^d has the wrong sign.",
        _PDE,
        "[-drift * f for drift in b]",
        "[drift * f for drift in b]",
        tests(_LAWS, "test_time_derivative_of_bkw[2-128-18.0-1e-11]"),
    ),
    Mutation(
        "landau-pde-early-cut",
        "The interaction is cut off at .4 of the length of the box, so that pairs of distant velocities do not interact.",
        _KERNEL,
        "factor = weights * 2 * u * nodes ** (dim + 1)",
        "factor = weights * 2 * u * nodes ** (dim + 1) * (nodes < 0.4)",
        tests(_LAWS, "test_time_derivative_of_bkw[2-128-18.0-1e-11]"),
    ),
    Mutation(
        "landau-pde-across",
        "The eigenvalue of the transform across k is that of d = 3 in every dimension.",
        _KERNEL,
        "s = (total - p) / (dim - 1)",
        "s = (total - p) / 2",
        tests(_LAWS, "test_closed_forms_of_the_transforms"),
    ),
    Mutation(
        "landau-pde-off-diagonal",
        "The entries of a * f off the diagonal have the wrong sign.",
        _CONVOLUTION,
        "else excess * odd[i] * odd[j])",
        "else -excess * odd[i] * odd[j])",
        tests(_LAWS, "test_pressure_tensor_of_maxwell_molecules[2-48]"),
    ),
    Mutation(
        "landau-pde-blocks",
        "The planes of a block are counted as if the last block were full.",
        _CONVOLUTION,
        "return [x.reshape(num * size, *x.shape[2:])[:rows] for x in found]",
        "return [x.reshape(num * size, *x.shape[2:])[-rows:] for x in found]",
        tests(_LAWS, "test_all_planes_at_once"),
    ),
    Mutation(
        "landau-pde-gradient-of-tables",
        "The tables that a run computes once are not differentiated.",
        _PDE,
        "return _Prepared(self.interaction, self.conservative, self._tables(like.grid))",
        "return _Prepared(self.interaction, self.conservative, jax.lax.stop_gradient(self._tables(like.grid)))",
        tests(_LAWS, "test_gradients_and_vmap"),
    ),
    Mutation(
        "landau-pde-stiffness",
        "The bound of the eigenvalues has the spacing of another grid.",
        _PDE,
        "largest = jnp.pi / state.grid.axes[0].spacing",
        "largest = jnp.pi / state.grid.axes[0].spacing / 2",
        tests(_LAWS, "test_stiffness_is_a_bound"),
    ),
    Mutation(
        "landau-pde-dissipation-at-a-zero",
        "The dissipation leaves out the zeros of f.",
        _PDE,
        "jnp.where(large, inside, at_zero)",
        "jnp.where(large, inside, 0 * at_zero)",
        tests(_LAWS, "test_time_derivative_of_bkw[3-32-11.0-5e-07]"),
    ),
    Mutation(
        "landau-pde-correction",
        "The correction leaves the energy as it is.",
        "jaxkinetic/landau/conserved_moments.py",
        "[jnp.ones_like(f), *v, sum((x * x for x in v[1:]), v[0] ** 2)]",
        "[jnp.ones_like(f), *v]",
        tests(_LAWS, "test_conservation"),
    ),
    Mutation(
        "landau-pde-mass-at-the-edge",
        "The mass outside of the inscribed ball counts from a larger ball on.",
        _BOX,
        "jnp.where(square > 1, size, 0)",
        "jnp.where(square > 2, size, 0)",
        tests(_LAWS, "test_warnings"),
    ),
]
