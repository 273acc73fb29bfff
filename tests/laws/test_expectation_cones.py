"""How the derivatives of expectations of jump processes are computed: cones by brute force, blocks, times, modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import difference_z_scores, slow_but

import jaxkinetic as jk
from jaxkinetic.expectations._cones import cone_sums
from jaxkinetic.expectations._record import Given, RunFunction, replica_keys, run_replica
from jaxkinetic.expectations._sizes import sizes_of

B, P = jk.boltzmann, jk.pairs
KEY = jax.random.key(23)


def two_columns(state):
    v = state.velocity
    return jnp.stack([jnp.ones_like(v[:, 0]), v[:, 0] ** 2], 1)


def velocities(num, dtype=jnp.float64):
    return jnp.asarray(np.random.default_rng(0).normal(size=(num, 3)), dtype)


def reached(record, sizes, num):
    """For every candidate and every slot of the start, the slots that it can influence at each save: event by event."""
    plan = jax.tree.map(np.asarray, record.events.plan)
    saves = record.rows.shape[0]
    cones = np.zeros((*plan.wave.shape, saves, num), bool)
    start = np.zeros((num, saves, num), bool)
    now = np.eye(num, dtype=bool)  # Row: source; grows to its cone.
    sources = [("start", i) for i in range(num)]
    rows = list(now)

    def save(number):
        for source, row in zip(sources, rows, strict=True):
            (start[source[1]] if source[0] == "start" else cones[source])[number] = row

    if sizes.at_start:
        save(0)
    for segment in range(sizes.segments):
        for step in range(sizes.every):
            for k in range(plan.wave.shape[-1]):
                if plan.wave[segment, step, k] < 0:
                    continue
                i, j = plan.slots[segment, step, :, k]
                if plan.edge[segment, step, k]:
                    for row in rows:
                        if row[i] or row[j]:
                            row[i] = row[j] = True
                own = np.zeros(num, bool)
                own[[i, j]] = True
                sources.append((segment, step, k))
                rows.append(own)
        save(segment + int(sizes.at_start))
    return cones, start


CASES = {
    "maxwell": (lambda n: B.KacWalk(B.Maxwell(), float(n), 0.4), 0.3, False),
    "hard spheres": (lambda n: B.KacWalk(B.HardSphere(), float(n), 0.4), 0.08, False),
    "leap": (lambda n: B.KacWalk(B.HardSphere(), float(n), 0.4), 0.1, True),
}


@pytest.mark.parametrize("case", list(CASES))
def test_cones_by_brute_force(case):
    """Sums over forward cones at three saves equal those of a search event by event, with one and with two words of bits, to
    round-off; the hard spheres' graph has cycles, the Maxwell walk's virtual candidates are no edges. Catches a cone that
    omits the partner's, that counts a particle twice, or that begins at the wrong save."""
    make, dt, leaps = CASES[case]
    num, system = 40, make(40)
    start = jk.Particles(velocities(num))
    given = Given(system, start, two_columns, RunFunction(None, (2,)))
    dt = jnp.asarray(dt)
    sizes = sizes_of(given, start, dt, KEY, 1, 4, 2, leaps, 1.5, None)
    record = run_replica(given, dt, replica_keys(KEY, 0), sizes, keep=True)
    cones, start_cones = reached(record, sizes, num)
    values = np.concatenate([record.rows, np.ones((*record.rows.shape[:2], 1))], -1)
    valid = np.asarray(record.events.plan.wave) >= 0
    sizes_of_cones = cones.sum(-1)[valid]
    assert valid.sum() > 20
    assert 2 < sizes_of_cones[..., -1].max() <= num
    for words in (1, 2):
        sums = cone_sums(record, sizes, words, None, KEY)
        expected = np.einsum("abkti,tim->abktm", cones, values)
        np.testing.assert_allclose(np.asarray(sums.events)[valid], expected[valid], atol=1e-12)
        np.testing.assert_allclose(sums.start, np.einsum("nti,tim->ntm", start_cones, values), atol=1e-12)


def gradient(walk, start, key=KEY, replicas=8, dt=0.25, num_steps=4, **options):
    return jk.expectation(
        walk, start, two_columns, key=key, replicas=replicas, dt=dt, num_steps=num_steps, gradient=True, **options
    )


def by_name(mean):
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(mean.gradient)}


@pytest.mark.parametrize("sphere", slow_but([], [False, True]))
def test_modes_agree(sphere):
    """Reverse mode, forward mode, `gradient=True`, `jit` and `vmap` give one number, to round-off. Catches a mode that drops a
    part of the derivative."""
    cross_section = B.HardSphere if sphere else B.Maxwell
    start = jk.Particles(velocities(6))
    mean = gradient(B.KacWalk(cross_section(), 6.0, 0.4), start)
    found = by_name(mean)

    def energy(alpha, strength):
        return jk.expectation(
            B.KacWalk(cross_section(strength), 6.0, alpha), start, two_columns, key=KEY, replicas=8, dt=0.25, num_steps=4,
            max_candidates=64,
        ).value[1]  # fmt: skip

    one, at = jnp.ones(()), (jnp.asarray(0.4), jnp.asarray(1.0))
    expected = [found[".annihilation"][1], found[".cross_section.strength"][1]]
    fixed = jax.grad(energy, (0, 1))(*at)
    np.testing.assert_allclose(jax.jit(jax.grad(energy, (0, 1)))(*at), fixed, rtol=1e-10)
    np.testing.assert_allclose(
        [jax.jvp(energy, at, (one, 0 * one))[1], jax.jvp(energy, at, (0 * one, one))[1]], fixed, rtol=1e-10
    )
    both = jax.vmap(jax.grad(energy, (0, 1)), in_axes=(0, None))(jnp.asarray([0.4, 0.4]), at[1])
    np.testing.assert_allclose(np.stack(both)[:, 1], np.stack(fixed), rtol=1e-10)
    np.testing.assert_allclose(fixed, expected, rtol=1e-10)
    assert np.all(np.abs(expected) > 0)


@pytest.mark.slow
def test_several_times():
    """`every=2` over four steps equals the separate runs of 2 and 4 steps with the same key; at step 0 the derivative is 0; one
    batch at a time gives the same. Catches a score of an event after a save."""
    start, walk = jk.Particles(velocities(6)), B.KacWalk(B.Maxwell(), 6.0, 0.4)
    mean = gradient(walk, start, every=2)
    found = by_name(mean)
    batched = by_name(gradient(walk, start, every=2, batch=3))
    np.testing.assert_allclose(mean.times, [0, 0.5, 1])
    np.testing.assert_allclose(mean.value[0], jnp.sum(two_columns(start), 0))
    for name, value in found.items():
        np.testing.assert_array_equal(value[0], 0)
        np.testing.assert_allclose(batched[name], value, rtol=1e-10)
    assert np.abs(found[".annihilation"][1]).min() > 0
    for place, steps in ((1, 2), (2, 4)):
        alone = gradient(walk, start, num_steps=steps)
        np.testing.assert_allclose(mean.value[place], alone.value, rtol=1e-12)


@pytest.mark.slow
def test_estimators_agree():
    """Hard spheres, N = 64, cones with cycles: cones, cones of one random block of 32 particles, and the global score have one
    mean; block sizes give identical derivatives. Catches a weight of the blocks that is not their number over those used."""
    walk, start = B.KacWalk(B.HardSphere(), 64.0, 0.4), jk.Particles(velocities(64))
    choose = dict(replicas=600, dt=0.1, num_steps=2)

    def runs(key, **options):
        mean = jk.expectation(
            walk, start, two_columns, key=jax.random.key(key), gradient=lambda w: w.annihilation, **choose, **options
        )
        return np.asarray(mean.gradient_samples)

    cone = runs(1)
    np.testing.assert_allclose(runs(1, block=32), cone, rtol=1e-9, atol=1e-9)
    part, whole = runs(2, block=32, num_blocks=1), runs(3, estimator="global")
    z = difference_z_scores(cone, part), difference_z_scores(cone, whole)
    assert np.abs(z).max() < 3
    assert (cone.std(0) < whole.std(0)).all()
