"""What a command may replace: its own results of the same parameters, and nothing else unless `--force` says so."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxkinetic._io.fingerprint import fingerprint
from jaxkinetic._io.lock import folder_lock
from jaxkinetic._io.part_files import open_parts
from jaxkinetic.experiments import Report, cli
from jaxkinetic.experiments._harness.experiment import Headline
from jaxkinetic.experiments._harness.partial import Partial
from jaxkinetic.experiments._harness.report import Estimate, Series
from jaxkinetic.experiments._harness.run import identity


@pytest.fixture(autouse=True)
def runs(monkeypatch):
    """`conservation` computes nothing; the seeds of its runs."""
    seeds = []

    class Quick(cli.CATALOGUE["conservation"]):
        headline = Headline("energy_drift", "energy drift")

        def run(self, watch):
            seeds.append(self.seed)
            numbers = {"energy_drift": Estimate(float(self.seed), 0.1)}
            return Report(numbers, (Series("times", "t", np.arange(2.0)),), ("one line",), (lambda ax: None,), "x")

    monkeypatch.setitem(cli.CATALOGUE, "conservation", Quick)
    return seeds


def call(folder, *more):
    return cli.main(
        [*(more if more and more[0] in ("run", "sweep") else ("run", "conservation", *more)), "--out", str(folder)]
    )


def unfinished(folder, **options):
    """Two finished parts of a run that was stopped."""
    experiment = cli.CATALOGUE["conservation"]
    partial = Partial(folder, identity(experiment.of(options), 32))
    partial.begin()
    for part in range(2):
        parts_of(partial).save(f"part-{part:05d}", [np.arange(3.0)])
    return partial


def parts_of(partial):
    return open_parts("path", partial.path("x"), {"run": fingerprint(partial.header)})


def test_results_of_other_parameters_are_kept(tmp_path, capsys, runs):
    """Another seed raises and names it, `--force` replaces, the same parameters replace. Catches a long run that a short one
    replaced."""
    assert call(tmp_path, "--seed", "3") == 0
    assert call(tmp_path, "--seed", "4") == 2
    error = capsys.readouterr().err
    assert "Argument `--out` must be a new folder, or one whose result has the same parameters, but" in error
    assert "holds a result: its `seed` is 3, not 4; pass another folder, or --force to replace it." in error
    assert json.loads((tmp_path / "result.json").read_text())["seed"] == 3
    assert call(tmp_path, "--seed", "3") == 0
    assert call(tmp_path, "--precision", "64", "--seed", "3") == 2
    assert call(tmp_path, "--seed", "4", "--force") == 0
    assert json.loads((tmp_path / "result.json").read_text())["seed"] == 4
    assert runs == [3, 3, 4]


@pytest.mark.parametrize("name", ["result.json", "result.npz", "figure.png"])
def test_files_of_the_users_own_are_kept(name, tmp_path, capsys, runs):
    """A file that is called like a result and is none. Catches a figure of the user's that is overwritten."""
    (tmp_path / name).write_text('{"mine": 1}')
    assert call(tmp_path) == 2
    assert f"but {name} in '{tmp_path}' is not a result of this program; pass another folder" in capsys.readouterr().err
    assert (tmp_path / name).read_text() == '{"mine": 1}'
    assert call(tmp_path, "--force") == 0
    assert runs == [0]


@pytest.mark.parametrize("content", ["file", "link", "run.npz"])
def test_partial_of_the_users_own_is_kept(content, tmp_path, capsys, runs):
    """A folder `partial` without the mark of this program, or a link: not with `--force` either. Catches a user's folder that
    is removed because of its name."""
    out, own = tmp_path / "out", tmp_path / "own"
    out.mkdir()
    own.mkdir()
    if content == "link":
        unfinished(own)
        (out / "partial").symlink_to(own / "partial")
        kept = own / "partial" / "run.npz"
    else:
        (out / "partial").mkdir()
        kept = out / "partial" / ("notes.txt" if content == "file" else "run.npz")
        kept.write_bytes(b"mine")
    before = kept.read_bytes()
    for more in ([], ["--force"]):
        assert call(out, *more) == 2
        assert "`--out` must be a folder whose `partial` is written by this program, but" in capsys.readouterr().err
    assert call(out, "sweep", "conservation", "--over", "seed=1,2") == 0
    assert kept.read_bytes() == before
    assert runs == [1, 2]


def test_file_in_our_partial_is_kept(tmp_path, runs):
    """A note of the user's among the parts. Catches a folder that is removed with all that is in it."""
    partial = unfinished(tmp_path)
    for path in (
        partial.folder / "notes.txt",
        partial.folder / "x" / "notes.txt",
        partial.folder / "y" / "part-00000.npz",
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert call(tmp_path, "--force") == 0
    left = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "partial").rglob("*") if path.is_file())
    assert left == ["partial/notes.txt", "partial/x/notes.txt", "partial/y/part-00000.npz"]


def test_finished_parts_are_kept(tmp_path, capsys, runs):
    """A stopped run without `--resume` raises; the parts are discarded by `--force`, read by `--resume`. Catches hours of work
    that a forgotten option erases."""
    partial = unfinished(tmp_path)
    assert call(tmp_path) == 2
    error = capsys.readouterr().err
    assert "`--out` must be a folder without an unfinished run, but" in error
    assert (
        "finished parts of this run; pass --resume to continue it, another folder, or --force to discard them" in error
    )
    assert call(tmp_path, "--seed", "4") == 2
    assert "parts of another run (its `seed` is 0, not 4); pass another folder, or --force" in capsys.readouterr().err
    np.testing.assert_array_equal(parts_of(partial).load("part-00001")[0], np.arange(3.0))
    assert call(tmp_path, "--resume", "--force") == 2
    assert "not allowed with argument" in capsys.readouterr().err
    assert call(tmp_path, "--resume") == 0
    assert json.loads((tmp_path / "result.json").read_text())["resumed"] is True
    unfinished(tmp_path, seed=5)
    assert call(tmp_path, "--force") == 0
    assert not (tmp_path / "partial").exists()
    # Stopped before its first part: nothing is lost.
    Partial(tmp_path, {"seed": 9}).begin()
    assert call(tmp_path) == 0


def test_parts_of_an_older_version(tmp_path, capsys, runs):
    """Parts as version 0.1 left them beside a valid `run.npz`: they count as finished, and `--force` removes them. Catches
    hours of work that a new version erases without a word, and a folder that no command can use again."""
    partial = Partial(tmp_path, {"seed": 9})
    partial.begin()
    (partial.folder / "x-00000.npz").write_bytes(b"ours")
    (partial.folder / "y-00001").mkdir()
    (partial.folder / "y-00001" / "chunk-000000000004.npz").write_bytes(b"ours")
    assert call(tmp_path) == 2
    assert "`--out` must be a folder without an unfinished run, but" in capsys.readouterr().err
    assert call(tmp_path, "--force") == 0
    assert not partial.folder.exists()


def test_part_of_another_run_is_not_read(tmp_path):
    """A part that was copied from another run. Catches two runs in one result."""
    mine, other = (unfinished(tmp_path / name, seed=seed).path("x") for name, seed in (("a", 0), ("b", 1)))
    (other / "part-00000.npz").replace(mine / "part-00000.npz")
    parts = parts_of(Partial(tmp_path / "a", unfinished(tmp_path / "c").header))
    assert parts.load("part-00000") is None
    assert parts.load("part-00001") is not None


def test_sweep_keeps_other_results(tmp_path, capsys, runs):
    """A sweep of other options, into the folder of a run, or beside parts of another run raises before anything is computed;
    one with further values goes on. Catches a summary that replaces another one."""
    sweep = ("sweep", "conservation", "--particles", "10")
    assert call(tmp_path / "s", *sweep, "--over", "seed=1,2") == 0
    assert call(tmp_path / "s", *sweep, "--over", "seed=1,2,3") == 0
    assert runs == [1, 2, 3]
    for over in ("seed=1,2", "seed=7,8", "steps=20,30"):
        assert call(tmp_path / "s", *sweep, "--over", over) == 2
        assert "`--out` must be a new folder, or one whose result has the same parameters" in capsys.readouterr().err
    assert call(tmp_path / "s", "sweep", "conservation", "--particles", "12", "--over", "seed=4,5") == 2
    assert call(tmp_path / "s", "--particles", "10") == 2
    assert call(tmp_path / "r") == 0
    assert call(tmp_path / "r", *sweep, "--over", "seed=1,2") == 2
    unfinished(tmp_path / "t" / "seed=2", particles=99)
    assert call(tmp_path / "t", *sweep, "--over", "seed=1,2") == 2
    assert "finished parts of another run" in capsys.readouterr().err
    assert runs == [1, 2, 3, 0]
    assert call(tmp_path / "t", *sweep, "--over", "seed=1,2", "--force") == 0
    assert call(tmp_path / "s", *sweep, "--over", "seed=7,8", "--force") == 0


def test_two_commands_do_not_share_a_folder(tmp_path, capsys, runs):
    """The second one raises, naming the owner, and changes nothing. Catches a result that names the seed of the other one."""
    with folder_lock("--out", tmp_path):
        for command in (["run", "conservation"], ["sweep", "conservation", "--over", "seed=1,2"]):
            assert call(tmp_path, *command) == 2
            assert "`--out` must be a folder that no other run writes to, but" in capsys.readouterr().err
    assert runs == []
    assert call(tmp_path) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figure.png", "result.json", "result.npz"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["run", "conservation", "--particle", "100"],
            "Argument `--particle` must be an option of this command, but is not one; see `jaxkinetic run --help`. Did you "
            "mean `--particles`?",
        ),
        (["run", "conservation", "--see=3"], "Argument `--see` must be an option of this command, but is not one"),
        (["run", "conservation", "--res"], "Argument `--res` must be an option of this command"),
        (["run", "conservation", "--step", "3"], "Did you mean `--steps`?"),
        (["run", "conservation", "--no-compilation", "--prec", "64"], "Did you mean `--no-compilation-cache`?"),
        (["run", "conservaton"], "see `jaxkinetic list`. Did you mean `conservation`?"),
        (["rnu", "conservation"], "Did you mean `run`?"),
        (["sweep", "conservation", "--ove", "seed=1,2"], "The following arguments are required: --over"),
        (["sweep", "conservation", "--over", "particle=10,20"], "Did you mean `particles`?"),
        (["run", "conservation", "--resume", "--forc"], "Did you mean `--force`?"),
        (["--versio"], "The following arguments are required: COMMAND"),
        (["run", "conservation", "--scheme", "euler-maruyma"], "Did you mean `euler-maruyama`?"),
    ],
)
def test_no_abbreviations(arguments, sentence, tmp_path, monkeypatch, capsys, runs):
    """A typo runs nothing, and the sentence names what was meant. Catches the beginning of an option that is taken for it."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert sentence in capsys.readouterr().err
    assert runs == []
    assert not list(tmp_path.iterdir())


def test_precision_of_several_commands(tmp_path, monkeypatch):
    """In one process each command computes with its own precision, and the settings of JAX are afterwards as before. Catches a
    run in float32 that follows one in float64 and computes as that, and a cache that stays off."""
    seen = []
    quick = cli.CATALOGUE["conservation"].run

    def run(self, watch):
        seen.append(str(jnp.zeros(()).dtype))
        return quick(self, watch)

    monkeypatch.setattr(cli.CATALOGUE["conservation"], "run", run)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    before = {name: getattr(jax.config, name) for name in cli._SETTINGS}
    for precision in ("64", "32"):
        assert call(tmp_path / precision, "--precision", precision, "--no-compilation-cache") == 0
        assert {name: getattr(jax.config, name) for name in before} == before
    assert seen == ["float64", "float32"]
