"""Progress bars: the result is that without a bar, to the bit, and the bar counts what was done."""

import sys

import jax
import numpy as np
import pytest
from helpers import assert_argument_error, particles

import jaxkinetic as jk

KEY = jax.random.key(0)
KAC = jk.landau.Kac(jk.landau.Maxwell())
AXES = jk.Axis(0.0, 2 * np.pi, 8), jk.Axis(-6.0, 12.0, 16, periodic=False)


def start():
    return particles(jax.random.key(1), 6, 3)


def assert_same_bits(one, two):
    """Every array of two solutions, statistics and checkpoints included."""
    first, second = (jax.tree_util.tree_leaves_with_path(jax.tree.map(np.asarray, tree)) for tree in (one, two))
    assert len(first) == len(second)
    for (path, a), (_, b) in zip(first, second, strict=True):
        assert a.shape == b.shape, path
        assert a.dtype == b.dtype, path
        assert a.tobytes() == b.tobytes(), path


def shown(text):
    """The last count of a bar, as "23/23"."""
    return text.rstrip().rpartition("\r")[2]


def walk():
    system = jk.boltzmann.KacWalk(jk.boltzmann.HardSphere(), 6.0)
    return system, start(), {"key": KEY, "dt": 0.05, "num_steps": 7}, jk.Save(every=2, state=True)


def vlasov():
    f = jk.vlasov.perturbed(jk.vlasov.Maxwellian(length=2 * np.pi), jk.Grid(*AXES), 0.1)
    observe = {"M": jk.vlasov.magnetisation}
    return (
        jk.vlasov.Vlasov(jk.vlasov.Cosine()),
        f,
        {"dt": 0.05, "num_steps": 230},
        jk.Save(steps=(0, 100), observe=observe),
    )


def diffusion():
    return KAC, start(), {"key": KEY, "dt": 0.01, "num_steps": 230}, jk.Save(observe={"e": jk.diagnostics.energy})


@pytest.mark.bitwise
@pytest.mark.parametrize("case", [walk, vlasov, diffusion])
def test_a_bar_changes_no_bit(case, capsys):
    """Times, observed values, states, statistics and checkpoint are those without a bar. Catches totals that each part begins
    anew, saves that are lost or doubled at the border of two parts, and a part that starts from the wrong step."""
    system, state, options, save = case()
    plain = jk.simulate(system, state, save=save, **options)
    assert capsys.readouterr().err == ""
    watched = jk.simulate(system, state, save=save, progress=True, **options)
    assert f"{options['num_steps']}/{options['num_steps']}" in shown(capsys.readouterr().err)
    assert_same_bits(plain, watched)


@pytest.mark.bitwise
def test_a_bar_on_a_continued_run(capsys):
    """A continuation with a bar is the one without, with or without saves. Catches a save of the step that it starts from."""
    half = jk.simulate(KAC, start(), key=KEY, dt=0.01, num_steps=4)
    for save in (jk.Save(), jk.Save(every=100), jk.Save(every=2, state=True)):
        plain = jk.simulate(KAC, half.checkpoint, num_steps=5, save=save)
        assert_same_bits(plain, jk.simulate(KAC, half.checkpoint, num_steps=5, save=save, progress=True))
    assert "5/5" in shown(capsys.readouterr().err)


def test_a_bar_reports_failures():
    """The first bad step is that of the whole run. Catches a result that is forgotten in the next part, and a step that is
    counted from the start of a part."""
    state = jk.Particles(np.full((3, 1), 1e307), np.zeros((3, 1)))
    options = {"dt": 10.0, "num_steps": 9, "throw": False}
    system = jk.vlasov.NBody(jk.vlasov.Harmonic())
    plain, watched = (jk.simulate(system, state, progress=bar, **options) for bar in (False, True))
    assert not bool(plain.result.ok)
    assert int(watched.result.step) == int(plain.result.step)
    assert int(watched.result.code) == int(plain.result.code)


def draw(key):
    return particles(key, 6, 3)


@pytest.mark.bitwise
@pytest.mark.parametrize("reduce", [None, jk.MeanVar()])
def test_a_bar_of_replicas(reduce, capsys):
    """An ensemble with a bar is the one without; the bar ends at the number of replicas, places that are idle in the last batch
    not counted. Catches a bar that counts batches, or places."""
    options = {"key": KEY, "replicas": 5, "batch": 2, "dt": 0.01, "num_steps": 3, "reduce": reduce}
    save = jk.Save(observe={"e": jk.diagnostics.energy})
    plain = jk.ensemble(KAC, draw, save=save, **options)
    assert capsys.readouterr().err == ""
    watched = jk.ensemble(KAC, draw, save=save, progress=True, **options)
    assert "5/5" in shown(capsys.readouterr().err)
    assert_same_bits(plain, watched)


def test_bars_in_traced_functions_raise(monkeypatch):
    """Catches a bar that appears while tracing and never moves, one that is asked for by a number, and a raw `ImportError`
    where tqdm is missing."""
    run = {"key": KEY, "dt": 0.01, "num_steps": 2, "progress": True}
    one = lambda dt: jk.simulate(KAC, start(), **(run | {"dt": dt})).final.velocity.sum()  # noqa: E731
    many = lambda dt: jk.ensemble(KAC, start(), replicas=2, **(run | {"dt": dt})).final  # noqa: E731
    outside = "`progress` must be False in a traced function"
    assert_argument_error(jax.jit(lambda: one(0.1)), outside)
    end = jk.simulate(KAC, start(), **(run | {"progress": False})).checkpoint
    assert_argument_error(jax.jit(lambda: jk.simulate(KAC, end, num_steps=1, progress=True).final), outside)
    assert_argument_error(lambda: jax.grad(one)(0.1), outside)
    assert_argument_error(lambda: jax.jit(many)(0.1), outside)
    assert_argument_error(
        lambda: jk.simulate(KAC, start(), **(run | {"progress": 1})), "`progress` must be True or False"
    )
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    for call in (
        lambda: jk.simulate(KAC, start(), **run),
        lambda: jk.ensemble(KAC, start(), replicas=2, **run),
        lambda: jk.iterate(KAC, start(), chunk=1, **run),
    ):
        assert_argument_error(call, "`progress` must be False without tqdm, .*`pip install tqdm`")
    assert jk.simulate(KAC, start(), **(run | {"progress": False})).result.ok
