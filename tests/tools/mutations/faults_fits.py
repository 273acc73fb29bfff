"""Error bars of fits: long series, few runs, given errors, data without noise."""

from .mutation import Mutation, tests

FITTING = "measuring/test_fitting.py"

MUTATIONS = [
    Mutation(
        "fit-rank-cutoff",
        "Columns of a long series in float32 count as dependent: the tolerance grows with the length.",
        "jaxkinetic/fitting/_decay_fit.py",
        "> 30 * jnp.finfo(start.dtype).eps)",
        "> 100 * jacobian.shape[0] * jnp.finfo(start.dtype).eps)",
        tests(FITTING, "test_error_bar_of_a_long_series_in_single_precision[True]"),
    ),
    Mutation(
        "student-normal",
        "The interval of two runs is that of a normal law.",
        "jaxkinetic/_util/student.py",
        "table, z = stdtrit(np.arange(1, _TABLE + 1), upper), float(ndtri(upper))",
        "table, z = ndtri(upper) * np.ones(_TABLE), float(ndtri(upper))",
        tests(FITTING, "test_intervals_of_few_runs[2]", "test_student_quantile"),
    ),
    Mutation(
        "fit-degrees-of-freedom",
        "R runs have R degrees of freedom instead of R - 1.",
        "jaxkinetic/fitting/decay.py",
        "degrees_of_freedom = runs.shape[0] - 1.0",
        "degrees_of_freedom = runs.shape[0] - 0.0",
        tests(FITTING, "test_intervals_of_few_runs[2]"),
    ),
    Mutation(
        "fit-moments-independent",
        "The errors of an ensemble at successive times are taken for independent.",
        "jaxkinetic/fitting/_residuals.py",
        "    prior = jnp.concatenate([jnp.ones(1, s.dtype), cells])",
        "    prior = jnp.concatenate([jnp.ones(1, s.dtype), 0 * cells])",
        tests(FITTING, "test_moments_and_given_standard_errors"),
    ),
    Mutation(
        "fit-nan-on-purpose",
        "A fit of a constant computes 0/0.",
        "jaxkinetic/fitting/_decay_fit.py",
        '"r2": jnp.where(varies, explained, 0),',
        '"r2": 1 - total(residual**2) / squares,',
        tests(FITTING, "test_healthy_fits_make_no_nan"),
    ),
    Mutation(
        "oscillation-runs-independent",
        "The residuals of the mean of several runs are taken for independent in time.",
        "jaxkinetic/fitting/oscillation.py",
        "covariance = influence @ influence.T / (num_runs * (num_runs - 1)) / outer",
        "covariance = total(rest**2) / (jnp.sum(counts) - 4) * jnp.linalg.inv(normal / outer) / outer",
        tests("measuring/test_oscillation.py", "test_intervals_of_few_runs"),
    ),
    Mutation(
        "oscillation-window-in-jit",
        "A window raises inside `jit` although the times are known.",
        "jaxkinetic/fitting/oscillation.py",
        "if known is None or is_traced(window):",
        "if known is None or is_traced(window, t):",
        tests("measuring/test_oscillation.py", "test_window_and_programs"),
    ),
]
