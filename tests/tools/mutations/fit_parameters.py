"""Fits of the parameters of a model."""

from .mutation import Mutation, tests

_GAUSS, _OBJECTIVE = "jaxkinetic/fitting/_gauss_newton.py", "jaxkinetic/fitting/_objective.py"
_SEARCH, _BOUNDS = "jaxkinetic/fitting/_search.py", "jaxkinetic/fitting/_bounds.py"
_FILE = "measuring/test_fit_parameters.py"

MUTATIONS = [
    Mutation(
        "fit-parameters-weights",
        "The data have the weights 1/error.",
        _OBJECTIVE,
        "columns / (self.noise**2).reshape",
        "columns / self.noise.reshape",
        tests(_FILE, "test_linear_model[errors]"),
    ),
    Mutation(
        "fit-parameters-covariance-of-data",
        "The data are weighted by their covariance instead of its inverse.",
        _OBJECTIVE,
        "return cho_solve((self.factor, True), columns)",
        "return self.noise @ columns",
        tests(_FILE, "test_linear_model[covariance]"),
    ),
    Mutation(
        "fit-parameters-own-noise",
        "A Jacobian meets the prediction of its own evaluation in the Gauss-Newton equations.",
        _GAUSS,
        "others = mean + (mean - m) / (num - 1)",
        "others = mean",
        tests(_FILE, "test_equations_by_hand"),
    ),
    Mutation(
        "fit-parameters-biased-gradient",
        "The gradient for optax is that of the squared deviation of one noisy prediction.",
        _SEARCH,
        "jax.vmap(loss.slope)(m[::-1])",
        "jax.vmap(loss.slope)(m)",
        tests(_FILE, "test_no_bias_from_the_noise[sgd]"),
    ),
    Mutation(
        "fit-parameters-jackknife-bias",
        "The jackknife does not correct the bias.",
        _GAUSS,
        "return -num * full - few * places.mean(0), few",
        "return -full, few",
        tests(_FILE, "test_equations_by_hand"),
    ),
    Mutation(
        "fit-parameters-simulator-left-out",
        "The errors lack the noise of the simulator.",
        _GAUSS,
        "@ inverse) + of_simulator[known]",
        "@ inverse)",
        tests(_FILE, "test_simulator_noise_is_in_the_errors"),
    ),
    Mutation(
        "fit-parameters-chi2-of-simulator",
        "The expectation of chi^2 lacks the noise of the simulator.",
        _GAUSS,
        "chi2 = squares / (freedom + of_residuals)",
        "chi2 = squares / freedom",
        tests(_FILE, "test_simulator_noise_is_in_the_errors"),
    ),
    Mutation(
        "fit-parameters-degrees-of-freedom",
        "The variance of the data is the sum of squares divided by n.",
        _GAUSS,
        "freedom, squares = n - p,",
        "freedom, squares = n,",
        tests(_FILE, "test_estimated_noise"),
    ),
    Mutation(
        "fit-parameters-slope-of-bounds",
        "The slope of the coordinates between two bounds is off by a factor of 2.",
        _BOUNDS,
        "between = width / (2 + np.exp(near) + np.exp(-near))",
        "between = width / (1 + np.cosh(near))",
        tests(_FILE, "test_bounds"),
    ),
    Mutation(
        "fit-parameters-at-the-bound",
        "A parameter may reach its bound by rounding.",
        _BOUNDS,
        "xp.clip(bounded, least, most)",
        "bounded",
        tests(_FILE, "test_bounds"),
    ),
    Mutation(
        "fit-parameters-last-good",
        "A fit that became NaN returns the place where it did.",
        _SEARCH,
        "z=state.good, ",
        "",
        tests(_FILE, "test_not_finite"),
    ),
    Mutation(
        "fit-parameters-mask",
        "The mask has the wrong sign.",
        "jaxkinetic/fitting/_fit_problem.py",
        "bool(wanted) and _is_floating(leaf)",
        "not wanted and _is_floating(leaf)",
        tests(_FILE, "test_mask[None]"),
    ),
    Mutation(
        "fit-parameters-resumed-step",
        "A resumed fit draws the keys of its first steps again.",
        "jaxkinetic/fitting/_fit_runs.py",
        "self.losses, self.places = list(arrays[0]), list(arrays[1])",
        "self.losses, self.places = list(arrays[0])[:1], list(arrays[1])[:1]",
        tests(_FILE, "test_resume_is_bitwise[None]"),
    ),
]
