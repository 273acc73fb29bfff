"""One mistake: where it is put in, and the tests that must fail."""

from dataclasses import dataclass

BOLTZMANN = "jaxkinetic/boltzmann/"
DIAGNOSTICS = "jaxkinetic/diagnostics/"
EXPERIMENTS = "jaxkinetic/experiments/"
KERNELS = "kernels/jaxkinetic_kernels/"
LANDAU = "jaxkinetic/landau/"
LANDAU_EXACT = "jaxkinetic/landau/exact/"
PAIRS = "jaxkinetic/pairs/"
VLASOV = "jaxkinetic/vlasov/"


@dataclass(frozen=True)
class Mutation:
    """`mistake`: one sentence. `old`, `new`: the snippet of `file` and what replaces it. `seen_by`: pytest ids of which at
    least one must fail."""

    name: str
    mistake: str
    file: str
    old: str
    new: str
    seen_by: tuple[str, ...]


def tests(file: str, *names: str) -> tuple[str, ...]:
    """Pytest ids of tests in one file below tests/."""
    return tuple(f"tests/{file}::{name}" for name in names)
