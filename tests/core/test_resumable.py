"""Ensembles that are stored in parts: what is on disk is not computed again, and the result is bitwise the same."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk
from jaxkinetic._core import ensemble_in_parts

pytestmark = pytest.mark.newest

KAC = jk.landau.Kac(jk.landau.PowerLaw(-2.0, softening=0.3))
SAVE = jk.Save(every=3, observe={"M4": jk.diagnostics.moment}, state=True)


def initial(key):
    return jk.initial.bkw(key, 8, 3, beta=0.4)


def ensemble(path=None, **options):
    given = {"key": jax.random.key(11), "replicas": 7, "batch": 2, "dt": 0.01, "num_steps": 20, "save": SAVE, **options}
    return jk.ensemble(given.pop("system", KAC), given.pop("init", initial), path=path, **given)


def assert_same(a, b):
    for (place, x), (_, y) in zip(*map(jax.tree_util.tree_leaves_with_path, (a, b)), strict=True):
        if hasattr(x, "shape"):
            np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(place))


def parts(folder):
    return sorted(path for path in folder.iterdir() if path.name.startswith(("part-", "replica-")))


@pytest.mark.bitwise
@pytest.mark.parametrize("reduce", [None, jk.MeanVar()], ids=["None", "MeanVar"])
@pytest.mark.parametrize("way", ["batches", "one_by_one"])
def test_stopped_ensemble_continues(way, reduce, tmp_path, monkeypatch):
    """Half of the parts are missing, or all are there: the result is that of a call without a folder, and only what is missing
    is computed. Catches totals that begin anew, saves of finished parts that are lost, and replicas that are counted twice
    where the last part is not full."""
    given = {"reduce": reduce, **({"replicas": 2, "batch": 1} if way == "one_by_one" else {})}
    whole = ensemble(**given)
    assert_same(ensemble(tmp_path, **given), whole)
    files = parts(tmp_path)
    assert len(files) == (2 * 11 if way == "one_by_one" else 4)
    for file in files[len(files) // 2 :]:
        file.unlink()
    kept = {file: file.stat().st_mtime_ns for file in parts(tmp_path)}
    assert_same(ensemble(tmp_path, **given), whole)
    assert parts(tmp_path) == files
    assert all(file.stat().st_mtime_ns == before for file, before in kept.items())
    # Everything is on disk.
    monkeypatch.setattr(ensemble_in_parts.PartFiles, "save", None)
    assert_same(ensemble(tmp_path, **given), whole)


def test_another_ensemble_raises(tmp_path):
    """A folder of an ensemble with another key, system, start or size raises and says what differs. Catches parts of two
    ensembles in one result."""
    ensemble(tmp_path, num_steps=2)
    for options, what in (
        ({"key": jax.random.key(12)}, "of `key`, it is"),
        (
            {"system": jk.landau.Kac(jk.landau.PowerLaw(-1.0, softening=0.3))},
            "of `system`, its interaction.gamma is -1.0",
        ),
        ({"replicas": 8}, "of `replicas`, it is 8 instead of 7"),
        ({"num_steps": 3}, "of `num_steps`, it is 3 instead of 2"),
        ({"dt": 0.02}, "of `dt`, it is 0.02"),
        ({"batch": 3}, "of `batch`"),
        ({"init": lambda key: initial(key)}, "of `init`"),
        ({"scheme": jk.pairs.RandomMatching()}, "of `scheme`, it is RandomMatching instead of EulerMaruyama"),
    ):
        with pytest.raises(ValueError, match="must be a folder of this computation") as error:
            ensemble(tmp_path, **{"num_steps": 2, **options})
        assert what in str(error.value)


def test_errors(tmp_path):
    """Catches a folder that holds something else, a mesh, and a trace."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="`path` must be an empty folder, or one with parts of this computation, but"):
        ensemble(tmp_path / "own")
    with pytest.raises(ValueError, match="`path` must be left out on a mesh"):
        ensemble(tmp_path / "new", mesh=jax.make_mesh((1,), ("replica",)))
    with pytest.raises(ValueError, match="`path` must be left out in a traced function"):
        jax.grad(lambda dt: jnp.sum(ensemble(tmp_path / "new", dt=dt).observed["M4"]))(0.01)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`path` must be a folder that can be written"):
        ensemble(tmp_path / "file")
    assert not (tmp_path / "new").exists()


def test_failed_replica_is_not_stored(tmp_path):
    """Catches a part with a failure that every later call reads again."""
    start = jk.Particles(jnp.full((3, 3), 1e30) * jnp.arange(3.0)[:, None])
    with pytest.raises(jk.SimulationError):
        ensemble(tmp_path, init=start, system=jk.landau.Kac(jk.landau.Maxwell()), dt=1e30)
    assert parts(tmp_path) == []


def test_replicas_of_an_experiment():
    """What `jaxkinetic run` computes is `jk.ensemble` with the key of its seed. Catches another rule for the keys."""
    from jaxkinetic.experiments import CATALOGUE
    from jaxkinetic.experiments._harness.experiment import Watch
    from jaxkinetic.experiments._harness.replicas import Problem, run_replicas, save_steps

    options = CATALOGUE["conservation"](dt=0.01, steps=4, replicas=3, seed=5)
    observe = {"M4": jk.diagnostics.moment}
    runs = run_replicas(Problem(KAC, initial, observe), options, "x", Watch())
    save = jk.Save(steps=save_steps(4), observe=observe)
    own = ensemble(key=jax.random.key(5), replicas=3, batch=None, num_steps=4, save=save)
    np.testing.assert_array_equal(runs.observed["M4"], own.observed["M4"])


class Keyed(jk.EulerMaruyama):
    """A scheme of the user's that carries a JAX key."""

    def init(self, key, system, state, dt):
        return state, jax.random.key(7, impl="rbg")


@pytest.mark.parametrize("way", ["batches", "one_by_one"])
def test_keys_are_stored(way, tmp_path):
    """Catches a `TypeError` after the first part was computed, where a scheme carries a key or an observable gives one."""
    save = jk.Save(every=10, observe={"key": jk.Contextual(lambda context: context.key)})
    given = {"scheme": Keyed(), "save": save, "replicas": 2, "batch": 1 if way == "one_by_one" else 2}
    whole = ensemble(tmp_path, **given)
    again = ensemble(tmp_path, **given)
    for solution in (whole, again):
        assert solution.observed["key"].shape == (2, 3)
        assert str(jax.random.key_impl(solution.checkpoint.aux)) == "rbg"
    assert_same(*(jax.random.key_data(s.observed["key"]) for s in (whole, again)))


def test_objects_that_another_process_cannot_compare(tmp_path):
    """Catches a folder that only the process which made it can continue."""
    lock = threading.Lock()
    save = jk.Save(observe={"x": lambda state: jnp.sum(state.velocity) * (1 - lock.locked())})
    with pytest.raises(ValueError, match=r"in `save`, .* is an object of no content, lock; keep that out of it"):
        ensemble(tmp_path / "new", save=save)
    assert not (tmp_path / "new").exists()


def test_order_of_observables_and_places_of_parts(tmp_path, monkeypatch):
    """The same observables in another order are the same ensemble; a part under the name of another one is computed again.
    Catches finished parts that are thrown away without a word, and replicas in the wrong place."""
    observe = {"a": jk.diagnostics.moment, "b": jk.diagnostics.energy}
    whole = ensemble(tmp_path, save=jk.Save(every=10, observe=observe))
    first, second, *_ = parts(tmp_path)
    names = first.read_bytes(), second.read_bytes()
    first.write_bytes(names[1])
    second.write_bytes(names[0])
    assert_same(ensemble(tmp_path, save=jk.Save(every=10, observe=observe)).observed, whole.observed)
    monkeypatch.setattr(ensemble_in_parts.PartFiles, "save", None)
    reverse = dict(reversed(observe.items()))
    assert_same(ensemble(tmp_path, save=jk.Save(every=10, observe=reverse)).observed, whole.observed)
