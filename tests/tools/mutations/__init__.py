"""Mistakes that the test suite must detect. `mutate.py` puts them one at a time into a scratch copy of the library.

Each entry replaces one snippet of one file. `old` occurs exactly once in the file, and the file still compiles with `new`.
"""

from . import (
    amplitudes,
    boltzmann,
    command_line,
    core,
    ensemble,
    exact_laws,
    faults_systems,
    files,
    initial,
    kernels,
    landau,
    measuring,
    microcanonical,
    nbody,
    pairs,
    vlasov,
)
from .mutation import Mutation

MUTATIONS: list[Mutation] = [
    mutation
    for part in (
        kernels,
        pairs,
        boltzmann,
        microcanonical,
        landau,
        exact_laws,
        vlasov,
        nbody,
        amplitudes,
        core,
        files,
        ensemble,
        measuring,
        initial,
        command_line,
        faults_systems,
    )
    for mutation in part.MUTATIONS
]

__all__ = ["MUTATIONS", "Mutation"]
