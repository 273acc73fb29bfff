"""The table of gradients: its kinds, and what it says of the schemes."""

from .mutation import PAIRS, VLASOV, Mutation, tests

_KINDS = "jaxkinetic/expectations/gradient_kinds.py"
_TEST = "contract/test_gradient_table.py"

MUTATIONS = [
    Mutation(
        "gradient-kinds-zero",
        "A leaf that moves the paths is said not to enter the result.",
        _KINDS,
        "return _PATHWISE if str(error) == _FOUND",
        "return _ZERO if str(error) == _FOUND",
        tests(_TEST, "test_entries[Kac(Maxwell), RandomMatching]"),
    ),
    Mutation(
        "gradient-kinds-paths-of-jumps",
        "The paths are said to move only if the start does, not if a jump does.",
        _KINDS,
        "[_PATHWISE.reason] * parts.moves",
        "[_PATHWISE.reason] * parts.start_moves",
        tests(_TEST, "test_systems_of_a_user"),
    ),
    Mutation(
        "gradient-kinds-axes",
        "The axes of grids are listed among the leaves.",
        _KINDS,
        "is_leaf=lambda x: isinstance(x, (Grid, RadialGrid))",
        "is_leaf=lambda x: False",
        tests(_TEST, "test_entries[IsotropicPDE(PowerLaw), RungeKutta]"),
    ),
    Mutation(
        "gradients-declared-by-a-clock",
        "ExactClock does not declare scores.",
        PAIRS + "exact_clock.py",
        'frozenset({"pathwise", "forward", "score"})',
        'frozenset({"pathwise", "forward"})',
        tests(_TEST, "test_declared_gradients"),
    ),
    Mutation(
        "gradients-of-sheets",
        "A gradient passes the forces on sheets, without the jumps where two of them cross.",
        VLASOV + "sheets.py",
        "y = forbid_gradient(_JUMPS, _turns(x, mask, length))",
        "y = _turns(x, mask, length)",
        tests(_TEST, "test_entries[NBody(Poisson), Leapfrog]"),
    ),
    Mutation(
        "gradient-table-joined",
        "Leaves of different kinds are joined in one row of the page.",
        "benchmarks/gradient_table.py",
        'kinds.setdefault((kind["kind"], kind["reason"], kind["instead"]), [])',
        'kinds.setdefault(("pathwise", kind["reason"][:0], kind["instead"]), [])',
        tests("command_line/test_gradients_page.py", "test_page_has_every_leaf_once"),
    ),
]
