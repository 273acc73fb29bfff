"""What a grid adds to test_contract.py: chunks and files, functions as potentials, gradients in the grid, replicas."""

import operator
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import identical
from split_cases import BITWISE, DT, PARAMETERS, STEPS, GridCase, values

import jaxkinetic as jk

pytestmark = pytest.mark.newest

SPARSE = jk.Save(steps=(0, 3, 5), state=True)


# Compiled as a user compiles: without optimisations the steps of two programs may differ in the last bit.
@pytest.mark.bitwise
@pytest.mark.optimised
@pytest.mark.parametrize("case", BITWISE, ids=str)
def test_path_is_independent_of_saves_and_restarts(case, tmp_path):
    """Saves, chunks, restarts and files leave the path bitwise the same. Catches a step number that restarts at 0, a
    half step too many where a run is cut, a leaf or an option that a file loses, and programs whose steps are compiled
    differently (chunks of one step among them)."""
    whole = case.run(num_steps=STEPS, save=SPARSE)
    assert not np.allclose(values(whole.final), values(case.start()), rtol=1e-2)
    chunks = list(
        jk.iterate(case.system(), case.start(), chunk=1, num_steps=STEPS, dt=DT, scheme=jk.Strang(case.order))
    )
    states = [case.start(), *(c.final for c in chunks)]
    assert identical(states[-1], whole.final)
    for place, step in enumerate((0, 3, 5)):
        # To an ulp or so: a state that is saved has gone through another program than one at an end.
        saved, top = np.asarray(values(whole.states))[place], np.abs(values(states[step])).max()
        np.testing.assert_allclose(saved, values(states[step]), atol=20 * jnp.finfo(case.dtype).eps * top)
    loaded = jk.load_checkpoint(jk.save_checkpoint(tmp_path / "run.npz", chunks[4].checkpoint))
    assert loaded.scheme == jk.Strang(case.order)
    rest = jk.simulate(case.system(), loaded, num_steps=1)
    assert rest.checkpoint.step == 6
    assert identical(rest.final, chunks[5].final)
    assert identical(rest.times, chunks[5].times)
    np.testing.assert_allclose(rest.times, [6 * DT], rtol=1e-6)


def test_plain_function_as_potential(tmp_path):
    """A plain function runs and continues from a checkpoint in memory; a file cannot hold it, and the error says what a
    file can hold. Catches a function as a leaf of what the loop carries."""
    case = GridCase("velocity", "bare")
    first = case.run(num_steps=1)
    rest = jk.simulate(case.system(), first.checkpoint, num_steps=1)
    assert identical(rest.final, case.run(num_steps=2).final)
    with pytest.raises(ValueError, match=r"no function, because a file cannot store one.*`__call__` of an eqx.Module"):
        jk.save_checkpoint(tmp_path / "run.npz", first.checkpoint)


# d/d of: the potential's parameters, dt, the grid, and the initial values, along one direction.
GRADIENTS = [
    (GridCase("vlasov", "sum"), jk.Checkpointed()),
    pytest.param(GridCase("vlasov", "sum"), jk.Reversible(), marks=pytest.mark.slow),
    pytest.param(GridCase("velocity", "sum", dim=2), jk.Direct(), marks=pytest.mark.slow),
    (GridCase("fourier", "harmonic"), jk.Checkpointed()),
    (GridCase("fourier", "sum"), jk.Reversible()),
]


@dataclass(frozen=True)
class Knobs:
    """A run as a function of numbers, named."""

    case: GridCase
    adjoint: eqx.Module

    @property
    def at(self) -> dict[str, np.ndarray]:
        system, axes = self.case.system(), self.case.start().grid.axes
        paths = {path: operator.attrgetter(path)(system.potential) for path in PARAMETERS[self.case.interaction]}
        places = {f"{part} {i}": getattr(axis, part) for i, axis in enumerate(axes) for part in ("start", "length")}
        return {name: np.asarray(x, np.float64) for name, x in (paths | places | {"dt": DT, "data": 0.0}).items()}

    def __call__(self, knobs: dict[str, Any]) -> jax.Array:
        """A number without symmetry, of the values alone: a grid that counts must have counted on the way."""
        case, state, system = self.case, self.case.start(), self.case.system()
        for path in PARAMETERS[case.interaction]:
            system = eqx.tree_at(lambda s, p=path: operator.attrgetter(p)(s.potential), system, knobs[path])
        for i in range(2 * case.dim):
            for part in ("start", "length"):
                leaf = partial(lambda s, i, part: getattr(s.grid.axes[i], part), i=i, part=part)
                state = eqx.tree_at(leaf, state, knobs[f"{part} {i}"])
        first = values(state)
        ramp = np.linspace(0.5, 1.5, first.size).reshape(first.shape)
        state = eqx.tree_at(values, state, first * (1 + knobs["data"] * ramp).astype(first.dtype))
        final = case.run(state, 5, system, dt=knobs["dt"], adjoint=self.adjoint, throw=False).final
        y = values(final)
        z = (y * y * y).real if jnp.iscomplexobj(y) else y * y
        return jnp.sum(np.sin(7 * ramp) * (1 + ramp) * z) / np.max(np.abs(first)) ** 2

    def ends(self, step: float) -> dict[str, np.ndarray]:
        """(2,) of central differences' two values for every knob: all in one program, a `vmap` over the parameters."""
        at, names = self.at, list(self.at)
        moved = [{**at, name: at[name] + sign * step} for name in names for sign in (1, -1)]
        out = jax.jit(jax.vmap(self))({name: np.stack([m[name] for m in moved]) for name in names})
        return dict(zip(names, np.asarray(out).reshape(-1, 2), strict=True))


@pytest.mark.parametrize(("case", "adjoint"), GRADIENTS, ids=str)
def test_gradients(case, adjoint):
    """The gradient in every parameter, dt, the grid and the data, through `vmap`, is the finite difference, and not
    zero. Catches a table made from a parameter at another value (gradient 0), a wrong transpose, and an adjoint that
    loses what comes through the loop or through the tables.

    Only the start of a position axis has the gradient 0: the equation is invariant under translations.
    """
    knobs = Knobs(case, adjoint)
    derivative = jax.jit(jax.grad(knobs))(knobs.at)
    derivative, ends = jax.tree.map(np.asarray, derivative), knobs.ends(1e-5)
    scale = max(abs(float(d)) for d in derivative.values())
    for name, pair in ends.items():
        difference = (pair[0] - pair[1]) / 2e-5
        np.testing.assert_allclose(derivative[name], difference, rtol=1e-6, atol=1e-9 * scale, err_msg=name)
        still = name in [f"start {i}" for i in range(case.dim)]
        assert (abs(derivative[name]) < 1e-9 * scale) if still else (abs(derivative[name]) > 1e-6 * scale), name


def rolled(case: GridCase, key: jax.Array):
    return eqx.tree_at(values, case.start(), jnp.roll(values(case.start()), jax.random.randint(key, (), 0, 16), 0))


@pytest.mark.parametrize("case", BITWISE[2:3], ids=str)
def test_replicas_equal_single_runs(case):
    """Replicas are the single runs to a few ulp. Catches a system that cannot be batched, and replicas that share their
    data."""
    init, key = jax.tree_util.Partial(rolled, case), jax.random.key(3)
    together = jk.ensemble(case.system(), init, key=key, replicas=3, num_steps=STEPS, dt=DT, batch=2)
    finals = np.asarray(values(together.final))
    for r in range(3):
        alone = case.run(init(jax.random.split(jax.random.fold_in(key, r))[0]), STEPS)
        np.testing.assert_allclose(finals[r], values(alone.final), rtol=1e-9, atol=1e-13)
        for name in ("boundary_mass", "spectral_tail_x", "spectral_tail_v"):
            np.testing.assert_allclose(together.stats[name][r], alone.stats[name], rtol=1e-6, atol=1e-15)
    assert not np.allclose(finals[0], finals[1], rtol=1e-3)
