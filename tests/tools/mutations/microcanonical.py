"""Microcanonical binary collisions."""

from .mutation import LANDAU, Mutation, tests

MUTATIONS = [
    Mutation(
        "mbc-fixed-angle-rate",
        "With a fixed angle pairs jump at half their rate.",
        LANDAU + "microcanonical.py",
        "rate = 2 * (len(vi) - 1) * psi / self._half_angle(psi.dtype)",
        "rate = (len(vi) - 1) * psi / self._half_angle(psi.dtype)",
        tests("laws/test_microcanonical.py", "test_generator_on_stress[3-fixed_angle]"),
    ),
    Mutation(
        "mbc-constant-rate-angle",
        "With a constant rate 1 - cos(theta) is twice too large.",
        LANDAU + "microcanonical.py",
        "jnp.minimum(2 * (dim - 1) * self.epsilon",
        "jnp.minimum(4 * (dim - 1) * self.epsilon",
        tests("laws/test_microcanonical.py", "test_generator_on_stress[3-constant_rate]"),
    ),
    Mutation(
        "mbc-heat-kernel-time",
        "With the heat kernel a jump takes tau = 2 h psi instead of 4 h psi.",
        LANDAU + "microcanonical.py",
        "rotations.heat_rotation(words, 4 * self.epsilon",
        "rotations.heat_rotation(words, 2 * self.epsilon",
        tests("laws/test_microcanonical.py", "test_dynkin[heat_kernel--2.0-8-2]"),
    ),
    Mutation(
        "mbc-n-minus-one",
        "The rate of microcanonical collisions is divided by N - 1 instead of N.",
        LANDAU + "microcanonical.py",
        "return 1 / num_alive",
        "return 1 / (num_alive - 1)",
        tests("laws/test_microcanonical.py", "test_generator_on_stress[3-heat_kernel]"),
    ),
    Mutation(
        "mbc-directed-rate",
        "Pairs jump more often along the first axis: the uniform law is not invariant.",
        LANDAU + "microcanonical.py",
        "return jnp.broadcast_to(self._constant(vi[0].dtype), vi[0].shape)",
        "return self._constant(vi[0].dtype) * (1 + jnp.tanh(jnp.abs(vi[0] - vj[0]))) / 2",
        tests("laws/test_microcanonical.py", "test_detailed_balance[constant_rate-0.05--3.0-3.0]"),
    ),
    Mutation(
        "mbc-negative-floor",
        "A traced negative floor acts like its absolute value.",
        LANDAU + "microcanonical.py",
        "return jnp.where(floor >= 0, floor, np.asarray(np.nan, dtype))",
        "return floor",
        tests("laws/test_microcanonical_limits.py", "test_invalid_traced_floor_stops_the_run[heat_kernel]"),
    ),
    Mutation(
        "mbc-angle-above-pi",
        "A traced angle above pi is used as it is.",
        LANDAU + "microcanonical.py",
        "fine = (angle > 0) & (angle <= _PI)",
        "fine = angle > 0",
        tests("laws/test_microcanonical_limits.py", "test_invalid_traced_epsilon_stops_the_run[fixed_angle-4.0]"),
    ),
    Mutation(
        "mbc-unbounded",
        "Collisions at a fixed angle without a majorant are accepted.",
        LANDAU + "microcanonical.py",
        """            if not bounded:
""",
        """            if False:
""",
        tests("laws/test_microcanonical_limits.py", "test_incompatible_law_and_interaction_raise"),
    ),
    Mutation(
        "mbc-concrete-angle-above-pi",
        "An angle above pi is accepted.",
        LANDAU + "microcanonical.py",
        '"be an angle in (0, pi]", "lower it", high=_PI)',
        '"be an angle in (0, pi]", "lower it")',
        tests("laws/test_microcanonical_limits.py", "test_argument_errors"),
    ),
    Mutation(
        "mbc-gradient-of-the-angle",
        "The gradient misses that the angle depends on psi.",
        LANDAU + "microcanonical.py",
        "self.epsilon.astype(psi.dtype) * psi, jnp.asarray(0.5",
        "self.epsilon.astype(psi.dtype) * jax.lax.stop_gradient(psi), jnp.asarray(0.5",
        tests("laws/test_microcanonical_limits.py", "test_parameter_gradients"),
    ),
    Mutation(
        "mbc-guard-too-strict",
        "Gradients in the velocities raise for Maxwell molecules at a fixed angle.",
        LANDAU + "microcanonical.py",
        'return self.law != "fixed_angle" or isinstance(self.interaction, Maxwell)',
        'return self.law != "fixed_angle"',
        tests("laws/test_microcanonical_limits.py", "test_velocity_gradients_at_a_fixed_angle"),
    ),
]
