"""Inference of hidden parameters: data, model, error bars."""

from .mutation import Mutation, tests

_INFER, _CASES = (
    "jaxkinetic/experiments/catalogue/_inference.py",
    "jaxkinetic/experiments/catalogue/_inference_cases.py",
)

MUTATIONS = [
    Mutation(
        "infer-noise-of-data",
        "The noise of the data has twice the size that the fit is told.",
        _INFER,
        "data = exact + sizes * np",
        "data = exact + 2 * sizes * np",
        tests("command_line/test_infer.py", "test_coverage_of_damping"),
    ),
    Mutation(
        "infer-variance-as-covariance",
        "The fit is told standard deviations for variances.",
        _INFER,
        "np.diag(sizes.ravel() ** 2)",
        "np.diag(sizes.ravel())",
        tests("command_line/test_infer.py", "test_coverage_of_damping"),
    ),
    Mutation(
        "infer-one-truth",
        "The hidden parameters do not depend on the seed.",
        _INFER,
        "jax.random.uniform(keys[0], (len(names),))",
        "jax.random.uniform(jax.random.key(0), (len(names),))",
        tests("command_line/test_infer.py", "test_coverage_of_damping"),
    ),
    Mutation(
        "infer-band-without-correlation",
        "The band leaves out the correlation of the parameters.",
        _INFER,
        'np.einsum("np,pq,nq->n", jacobian, np.asarray(found.fit.covariance, float), jacobian)',
        'np.einsum("np,p,np->n", jacobian, found.stderr**2, jacobian)',
        tests("command_line/test_infer.py", "test_band"),
    ),
    Mutation(
        "infer-field-without-k",
        "The measured field is the density mode, which depends on k sqrt(T) only.",
        _CASES,
        "* 2 / (_AMPLITUDE * k))",
        "* 2 / (_AMPLITUDE + 0 * k))",
        tests("command_line/test_infer.py", "test_field_is_a_function_of_the_scaled_wavenumber"),
    ),
    Mutation(
        "infer-search-file-left",
        "The files of a finished fit stay in the folder of the results.",
        "jaxkinetic/experiments/_harness/partial.py",
        r"-\d{5}|search)\.npz",
        r"-\d{5})\.npz",
        tests("command_line/test_infer.py", "test_without_optax"),
    ),
]
