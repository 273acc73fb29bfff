"""The table of gradients (docs/gradients.md) against reality: every (system, scheme, leaf) of `gradient_rows`.

A derivative that the table promises is the finite difference, and not zero; what it calls zero is zero; what it says raises,
raises.
"""

import operator
import os

import equinox as eqx
import gradient_table
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from case import KEY, real_parts
from gradient_rows import concrete_classes, name_of, rows

import jaxkinetic as jk

STEPS, REPLICAS = 3, 4096
FAST = {
    "Kac(PowerLaw), EulerMaruyama", "Kac(PowerLaw), Sweep", "Kac(Maxwell), RandomMatching",
    "MatrixSqrt(Trigonometric), EulerMaruyama", "TorusPDE(Trigonometric), RKC", "IsotropicPDE(PowerLaw), RungeKutta",
    "IsotropicPDE(HardSphere), RKC",
    "KacWalk(Maxwell), TauLeap",
    "Vlasov(Poisson), Strang", "NBody(Gaussian), Yoshida",
    "NBody(Poisson), Leapfrog",
}  # fmt: skip
# One row of each cross section and of each law of microcanonical collisions.
SLOW = {
    "KacWalk(Maxwell), ExactClock", "KacWalk(HardSphere), ExactClock", "KacWalk(VariableHardSphere), ExactClock",
    'Microcanonical(Maxwell, "heat_kernel"), ExactClock', 'Microcanonical(PowerLaw, "constant_rate"), ExactClock',
    'Microcanonical(PowerLaw, "fixed_angle"), ExactClock',
}  # fmt: skip
NAMED = {row.name: row for row in rows()}
assert set(NAMED) >= SLOW


def marks_of(row):
    """The slow suite takes `SLOW`. The others run if JAXKINETIC_EVERY_ROW is set (15 minutes): the derivatives along paths are
    those of `test_contract.py`, and the two schemes of jumps share all but the draw of the pairs."""
    if row.name in FAST:
        return []
    if os.environ.get("JAXKINETIC_EVERY_ROW") or row.name in SLOW:
        return [pytest.mark.slow]
    return [pytest.mark.slow, pytest.mark.skip(reason="set JAXKINETIC_EVERY_ROW")]


over_rows = pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(row)) for name, row in NAMED.items()])


class Moved:
    """A row whose leaves depend on numbers theta: leaf + theta_k leaf, or + theta_k where the leaf is 0."""

    def __init__(self, row, names):
        self.row, self.names = row, names

    def __call__(self, theta):
        both = {"": self.row.system, "state": self.row.state}
        for k, name in enumerate(self.names):
            which = "state" if name.startswith("state.") else ""
            leaf = operator.attrgetter(name.removeprefix("state."))
            value = np.asarray(leaf(both[which]))
            direction = value if value.any() else np.ones_like(value)
            both[which] = eqx.tree_at(leaf, both[which], value + theta[k].astype(value.dtype) * jnp.asarray(direction))
        return both[""], both["state"]

    def simulated(self, theta):
        """A number that depends on every value of the last state."""
        row = self.row
        system, state = self(theta)
        key = {"key": KEY} if row.scheme.needs_key else {}
        final = jk.simulate(system, state, scheme=row.scheme, dt=row.dt, num_steps=STEPS, throw=False, **key).final
        if isinstance(final, jk.Particles):
            parts = [jnp.where(final.alive[:, None], final.velocity, 0)]
            parts += [] if final.position is None else [final.position]
        else:
            parts = real_parts(final.alpha if isinstance(final, jk.Wave) else final.f)
        return sum(jnp.vdot(jnp.cos(1 + jnp.arange(part.size)), part.reshape(-1)) for part in parts)

    def samples(self, theta):
        """(R,), a sum over particles in every replica, in expectation."""
        row = self.row
        return jk.expectation(
            *self(theta), _of_particle, key=KEY, replicas=REPLICAS, dt=row.dt, num_steps=STEPS, scheme=row.scheme,
            max_candidates=32,
        ).runs  # fmt: skip


def _of_particle(state):
    return 1 + state.velocity[:, -1] ** 2


@over_rows
def test_entries(name):
    """Catches an entry that promises a derivative where it is 0 or biased, that calls a parameter harmless, and that is not
    the one of the page."""
    row = NAMED[name]
    kinds = jk.gradient_kinds(row.system, row.state, row.scheme)
    assert {leaf: kind._asdict() for leaf, kind in kinds.items()} == gradient_table.read()[name]["leaves"]
    raising = [leaf for leaf, kind in kinds.items() if kind.kind == "raises"]
    for leaf in raising:
        with pytest.raises(ValueError, match="; ") as error:
            jax.eval_shape(jax.grad(lambda x, leaf=leaf: Moved(row, [leaf]).simulated(x[None])), 0.0)
        assert kinds[leaf].reason[1:] in str(error.value)
        assert kinds[leaf].instead in str(error.value)
    (_of_jumps if row.jumps else _of_paths)(row, {leaf: k.kind for leaf, k in kinds.items() if k.kind != "raises"})


def _of_paths(row, kinds):
    assert set(kinds.values()) <= {"pathwise", "zero"}
    if not kinds:
        return
    moved, step = Moved(row, list(kinds)), 1e-5
    directions = np.eye(len(kinds))
    thetas = np.concatenate([0 * directions, step * directions, -step * directions])

    @jax.jit
    def derivatives(thetas, directions):
        return jax.lax.map(lambda x: jax.jvp(moved.simulated, x[:1], x[1:]), (thetas, directions))

    values, slopes = derivatives(thetas, np.tile(directions, (3, 1)))
    own, up, down = np.split(np.asarray(values), 3)
    expected = (up - down) / (2 * step)
    scale = np.abs(own[0])
    for k, (leaf, kind) in enumerate(kinds.items()):
        if kind == "zero":
            assert slopes[k] == 0, leaf
            assert up[k] == down[k] == own[k], leaf
        else:
            np.testing.assert_allclose(slopes[k], expected[k], rtol=1e-5, atol=1e-9 * scale, err_msg=leaf)
            assert abs(slopes[k]) > 1e-6 * scale, leaf


def _of_jumps(row, kinds):
    for leaf, kind in kinds.items():
        _simulate_raises_for_scores(row, leaf, kind)
        if not leaf.startswith("state."):
            _parts_of_a_jump(row, leaf, kind)
    for leaf in [leaf for leaf, kind in kinds.items() if kind == "infinite"]:
        with pytest.raises(ValueError, match="probability of exactly 0 or 1"):
            jax.jacfwd(Moved(row, [leaf]).samples)(np.zeros(1))
    kinds = {leaf: kind for leaf, kind in kinds.items() if kind != "infinite"}
    moved = Moved(row, list(kinds))
    zero = np.zeros(len(kinds))
    gradients = np.asarray(jax.jacfwd(moved.samples)(zero))
    assert gradients.shape == (REPLICAS, len(kinds))
    for k, (leaf, kind) in enumerate(kinds.items()):
        gradient = gradients[:, k]
        step = 1e-6 if kind in ("pathwise", "zero") else 0.05
        ends = [np.asarray(moved.samples(zero + sign * step * np.eye(len(kinds))[k])) for sign in (1, -1)]
        differences = (ends[0] - ends[1]) / (2 * step)
        mean, expected = gradient.mean(), differences.mean()
        if kind == "zero":
            assert not gradient.any(), leaf
            assert not differences.any(), leaf
        elif kind == "pathwise":
            # In a few replicas a pair crosses a kink (of the floor, of the cap of the angle), or the frame in which its axis is
            # drawn changes, which the law does not feel.
            same = np.isclose(gradient, differences, rtol=1e-4, atol=1e-5 * np.std(gradient))
            assert same.mean() > 0.99, leaf
            assert abs(mean) > 1e-3, leaf
        else:
            errors = [np.std(x, ddof=1) / REPLICAS**0.5 for x in (gradient, differences)]
            assert abs(mean - expected) < 4 * np.hypot(*errors), (leaf, mean, expected, errors)
            # In epsilon the score and the path nearly cancel: the limit does not depend on it. `_parts_of_a_jump` sees both.
            assert leaf == "epsilon" or abs(mean) > 3 * errors[0], (leaf, mean, errors)


def _simulate_raises_for_scores(row, leaf, kind):
    """A derivative that `simulate` cannot give raises there, and only such a one."""

    def traced():
        return jax.eval_shape(
            lambda x: jax.jvp(lambda x: Moved(row, [leaf]).simulated(x[None]), (x,), (jnp.ones_like(x),)), 0.0
        )

    if kind in ("pathwise", "zero"):
        traced()
    else:
        with pytest.raises(ValueError, match=r"jk\.expectation"):
            traced()


def _parts_of_a_jump(row, leaf, kind):
    """Without derivatives: "pathwise" moves where particles go after a jump, and a score changes the rate of a pair or the
    outcome of a decision. Catches "both" where one part is enough, which no sum of the two shows."""
    keys = jax.random.split(jax.random.key(5), 2 + row.system.num_words(row.state.dim))
    num = 400
    v, w = (tuple(jax.random.normal(key, (row.state.dim, num))) for key in keys[:2])
    words = tuple(jax.random.bits(key, (num,), jnp.uint32) for key in keys[2:])
    outcomes = []
    for theta in (0.0, 0.02):
        system = Moved(row, [leaf])(jnp.asarray([theta]))[0]
        v_after, w_after, v_lives, _ = system.jump(words, v, w)
        rate = jnp.broadcast_to(system.clock(jnp.asarray(7.0)) * system.rate(v, w), (num,))
        outcomes.append((np.asarray([*v_after, *w_after]), np.asarray(v_lives), np.asarray(rate)))
    (before, lives, rate), (after, lives_after, rate_after) = outcomes
    same = lives & lives_after
    moves = not np.allclose(before[:, same], after[:, same], rtol=1e-12, atol=1e-14)
    decides = not np.allclose(rate, rate_after, rtol=1e-12) or not np.array_equal(lives, lives_after)
    found = {(True, False): "pathwise", (False, True): "score", (True, True): "both", (False, False): "zero"}
    assert found[moves, decides] == ("score" if kind == "infinite" else kind), leaf


def test_every_class_has_a_row():
    """Catches a new system, scheme, interaction, cross section or potential that the table does not know."""
    named = {type(x) for row in rows() for x in (row.system, row.scheme)}
    for part in ("interaction", "cross_section", "potential"):
        named |= {type(getattr(row.system, part)) for row in rows() if hasattr(row.system, part)}
    bases = (
        jk.AbstractDiffusion, jk.AbstractPairFlow, jk.AbstractPairJump, jk.AbstractField, jk.AbstractSplit,
        jk.AbstractScheme, jk.landau.AbstractInteraction, jk.boltzmann.AbstractCrossSection, jk.vlasov.AbstractPotential,
    )  # fmt: skip
    assert set().union(*(concrete_classes(base) for base in bases)) == named


def test_declared_gradients():
    """A scheme declares "score" exactly if a system has such a derivative in its rows. Catches a class attribute that is
    wrong."""
    found = {}
    for entry in gradient_table.read().values():
        kinds = {leaf["kind"] for leaf in entry["leaves"].values()}
        found[entry["scheme"]] = found.get(entry["scheme"], False) or bool(kinds & {"score", "both"})
    for row in rows():
        declared = row.scheme.gradients
        assert ("score" in declared) == found[type(row.scheme).__name__], row.name
        assert "pathwise" in declared


def test_systems_of_a_user():
    """`gradient_kinds` of a jump that was not written here: the leaf of the map is pathwise, that of the probability a score,
    one that is not used zero. Catches an answer that is a list of the library's names."""
    system = jk.boltzmann.KacWalk(Tilted(0.3, 1.0), 5.0, 0.25)
    kinds = {name: kind.kind for name, kind in jk.gradient_kinds(system, rows()[0].state).items()}
    assert kinds == {
        "cross_section.stretch": "pathwise",
        "cross_section.unused": "zero",
        "volume": "score",
        "annihilation": "score",
        "state.velocity": "pathwise",
    }
    assert name_of(system) == "KacWalk(Tilted)"


class Tilted(jk.boltzmann.AbstractCrossSection):
    """A constant rate; z changes its sign and its length."""

    stretch: jax.Array = eqx.field(converter=jnp.asarray)
    unused: jax.Array = eqx.field(converter=jnp.asarray)
    bounded = True
    constant = True

    def sigma(self, r2):
        return jnp.ones_like(r2)

    def bound(self, r_max):
        return jnp.ones_like(r_max)

    def num_words(self, dim):
        return 0

    def scatter(self, words, z):
        return tuple(-self.stretch.astype(c.dtype) * c for c in z)


def test_wrong_scheme_raises():
    """Catches a table for a scheme that cannot advance the system."""
    row = NAMED["Kac(PowerLaw), Sweep"]
    with pytest.raises(ValueError, match="Argument `scheme` must be one that Kac supports"):
        jk.gradient_kinds(row.system, row.state, jk.Leapfrog())
