"""Distances from chaos that are exact at finite N: covariances of pairs, numbers alive, two particles on the torus."""

from .mutation import Mutation, tests

_PAIRS, _NUMBERS = "jaxkinetic/chaos/pair_distances.py", "jaxkinetic/chaos/population.py"
_TORUS = "jaxkinetic/chaos/torus_pairs.py"
_TESTS = "chaos/test_chaos_pairs.py"

MUTATIONS = [
    Mutation(
        "chaos-pairs-plug-in",
        "The product of the means is taken over all runs, with themselves.",
        _PAIRS,
        "between = np.cov(x, y)",
        "between = np.cov(x, y, ddof=0)",
        tests(_TESTS, "test_pair_covariance_is_unbiased"),
    ),
    Mutation(
        "chaos-pairs-self",
        "Particles that meet themselves are left out with N instead of N - 1.",
        _PAIRS,
        "np.mean(within / (alive - 1))",
        "np.mean(within / alive)",
        tests(_TESTS, "test_pair_covariance_is_unbiased"),
    ),
    Mutation(
        "chaos-pairs-psi",
        "psi is not used.",
        _PAIRS,
        "y = x if self.psi is None else",
        "y = x if self.phi is not None else",
        tests(_TESTS, "test_pair_covariance_is_unbiased"),
    ),
    Mutation(
        "chaos-pairs-normalised",
        "The variance of one particle lacks the variance between runs.",
        _PAIRS,
        "np.mean(within_x) + between[0, 0]",
        "np.mean(within_x)",
        tests(_TESTS, "test_starts[8]"),
    ),
    Mutation(
        "chaos-pairs-mode",
        "The pair part of the variance of a mode is taken with N instead of N - 1.",
        _PAIRS,
        "within = (1 - real**2 - imag**2) / (alive - 1)",
        "within = (1 - real**2 - imag**2) / alive",
        tests(_TESTS, "test_mode_variance_is_unbiased"),
    ),
    Mutation(
        "chaos-pairs-limit-weights",
        "The mean in the limit is not divided by the mass.",
        _PAIRS,
        "np.average(values, weights=np.asarray(weights, float))",
        "np.dot(values, np.asarray(weights, float))",
        tests(_TESTS, "test_tables_of_the_limit"),
    ),
    Mutation(
        "chaos-pairs-one-run",
        "A variance between runs is made of one run.",
        _PAIRS,
        "if len(statistics) < 2:",
        "if len(statistics) < 1:",
        tests(_TESTS, "test_errors"),
    ),
    Mutation(
        "chaos-numbers-mass",
        "A particle is a pair with itself.",
        _NUMBERS,
        "np.var(n, ddof=1) - np.mean(n)",
        "np.var(n, ddof=1)",
        tests(_TESTS, "test_annihilation", "test_numbers_are_unbiased"),
    ),
    Mutation(
        "chaos-numbers-plug-in",
        "The square of the mean number is taken over all runs, with themselves.",
        _NUMBERS,
        "np.var(several_runs(statistics)[:, 0], ddof=1)",
        "np.var(several_runs(statistics)[:, 0])",
        tests(_TESTS, "test_numbers_are_unbiased"),
    ),
    Mutation(
        "chaos-numbers-volume",
        "A volume that is a function of N is not evaluated at N.",
        _NUMBERS,
        "self.volume(num) if callable",
        "self.volume(1) if callable",
        tests(_TESTS, "test_numbers_are_unbiased"),
    ),
    Mutation(
        "chaos-torus-entropy-noise",
        "Twice the bias of the plug-in entropy is subtracted.",
        _TORUS,
        "np.sum(hessian * noise) / 2) / 2",
        "np.sum(hessian * noise)) / 2",
        tests(_TESTS, "test_noise_leaves_no_floor"),
    ),
    Mutation(
        "chaos-torus-entropy-half",
        "H_2 is the entropy of both particles.",
        _TORUS,
        "np.sum(hessian * noise) / 2) / 2",
        "np.sum(hessian * noise) / 2)",
        tests(_TESTS, "test_pair_distances_equal_those_of_the_density[2]"),
    ),
    Mutation(
        "chaos-torus-l1-floor",
        "The sign comes from the same runs as the value.",
        _TORUS,
        "others = total - part.sum(0)",
        "others = total",
        tests(_TESTS, "test_noise_leaves_no_floor"),
    ),
    Mutation(
        "chaos-torus-self",
        "|rho_m|^2 is divided by N - 1 without the particles that meet themselves.",
        _TORUS,
        "(n * jnp.stack(out) - 1) / (n - 1)",
        "(n * jnp.stack(out)) / (n - 1)",
        tests(_TESTS, "test_torus_pairs[2-independent]"),
    ),
]
