"""What the methods of a user's system return is checked before a run: form, shapes, dtypes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

STATE = jk.Particles(np.arange(12.0).reshape(4, 3) % 5 - 2)


class _Mine:
    """What every system of this file shares: given functions, and no checks."""

    def check(self, state): ...

    def generator(self, phi):
        return phi


class Diffusion(_Mine, jk.AbstractDiffusion):
    drifts: object = eqx.field(static=True)
    noises: object = eqx.field(static=True, default=lambda state: None)

    def default_scheme(self):
        return jk.EulerMaruyama()

    def drift(self, t, state):
        return self.drifts(state)

    def noise(self, key, t, dt, state):
        return self.noises(state)


class Field(_Mine, jk.AbstractField):
    slope: object = eqx.field(static=True)

    def default_scheme(self):
        return jk.RungeKutta()

    def vector_field(self, t, state):
        return self.slope(state)


class OneArgument(Field):
    def vector_field(self, state):
        return state


class Split(_Mine, jk.AbstractSplit):
    given: object = eqx.field(static=True)

    def default_scheme(self):
        return jk.Strang()

    @property
    def flows(self):
        return self.given


def moved(state):
    return state.increment(velocity=-state.velocity)


def still(tau, t, state):
    return state


def with_velocity(change):
    return lambda tau, t, state: eqx.tree_at(lambda s: s.velocity, state, change(state.velocity))


SLOPE = "must return the time derivative in the form of the state, with None for leaves that do not move, but returns"
FLOW = "must return a state with the shapes and dtypes of the one that it is given, but returns"
ROWS = [
    (Diffusion(lambda s: None), f"`Diffusion.drift` {SLOPE} None"),
    (Diffusion(lambda s: s.velocity), f"`Diffusion.drift` {SLOPE} an array for a Particles"),
    (Diffusion(lambda s: s.increment(velocity=s.velocity[:, 0])),
     rf"`Diffusion.drift` {SLOPE} float64 of shape \(4,\) for float64 of shape \(4, 3\)"),
    (Diffusion(lambda s: "x"), f"`Diffusion.drift` {SLOPE} no arrays"),
    (Diffusion(lambda s: s.increment(velocity=jax.lax.complex(s.velocity, s.velocity))), "complex128 of shape"),
    (Diffusion(lambda s: s.increment(velocity=np.asarray(s.velocity))), "JAX can trace"),
    (Diffusion(moved, lambda s: s.velocity), "`Diffusion.noise` must return an increment in the form of the state"),
    (Field(lambda s: None), f"`Field.vector_field` {SLOPE} None"),
    (Field(lambda s: 1.0), f"`Field.vector_field` {SLOPE} an array for a Particles"),
    (Field(lambda s: s), f"`Field.vector_field` {SLOPE} bool of shape"),
    (OneArgument(moved), "`OneArgument.vector_field` must take 2 arguments"),
    (Split(None), "`Split.flows` must be a tuple of two or more functions"),
    (Split((still,)), "`Split.flows` must be a tuple of two or more functions"),
    (Split((still, lambda s: s)), r"`Split.flows\[1\]` must take 3 arguments"),
    (Split((lambda tau, t, s: None, still)), rf"`Split.flows\[0\]` {FLOW} a NoneType for a Particles"),
    (Split((still, lambda tau, t, s: jk.Particles(s.velocity[:2]))), rf"`Split.flows\[1\]` {FLOW} float64 of shape \(2, 3\)"),
    (Split((with_velocity(lambda v: v.astype(jnp.float32)), still)), rf"`Split.flows\[0\]` {FLOW} float32 of shape"),
    (Split((with_velocity(lambda v: jax.lax.complex(v, v)), still)), rf"`Split.flows\[0\]` {FLOW} complex128 of shape"),
]  # fmt: skip


@pytest.mark.parametrize(("system", "sentence"), ROWS)
def test_wrong_results_are_named(system, sentence):
    """Catches an error from the depth of JAX, and a run that loses particles or precision without a word."""
    key = jk.AbstractDiffusion in type(system).__mro__ and np.zeros(2, np.uint32)
    with pytest.raises(ValueError, match=sentence) as error:
        jk.simulate(system, STATE, key=key if key is not False else None, dt=0.1, num_steps=1)
    assert str(error.value).startswith("Argument `")


def test_right_results_pass():
    """None for what does not move, no noise, and states that are dicts. Catches a check that is too strict."""
    key = np.zeros(2, np.uint32)
    assert jk.simulate(Diffusion(moved), STATE, key=key, dt=0.5, num_steps=1).final.velocity[0, 0] == -1
    state = {"x": jnp.ones(3), "fixed": jnp.ones(2)}
    end = jk.simulate(
        Field(lambda s: {"x": -s["x"], "fixed": None}), state, dt=0.5, num_steps=1, scheme=jk.RungeKutta(1)
    ).final
    np.testing.assert_array_equal(end["x"], 0.5)
    assert (
        jk.simulate(Split((still, with_velocity(lambda v: 2 * v))), STATE, dt=0.1, num_steps=1).final.velocity[0, 0]
        == -4
    )
