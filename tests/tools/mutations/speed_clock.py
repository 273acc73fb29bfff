"""The exact clock: waves as loops of known length, and where a window ends."""

from .mutation import Mutation, tests

MUTATIONS = [
    Mutation(
        "clock-cut-before",
        "A window whose waves run out ends before the first event that they did not reach, not with it.",
        "jaxkinetic/pairs/_event_window.py",
        "num_events = jnp.where(cut, unreached + 1, count)",
        "num_events = jnp.where(cut, unreached, count)",
        tests("laws/test_clock_waves.py", "test_law_of_cut_windows[1]"),
    ),
    Mutation(
        "clock-cut-drops",
        "Events that the waves of a window did not reach are dropped.",
        "jaxkinetic/pairs/_event_window.py",
        "num_events = jnp.where(cut, unreached + 1, count)",
        "num_events = count",
        tests("laws/test_clock_waves.py", "test_path_is_independent_of_waves[30]"),
    ),
    Mutation(
        "clock-loop-of-accelerators",
        "On accelerators the loop over the waves of a window is one wave too short.",
        "jaxkinetic/pairs/_event_window.py",
        "jax.lax.fori_loop(0, length, body, init)",
        "jax.lax.fori_loop(0, length - 1, body, init)",
        tests("laws/test_clock_waves.py", "test_loops_of_accelerators"),
    ),
]
