"""The time loop, adjoints, dtypes, checks."""

from .mutation import Mutation, tests

MUTATIONS = [
    Mutation(
        "noise-same-every-step",
        "Every step draws the same noise.",
        "jaxkinetic/_simulate.py",
        "        key = fold_in(start.key, loop.step.astype(jnp.uint32))\n",
        "        key = fold_in(start.key, jnp.zeros((), jnp.uint32))\n",
        tests("laws/test_landau_laws.py", "test_second_moments[8-60000-kac]"),
    ),
    Mutation(
        "noise-restarts",
        "A continued run draws the noise of the first steps again.",
        "jaxkinetic/_simulate.py",
        "        key = fold_in(start.key, loop.step.astype(jnp.uint32))\n",
        "        key = fold_in(start.key, (loop.step - first).astype(jnp.uint32))\n",
        tests("contract/test_contract.py", "test_restart_is_bitwise[kac-power-float64]"),
    ),
    Mutation(
        "time-restarts",
        "The times of a continued run begin at its start.",
        "jaxkinetic/_simulate.py",
        "return jnp.asarray(t0 + steps.astype(dt.dtype) * dt)",
        "return jnp.asarray(t0 + (steps - start.step).astype(dt.dtype) * dt)",
        tests("core/test_simulate.py", "test_saved_steps"),
    ),
    Mutation(
        "observable-key",
        "Two observables get the same key.",
        "jaxkinetic/_simulate.py",
        "zlib.crc32(name.encode()), tag=TAG_OBSERVE",
        "0, tag=TAG_OBSERVE",
        tests("core/test_simulate.py", "test_contextual_observables"),
    ),
    Mutation(
        "result-overwritten",
        "A later bad step overwrites the first one in the result.",
        "jaxkinetic/_simulate.py",
        "partial(jnp.where, result.ok & ~found.ok)",
        "partial(jnp.where, ~found.ok)",
        tests("core/test_simulate.py", "test_blow_up_reports_its_first_bad_step"),
    ),
    Mutation(
        "result-a-step-off",
        "The step that is named as bad is the one before.",
        "jaxkinetic/_simulate.py",
        "_judged(loop.result, step, carry, info)",
        "_judged(loop.result, loop.step, carry, info)",
        tests("core/test_simulate.py", "test_blow_up_reports_its_first_bad_step"),
    ),
    Mutation(
        "program-for-every-chunk",
        "The step number is part of the program: every chunk of a run is compiled anew.",
        "jaxkinetic/_simulate.py",
        "dataclasses.replace(start, step=0, origin=None)",
        "dataclasses.replace(start, origin=None)",
        tests("core/test_simulate.py", "test_continuing_does_not_recompile"),
    ),
    Mutation(
        "callback-without-throw",
        "A program that was asked not to raise holds a host callback.",
        "jaxkinetic/_simulate.py",
        "return raise_or_mark(solution, message) if throw else solution",
        "return raise_or_mark(solution, message)",
        tests("contract/test_contract.py", "test_export_without_callbacks[kac-power]"),
    ),
    Mutation(
        "save-doubled",
        "A continued run saves its first step again.",
        "jaxkinetic/_save.py",
        "begin = first if fresh else first + 1",
        "begin = first",
        tests("core/test_simulate.py", "test_saved_steps"),
    ),
    Mutation(
        "save-lost",
        "The last step is not saved.",
        "jaxkinetic/_save.py",
        "return np.arange(-(-begin // every) * every, last + 1, every, dtype=np.int64)",
        "return np.arange(-(-begin // every) * every, last, every, dtype=np.int64)",
        tests("core/test_simulate.py", "test_saved_steps"),
    ),
    Mutation(
        "adjoint-surplus-turns",
        "The turns of the loop that are skipped cut the gradient: it is silently 0.",
        "jaxkinetic/_adjoint.py",
        "return jax.lax.cond(index < count, body, lambda same: same, loop), None",
        "return jax.lax.cond(index < count, body, jax.lax.stop_gradient, loop), None",
        tests("core/test_simulate.py", "test_gradient_in_dt"),
    ),
    Mutation(
        "adjoint-reversible-parameters",
        "A reversible gradient misses what the steps contribute through the parameters.",
        "jaxkinetic/_adjoint.py",
        "return before, cotangent, jax.tree.map(jnp.add, total, more)",
        "return before, cotangent, total",
        tests("laws/test_nbody.py", "test_reversible_gradients"),
    ),
    Mutation(
        "adjoint-reversible-saves",
        "A reversible gradient misses what the saves contribute.",
        "jaxkinetic/_adjoint.py",
        "return loop, jax.tree.map(jnp.add, cotangent, also), jax.tree.map(jnp.add, total, more)",
        "return loop, cotangent, jax.tree.map(jnp.add, total, more)",
        tests("laws/test_nbody.py", "test_reversible_gradients"),
    ),
    Mutation(
        "count-without-carry",
        "A count of events is lost beyond 2^32.",
        "jaxkinetic/_system.py",
        "return Count(low, self.high + other.high + (low < self.low).astype(jnp.uint32))",
        "return Count(low, self.high + other.high)",
        tests("laws/test_exact_clock.py", "test_counts_beyond_32_bits"),
    ),
    Mutation(
        "stats-maximum-from-zero",
        "The maximum of a statistic that is negative is 0.",
        "jaxkinetic/_system.py",
        "return Max(jnp.full(self.value.shape, limits.min, dtype))",
        "return Max(jnp.zeros(self.value.shape, dtype))",
        tests("core/test_simulate.py", "test_stats_are_totals"),
    ),
    Mutation(
        "dtype-of-the-number-alive",
        "An array is made without the dtype of the state.",
        "jaxkinetic/states.py",
        "return jnp.sum(self.alive, dtype=self.velocity.dtype)",
        "return jnp.sum(self.alive, dtype=float)",
        tests("contract/test_contract.py", "test_dtype_is_kept[float32-kac-power]"),
    ),
    Mutation(
        "dtype-of-the-wavenumbers",
        "The wavenumbers of a grid are made without its dtype.",
        "jaxkinetic/spectral.py",
        """    whole = [0 if 2 * j == -axis.num else j for j in signed]
    return 2 * math.pi * jnp.asarray(whole, axis.length.dtype) / axis.length
""",
        """    whole = [0 if 2 * j == -axis.num else j for j in signed]
    return 2 * math.pi * jnp.asarray(whole, float) / axis.length
""",
        tests("contract/test_split_contract.py", "test_dtype_is_kept[velocity-gaussian-d1-order2-float32]"),
    ),
    Mutation(
        "check-skipped-in-jit",
        "A number that is written down inside jit is not checked.",
        "jaxkinetic/_checks.py",
        """    if is_traced(value):
        array = jnp.asarray(value)
""",
        """    if True:
        array = jnp.asarray(value)
""",
        tests("core/test_interactions.py", "test_checks_inside_jit"),
    ),
    Mutation(
        "memory-every-step",
        "The default adjoint stores every step.",
        "jaxkinetic/_adjoint.py",
        "_FEW_BYTES, _SMALL_STATE = 1 << 18, 1 << 14",
        "_FEW_BYTES, _SMALL_STATE = 1 << 50, 1 << 14",
        tests("core/test_memory.py", "test_memory_of_checkpointed[last]"),
    ),
    Mutation(
        "memory-reversible-stores-all",
        "The reversible adjoint stores every step.",
        "jaxkinetic/_adjoint.py",
        "        moving, still = eqx.partition((given, loop), eqx.is_inexact_array)\n",
        """        if self.reversible:
            return super().run(problem, given, loop, counts, wanted)
        moving, still = eqx.partition((given, loop), eqx.is_inexact_array)
""",
        tests("core/test_memory.py", "test_memory_of_reversible_gradients"),
    ),
]
