"""Sweeps, random matchings, the pair flow, the law of Brownian motion on the sphere."""

from .mutation import LANDAU, PAIRS, Mutation, tests

MUTATIONS = [
    Mutation(
        "matching-odd-q",
        "A random matching of an odd number of slots uses q = N - 1 instead of N.",
        PAIRS + "matching.py",
        "dt * (even - 1)",
        "dt * (num - 1)",
        tests("laws/test_pairs.py", "test_dead_particles_are_not_paired"),
    ),
    Mutation(
        "matching-even-q",
        "A random matching of an even number of slots uses q = N instead of N - 1.",
        PAIRS + "matching.py",
        "dt * (even - 1)",
        "dt * even",
        tests("laws/test_pairs.py", "test_deviator_factor_of_one_matching[4-3]"),
    ),
    Mutation(
        "matching-counts-slots",
        "The time of a matched pair is divided by the number of slots instead of live particles.",
        PAIRS + "matching.py",
        "system.clock(jnp.sum(rest.alive, dtype=dt.dtype))",
        "system.clock(jnp.asarray(num, dt.dtype))",
        tests("laws/test_pairs.py", "test_dead_particles_are_not_paired"),
    ),
    Mutation(
        "sweep-whole-time-twice",
        "In a symmetric sweep each pair gets its full time in each of the two passes.",
        PAIRS + "sweep.py",
        "s = system.clock(carry.num_alive) * dt / passes",
        "s = system.clock(carry.num_alive) * dt",
        tests("laws/test_pairs.py", "test_sweep_visits_every_pair_once[3]"),
    ),
    Mutation(
        "sweep-counts-slots",
        "The time of a pair in a sweep is divided by the number of slots instead of live particles.",
        PAIRS + "sweep.py",
        "system.clock(carry.num_alive)",
        "system.clock(jnp.asarray(carry.num_slots, dt.dtype))",
        tests("laws/test_pairs.py", "test_dead_particles_are_not_paired"),
    ),
    Mutation(
        "sweep-not-reversed",
        "The second pass of a sweep runs through the rounds in the order of the first: order 1 instead of 2.",
        PAIRS + "sweep.py",
        """            top, bottom = jax.lax.cond(back, _previous, lambda a, b: (a, b), top, bottom)
            (v_i, ident_i, alive_i), (v_j, ident_j, alive_j) = top, bottom
            in_order, stream = ident_i < ident_j, back.astype(jnp.uint32)
            idents = jnp.minimum(ident_i, ident_j), jnp.maximum(ident_i, ident_j)
            before, active = _swap(in_order, v_i, v_j), alive_i & alive_j
            # Masked: what a dead slot holds must not reach a derivative either.
            masked = jax.tree.map(lambda c: jnp.where(active, c, 0), before)
            moved = move_pairs(key, system, s, masked, idents, active, stream)
            v_i, v_j = _swap(in_order, *jax.tree.map(partial(jnp.where, active), moved, before))
            top, bottom = (v_i, ident_i, alive_i), (v_j, ident_j, alive_j)
            top, bottom = jax.lax.cond(back, lambda a, b: (a, b), _next, top, bottom)
""",
        """            (v_i, ident_i, alive_i), (v_j, ident_j, alive_j) = top, bottom
            in_order, stream = ident_i < ident_j, back.astype(jnp.uint32)
            idents = jnp.minimum(ident_i, ident_j), jnp.maximum(ident_i, ident_j)
            before, active = _swap(in_order, v_i, v_j), alive_i & alive_j
            masked = jax.tree.map(lambda c: jnp.where(active, c, 0), before)
            moved = move_pairs(key, system, s, masked, idents, active, stream)
            v_i, v_j = _swap(in_order, *jax.tree.map(partial(jnp.where, active), moved, before))
            top, bottom = _next((v_i, ident_i, alive_i), (v_j, ident_j, alive_j))
""",
        tests("laws/test_pairs.py", "test_weak_order[sweep]"),
    ),
    Mutation(
        "sweep-same-noise-twice",
        "Both passes of a sweep use the same noise.",
        PAIRS + "sweep.py",
        "in_order, stream = ident_i < ident_j, back.astype(jnp.uint32)",
        "in_order, stream = ident_i < ident_j, jnp.zeros((), jnp.uint32)",
        tests("laws/test_pairs.py", "test_weak_order[sweep]"),
    ),
    Mutation(
        "sweep-dead-slot-in-gradient",
        "The contents of a dead slot enter the gradient of a sweep.",
        PAIRS + "sweep.py",
        "masked = jax.tree.map(lambda c: jnp.where(active, c, 0), before)",
        "masked = before",
        tests("contract/test_contract.py", "test_mask_invariance[sweep-power]"),
    ),
    Mutation(
        "kac-flow-twice-the-time",
        "The pair flow of Kac's system takes tau = 8 psi s instead of 4 psi s.",
        LANDAU + "systems.py",
        "heat_rotation(words, 4 * interaction.psi_of(z) * s, z)",
        "heat_rotation(words, 8 * interaction.psi_of(z) * s, z)",
        tests("laws/test_pairs.py", "test_deviator_factor_of_one_matching[4-3]"),
    ),
    Mutation(
        "kac-clock-n-minus-one",
        "The time of a pair is dt/(N - 1) instead of dt/N.",
        LANDAU + "systems.py",
        "return 1 / num_alive\n",
        "return 1 / (num_alive - 1)\n",
        tests("laws/test_pairs.py", "test_deviator_factor_of_one_matching[4-3]"),
    ),
    Mutation(
        "pair-momentum",
        "Both particles of a pair move to the same side: the momentum is not conserved.",
        PAIRS + "rotations.py",
        "tuple(q - c / 2 for q, c in zip(vj, turn, strict=True))",
        "tuple(q + c / 2 for q, c in zip(vj, turn, strict=True))",
        tests("contract/test_contract.py", "test_declared_invariants[matching-coulomb-float64]"),
    ),
    Mutation(
        "rotation-one-sign",
        "In d = 2 a rotation by a given angle is always to the left.",
        PAIRS + "rotations.py",
        "sign = jnp.where(words[0] >> 31 == 0, jnp.ones_like(x), -jnp.ones_like(x))",
        "sign = jnp.ones_like(x)",
        tests("laws/test_microcanonical.py", "test_rotation_by_a_given_angle[float32-2]"),
    ),
    Mutation(
        "heat-circle-twice-tau",
        "On the circle the law of Brownian motion is that of the time 2 tau.",
        PAIRS + "_heat_circle.py",
        "width = jnp.sqrt(4 * early)",
        "width = jnp.sqrt(8 * early)",
        tests("laws/test_sphere.py", "test_harmonics_decay[2]"),
    ),
    Mutation(
        "heat-law-another-sphere",
        "The harmonics decay at the rates of the sphere of one dimension more.",
        PAIRS + "_heat_law.py",
        "weight = number * jnp.exp(-degree * (degree + dim - 2) * tau)",
        "weight = number * jnp.exp(-degree * (degree + dim - 1) * tau)",
        tests("laws/test_sphere.py", "test_harmonics_decay[4]"),
    ),
    Mutation(
        "heat-law-early-factor",
        "The expansion for small times lacks the factor exp(m^2 tau).",
        PAIRS + "_heat_law.py",
        "- theta * theta / (4 * tau) + m * m * tau",
        "- theta * theta / (4 * tau)",
        tests("laws/test_sphere.py", "test_harmonics_decay[4]"),
    ),
    Mutation(
        "heat-sphere-early-factor",
        "On S^2 the expansion for small times lacks the factor exp(tau/4).",
        PAIRS + "_heat_sphere.py",
        "return tau / 4 - y / tau + jnp.log(mean)",
        "return -y / tau + jnp.log(mean)",
        tests("laws/test_sphere.py", "test_harmonics_decay[3]"),
    ),
    Mutation(
        "heat-table-entry",
        "One entry of the table behind the quantile on S^2 is off by 1e-6.",
        PAIRS + "_heat_sphere_table.py",
        "0.36304002",
        "0.36304102",
        tests("laws/test_sphere.py", "test_table_is_reproducible"),
    ),
    Mutation(
        "heat-quantile-not-refined",
        "In float64 the quantile on S^2 is left with the precision of the table.",
        PAIRS + "_heat_sphere.py",
        "x = jnp.clip(x - jnp.clip(step, -1 / 64, x / 8), 0, 1)",
        "x = jnp.clip(x, 0, 1)",
        tests("laws/test_sphere.py", "test_quantile_inverts_cdf[float64-1e-09-3]"),
    ),
    Mutation(
        "heat-quantile-derivative",
        "The derivative of the quantile in tau is twice too large.",
        PAIRS + "sphere.py",
        "return jnp.sin(theta) / 2 * _heat_law.log_slope(theta, tau, dim)",
        "return jnp.sin(theta) * _heat_law.log_slope(theta, tau, dim)",
        tests("laws/test_sphere.py", "test_quantile_derivatives[3]"),
    ),
    Mutation(
        "rotation-invalid-time",
        "A negative or NaN time rotates nothing, and the run reports success.",
        PAIRS + "rotations.py",
        "moving = (r2 > 0) & (tau != 0)",
        "moving = (r2 > 0) & (tau > 0)",
        tests("laws/test_pairs.py", "test_invalid_traced_time_stops_the_run[scheme0]"),
    ),
    Mutation(
        "memory-all-pairs",
        "A sum over pairs holds N^2 numbers at once.",
        PAIRS + "sums.py",
        "total = map_rows(sums, rows_of(state), state.num_slots, area=area)",
        "total = sums(rows_of(state))",
        tests("core/test_memory.py", "test_memory_of_a_step[value-Kac]"),
    ),
    Mutation(
        "rotation-one-root",
        "The sine of the angle is 2 sqrt(x (1 - x)), one root: a rotation changes the length by .004 to .1 eps in the mean.",
        PAIRS + "rotations.py",
        "across = 2 * square_root(x) * square_root(1 - x)",
        "across = 2 * square_root(x * (1 - x))",
        tests(
            "laws/test_sphere.py",
            "test_rotation_near_a_right_angle_keeps_the_length[float32-0.1]",
            "test_rotation_near_a_right_angle_keeps_the_length[float64-0.0001]",
        ),
    ),
    Mutation(
        "heat-solve-stops-early",
        "The iteration of the quantile stops too early.",
        PAIRS + "sphere.py",
        "turns = 16 if jnp.finfo(u.dtype).bits <= 32 else 24",
        "turns = 3",
        tests("laws/test_sphere.py", "test_quantile_inverts_cdf[float64-1e-09-4]"),
    ),
    Mutation(
        "heat-solve-bracket",
        "The bracket of the quantile does not reach tiny probabilities.",
        PAIRS + "sphere.py",
        "(90 - 2 * jnp.log(u))",
        "(90 - 0 * jnp.log(u))",
        tests("laws/test_sphere.py", "test_quantile_of_tiny_probability"),
    ),
    Mutation(
        "heat-nan-time",
        "A NaN time is accepted.",
        PAIRS + "sphere.py",
        "lambda a: ~(a >= 0), ",
        "lambda a: a < 0, ",
        tests("laws/test_sphere.py", "test_negative_or_nan_time_raises[nan]"),
    ),
    Mutation(
        "heat-check-skipped-in-jit",
        "A negative time inside `jit` is accepted.",
        PAIRS + "sphere.py",
        """        array = known_array(value)
""",
        """        array = jnp.asarray(value)
""",
        tests("laws/test_sphere.py", "test_argument_errors_inside_jit"),
    ),
    Mutation(
        "heat-half-turn",
        "The gradient of a rotation is NaN where the angle rounds to pi.",
        PAIRS + "rotations.py",
        "x = jnp.clip(quantile(u, tau, len(z)), jnp.finfo(dtype).tiny, 1 - jnp.finfo(dtype).epsneg)",
        "x = quantile(u, tau, len(z))",
        tests("laws/test_sphere.py", "test_gradient_near_a_half_turn"),
    ),
    Mutation(
        "heat-law-early-slope",
        "The derivative of the expansion for small times lacks a factor 2.",
        PAIRS + "_heat_law.py",
        "+ 2 * theta * db / b",
        "+ theta * db / b",
        tests("laws/test_sphere.py", "test_expansions_and_closed_forms_agree"),
    ),
    Mutation(
        "matching-dead-partner",
        "A random matching moves pairs with a dead particle.",
        PAIRS + "matching.py",
        "active = jnp.all((partners < num) & at(rest.alive, partners), axis=0)",
        "active = jnp.all(partners < num, axis=0)",
        tests("laws/test_pairs.py", "test_dead_particles_are_not_paired"),
    ),
]
