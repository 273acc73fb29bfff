"""Mistakes that the test suite must detect. `mutate.py` puts them one at a time into a scratch copy of the library.

Each entry replaces one snippet of one file. `old` occurs exactly once in the file, and the file still compiles with `new`.
Every module of this folder that has a list MUTATIONS counts.
"""

import importlib
import pkgutil

from .mutation import Mutation

MUTATIONS: list[Mutation] = [
    mutation
    for module in pkgutil.iter_modules(__path__)
    for mutation in getattr(importlib.import_module(f"{__name__}.{module.name}"), "MUTATIONS", [])
]

__all__ = ["MUTATIONS", "Mutation"]
