"""Exponents of distances between N particles and their limit, and what a study reports of them."""

from .mutation import Mutation, tests

_FIT, _LAW = "jaxkinetic/chaos/fit.py", "jaxkinetic/chaos/_power_law.py"
_STATEMENT, _REPORT = "jaxkinetic/chaos/_statement.py", "jaxkinetic/chaos/report.py"


def _fits(*names: str) -> tuple[str, ...]:
    return tests("chaos/test_chaos_fit.py", *names)


def _reports(*names: str) -> tuple[str, ...]:
    return tests("chaos/test_chaos_report.py", *names)


MUTATIONS = [
    Mutation(
        "chaos-fit-selects-points",
        "The exponent is fitted to the points that stand out of the noise, which fluctuate up.",
        _FIT,
        "int(k) not in left_out for k in n",
        "int(k) not in left_out and int(k) not in noisy for k in n",
        _fits("test_no_selection_by_significance", "test_points_that_are_left_out"),
    ),
    Mutation(
        "chaos-fit-exponent-of-the-square",
        "The exponent of a squared distance is that of its square.",
        _FIT,
        "return q / self.power, constants",
        "return q, constants",
        _fits("test_interval_covers[squared]"),
    ),
    Mutation(
        "chaos-fit-few-runs",
        "The errors lack the factor sqrt(R/(R - 1)) of a bootstrap over R runs.",
        _FIT,
        "np.sqrt(runs / np.maximum(runs - 1, 1)), 1.0)",
        "1.0, 1.0)",
        _fits("test_few_runs"),
    ),
    Mutation(
        "chaos-fit-student",
        "The interval of a few runs is that of many.",
        _FIT,
        "student_quantile(0.95, fit.freedom(replicas))",
        "student_quantile(0.95, math.inf)",
        _fits("test_few_runs"),
    ),
    Mutation(
        "chaos-fit-noise-of-windows",
        "The noise of short windows counts as a dependence on the range of N.",
        _FIT,
        "return _excess(squares, variances, 1.0), _excess",
        "return float(np.sqrt(squares.max())), _excess",
        _fits("test_interval_covers[falls into the noise]", "test_interval_covers[2 to 5 standard errors]"),
    ),
    Mutation(
        "chaos-fit-no-window",
        "The error of the exponent does not count the range of N.",
        _FIT,
        "total = math.hypot(fit.statistical, fit.window)",
        "total = fit.statistical",
        _fits("test_bend", "test_deterministic"),
    ),
    Mutation(
        "chaos-fit-error-of-three-points",
        "Three points without noise have the error 0.",
        _FIT,
        "apart = np.diff(slopes, axis=1).T / 2",
        "apart = np.diff(slopes, axis=1).T * 0",
        _fits("test_deterministic"),
    ),
    Mutation(
        "chaos-fit-floor-is-squared",
        "The fitted floor of a squared distance is its square.",
        _FIT,
        "if self.power == 1:",
        "if self.power >= 1:",
        _fits("test_floor_is_fitted[2]"),
    ),
    Mutation(
        "chaos-fit-ends-exchanged",
        "The sentence about a bend exchanges the largest and the smallest N.",
        _FIT,
        "[fit.over(slice(-3, None)), fit.over(slice(3))]",
        "[fit.over(slice(3)), fit.over(slice(-3, None))]",
        _fits("test_bend"),
    ),
    Mutation(
        "chaos-fit-sign-of-curvature",
        "The curvature of a series without noise has the wrong sign.",
        _LAW,
        "return float(theta[2]), float(error[2])",
        "return -float(theta[2]), float(error[2])",
        _fits("test_bend"),
    ),
    Mutation(
        "chaos-fit-other-sign",
        "An amount that changes its sign has the exponent of one of its sides.",
        _FIT,
        "if opposite or above < 3",
        "if above < 3",
        _fits("test_points_that_are_left_out"),
    ),
    Mutation(
        "chaos-fit-runs-as-errors",
        "The number of runs is in proportion to the ratio of the errors, not to its square.",
        _FIT,
        "max(math.ceil(int(np.max(series.replicas)) * factor), 1)",
        "max(math.ceil(int(np.max(series.replicas)) * factor**0.5), 1)",
        _fits("test_runs_needed"),
    ),
    Mutation(
        "chaos-fit-runs-for-three",
        "Too few runs are said to bring three N out of the noise.",
        _STATEMENT,
        "* 9 / max(squared, 0.25)",
        "* 3 / max(squared, 0.25)",
        _fits("test_too_few_points"),
    ),
    Mutation(
        "chaos-fit-tells-apart",
        "A fit whose interval contains 1/2 and 1 says that it decays with one of them.",
        _STATEMENT,
        "if len(inside) > 1:",
        "if len(inside) > 2:",
        _fits("test_cannot_tell"),
    ),
    Mutation(
        "chaos-report-filled-below-floor",
        "The figure shows values below the floor like values above it.",
        _REPORT,
        "~noisy & (size < floor)",
        "~noisy & (size < 0 * floor)",
        _reports("test_no_point_below_its_floor_is_filled"),
    ),
    Mutation(
        "chaos-report-noise-as-law",
        "The figure shows points within their noise like the others.",
        _REPORT,
        'color, "white"),\n        "noisy": ("within its noise, or left out", look.GREY, "white")',
        'color, "white"),\n        "noisy": ("measured", look.GREY, look.GREY)',
        _reports("test_no_point_below_its_floor_is_filled"),
    ),
    Mutation(
        "chaos-report-blank-prediction",
        "The table shows the exponent 0 where theory is silent.",
        _REPORT,
        '"" if theory.predicted is None else',
        '"0" if theory.predicted is None else',
        _reports("test_table"),
    ),
]
