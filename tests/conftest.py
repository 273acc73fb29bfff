"""Strict arithmetic for every test (64 bits available, no implicit promotion of rank or dtype), and quick compiling: most tests
compile for seconds and run for milliseconds."""

import gc
import os
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
# Small programs too: they are many, and commands run in processes of their own.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
if version("jaxlib").startswith("0.10."):
    # XLA's older code generator for CPUs: compiles in a third less time. An unknown option would end the process.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
pytest.register_assert_rewrite("helpers")
# Tracing makes many objects and little garbage: looking for it as often as Python does takes a tenth of a test.
gc.set_threshold(100_000, 50, 50)


def pytest_xdist_auto_num_workers(config):
    """`-n auto`: one worker per core, 8 at most; none for one test (`file::test`), which would wait for it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if any("::" in word for word in config.args) else min(cores, 8)


def pytest_collection_modifyitems(items):
    """Slow tests may take five minutes. In every file the optimised ones come last: the caches are emptied once in between."""
    place = {path: i for i, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (place[item.path], _optimised(item)))
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Without most optimisations, unless the programs of a test run for longer than they compile (`slow` or `optimised`), or
    JAXKINETIC_TESTS_OPTIMISED is set."""
    quick = not _optimised(item) and not os.environ.get("JAXKINETIC_TESTS_OPTIMISED")
    if jax.config.read("jax_disable_most_optimizations") != quick:
        jax.clear_caches()
        jax.config.update("jax_disable_most_optimizations", quick)


def _optimised(item) -> bool:
    return any(item.get_closest_marker(mark) for mark in ("slow", "optimised"))


@pytest.fixture(autouse=True, scope="module")
def _free_programs():
    yield
    jax.clear_caches()
