"""Strict arithmetic for every test: 64 bits available, no implicit rank or dtype promotion, one compilation cache."""

import os
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
# Small programs too: they are many, and commands run in processes of their own.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
pytest.register_assert_rewrite("helpers")


@pytest.fixture(autouse=True, scope="module")
def _free_programs():
    yield
    jax.clear_caches()
