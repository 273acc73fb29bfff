"""benchmarks/bench_device.py on a CPU: what it checks, what it writes, and the section of the page that is made from it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import _device_checks as checks
import _device_items as items
import _device_restart as restart
import _device_table as table
import _device_timing as timing
import bench_device
import jax
import numpy as np
import pytest
import split_cases
from _device_report import Report
from registry import CASES

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "bench_device.py"


def report(tmp_path, deadline=100.0):
    import time

    return Report(tmp_path / "device.json", {"device": "none"}, deadline, time.perf_counter())


def measured(**changes):
    """A result as bench_device.py writes it, of a device that does not exist."""
    content = {
        "device": "gpu: Test", "platform": "gpu", "device_kind": "Test", "date": "2026-01-02T03:04:05", "commit": None,
        "quick": False, "only": "", "done": True, "versions": {"jax": "1", "python": "3"}, "flags": "", "notes": [],
        "verify": {"kac": {"passed": True}, "leap": {"passed": False}},
        "bitwise": {
            "Sweep": {"restart": True, "restart_in_second_process": True},
            "Strang": {"restart": True, "restart_in_second_process": False},
            "Leapfrog": {"restart": True, "restart_in_second_process": "not measured"},
            "gradient, sums": {"repeats": False},
        },
        "time": {
            "copy": {"seconds_a_step": 1.0, "rate": 1.5e12, "unit": "bytes/s"},
            "HMF, N = 10": {"seconds_a_step": 1e-4, "rate": 1.0, "unit": "G/s", "ceiling": "copy", "share": 0.25},
            "HMF, N = 20": {"seconds_a_step": 1e-3, "rate": 2.0, "unit": "G/s", "ceiling": "copy", "share": 0.5},
            "knn": {"skipped": "about 40 s a call"},
        },
    }  # fmt: skip
    return {**content, **changes}


def test_section_promises_only_what_was_measured():
    """A restart counts if it was bitwise in one process and in two. Catches a restart that was not measured, or differs in a
    second process, and is shown as one that held."""
    text = " ".join(table.section([("device_test.json", measured())]).split())
    assert "1 of 2; not: `leap`" in text
    assert "one: 1 of 3; not in a second process: `Strang`; not measured: `Leapfrog`" in text
    assert "every call: 0 of 1; not, or not measured: `sums`" in text
    assert "measured on the card: copy 1.5 T bytes/s." in text
    assert "| HMF, N = 20 | 1 | 2 G/s | 0.5 of copy |" in text
    assert "HMF, N = 10 " not in text
    assert "| knn | - | about 40 s a call | |" in text
    assert "nothing has been measured" in table.section([])
    worse = measured(bitwise={"Strang": {"restart": False, "restart_in_second_process": True}})
    assert "not even in the same process: `Strang`" in table.restarts(worse["bitwise"])


@pytest.mark.parametrize("change", [{"platform": "cpu"}, {"quick": True}, {"done": False}])
def test_results_of_no_accelerator_are_not_kept(change, tmp_path):
    """Catches figures of a CPU, of tiny sizes or of half a run in the documentation."""
    with pytest.raises(SystemExit, match="not kept"):
        table.keep(written(tmp_path, measured(**change)))


def written(tmp_path, *contents):
    files = [tmp_path / f"{number}.json" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_text(json.dumps(content))
    return files


def partial(**parts):
    """A run with `--only`: of the parts named, the rest empty."""
    return measured(**{part: {} for part in ("verify", "bitwise", "time")} | parts)


def test_runs_are_merged(tmp_path, monkeypatch):
    """Partial runs of one card become one file: the union, the later one where two have an item; runs with other flags apart.
    Notes of what another run did are dropped. Catches an earlier item that wins, a note that was overtaken, a restart that
    held with other flags alone and counts without them."""
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results")
    table.RESULTS.mkdir()
    late = [
        "not verified for want of time: b", "gradient not repeated for want of time: sums",
        "not compiled for want of time: HMF", "restart not tried for want of time: Sweep", "stopped",
    ]  # fmt: skip
    held = {"restart": True, "restart_in_second_process": True}
    files = written(
        tmp_path,
        partial(verify={"a": {"passed": True}, "c": {"passed": True}}, notes=late, deadline=9.0),
        partial(verify={"b": {"passed": True}, "c": {"passed": False}}, only="verify"),
        partial(
            bitwise={"Strang": {**held, "restart": False}, "gradient, sums": {"repeats": True}}, compile={"HMF": {}}
        ),
        partial(bitwise={"Strang": held}, flags="--level=0"),
    )
    content = json.loads(table.keep(files).read_text())
    assert content["verify"] == {"a": {"passed": True}, "b": {"passed": True}, "c": {"passed": False}}
    assert content["notes"] == ["restart not tried for want of time: Sweep", "stopped"]
    assert [run["only"] for run in content["runs"]] == ["", "verify", ""]
    assert content["runs"][0]["deadline"] == 9.0
    assert content["runs"][0]["notes"] == late
    assert list(content["with_flags"]) == ["--level=0"]
    text = " ".join(table.section([("device_test.json", content)]).split())
    assert "agree with the CPU: 2 of 3; not: `c`" in text
    assert "- Restarts that are bitwise in the same process and in a second one: 0 of 1" in text
    assert (
        "With `XLA_FLAGS=--level=0`: Restarts that are bitwise in the same process and in a second one: 1 of 1." in text
    )
    assert "want of time: `Sweep`" in text
    assert "| path |" not in text


def test_partial_run_beside_a_complete_one(tmp_path, monkeypatch):
    """A run of some items at another commit is kept in a second file, and the section says what it changed, after the complete
    result; files that were changed after the commit are named. Catches a partial run that overwrites the complete one, counts
    as a result of its commit, or is told as mended although it still fails, and one that stays after a later complete run."""
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results")
    table.RESULTS.mkdir()
    held = {"restart": True, "restart_in_second_process": True}
    (first,) = written(tmp_path, measured(commit="1234567890"))
    complete = table.keep([first])
    before = complete.read_text()
    (file,) = written(
        tmp_path,
        partial(
            verify={"kac": {"passed": False}, "leap": {"passed": True}, "new": {"passed": True}},
            bitwise={"Strang": held, "Sweep": held, "Leapfrog": {**held, "restart": False}, "gradient, sums": {}},
            only="some", commit="1234567890-dirty",
        ),
    )  # fmt: skip
    again = table.keep([file])
    assert again.name == "device_test_checked_again.json"
    assert complete.read_text() == before
    assert [name for name, _ in table.kept()] == [complete.name, again.name]
    one, _, two = table.section(table.kept()).rpartition("\n\n")
    assert one == table.one_device(*table.kept()[0])
    assert " ".join(two.split()) == (
        "Some items were checked again with JAX 1, 2026-01-02, commit 1234567 with uncommitted changes "
        "(`device_test_checked_again.json`). These did not hold above and hold here: `leap`, `Strang`. Checks that agree with "
        "the CPU: 2 of 3; not: `kac`. Restarts that are bitwise in the same process and in a second one: 2 of 3; not even in "
        "the same process: `Leapfrog`. Gradients that have the same bits at every call: 0 of 1; not, or not measured: `sums`."
    )
    table.keep(written(tmp_path, measured(commit="2")))
    assert [name for name, _ in table.kept()] == [complete.name]
    # A partial result without a complete one is replaced.
    complete.unlink()
    files = written(tmp_path, partial(only="verify"))
    assert table.keep(files) == table.keep(files) == complete


@pytest.mark.parametrize("change", [{"device_kind": "B"}, {"commit": "1"}, {"versions": {"jax": "2", "python": "3"}}])
def test_runs_that_do_not_belong_together(change, tmp_path):
    """Catches figures of two cards, commits or versions under the name of one, and a file without the default flags."""
    with pytest.raises(SystemExit, match=f"1.json and .*0.json differ in `{next(iter(change))}`"):
        table.keep(written(tmp_path, measured(), measured(**change)))
    with pytest.raises(SystemExit, match="only beside a run without"):
        table.keep(written(tmp_path, measured(flags="--level=0")))


@pytest.mark.parametrize(
    ("number", "text"), [(3.483e12, "3.48 T "), (305299.0, "305 k "), (0.5, "0.5 "), (5e15, "5e+03 T ")]
)
def test_prefixes(number, text):
    """Catches a prefix that is off by a thousand."""
    assert table.in_thousands(number) == text


def test_float64_comes_last(monkeypatch):
    """Bits and times are measured before the checks in float64, which take what time is left. Catches an order in which they
    use up the time of all others, as on the first card."""
    order = []
    monkeypatch.setattr(
        bench_device, "verify", lambda report, chosen, wanted, dtype, until: order.append((dtype, until))
    )
    monkeypatch.setattr(restart, "run", lambda *given: order.append(("bitwise", given[4])))
    monkeypatch.setattr(bench_device, "time_paths", lambda *given: order.append(("time", 75.0)))
    bench_device.measure(None, bench_device.options(["--deadline", "100"]), None)
    names, until = zip(*order, strict=True)
    assert names == ("float32", "bitwise", "time", "float64")
    assert list(until) == sorted(until)
    assert until[-1] < 100


def test_file_is_complete_after_every_item(tmp_path):
    """Catches numbers that are no JSON, and results that are only in memory."""
    told = report(tmp_path)
    told.record("verify", "kac", {"passed": np.bool_(True), "error": {"state": np.float32(0.5), "gradient": np.inf}})
    content = json.loads(told.file.read_text())
    assert content["verify"] == {"kac": {"passed": True, "error": {"state": 0.5, "gradient": "inf"}}}
    assert not content["done"]
    assert [file.name for file in tmp_path.iterdir()] == ["device.json"]


def test_deadline_ends_the_process(tmp_path):
    """What was measured is in the file. Catches a program that hangs on the device and takes the results with it."""
    code = (
        "import sys, time; from pathlib import Path; from _device_report import Report\n"
        "told = Report(Path(sys.argv[1]) / 'device.json', {}, 0.3, time.perf_counter())\n"
        "told.watch(); told.record('time', 'copy', {'rate': 1.0}); time.sleep(60)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=SCRIPT.parent, timeout=30, capture_output=True
    )
    assert done.returncode == 3
    content = json.loads((tmp_path / "device.json").read_text())
    assert content["time"] == {"copy": {"rate": 1.0}}
    assert "deadline" in content["notes"][0]


def test_every_case_of_the_registry_is_checked():
    """In float32 all, in float64 those that the contract tests run in both. Catches a system or scheme that the device never
    computes."""
    names = {(check.name, check.dtype) for check in checks.checks()}
    assert len(names) == len(checks.checks())
    assert {(case.name, "float32") for case in CASES} <= names
    assert {(case.name, "float64") for case in CASES if case.thorough} <= names
    for kind in split_cases.SYSTEMS:
        assert (f"strang2-{kind}-gaussian", "float64") in names
        assert (f"strang4-{kind}-sum", "float32") in names
    quick = {check.name for check in checks.checks(quick=True)}
    assert quick == set(checks.QUICK)


def test_paths_are_compared_by_measured_tolerances():
    """Catches a tolerance that lets a relative error of 1e-3 pass, results that are not finite, an integer that differs, and
    a run that failed."""
    x = np.linspace(1, 2, 7, dtype=np.float32)
    right = {"state": [x, np.arange(7)], "finished": np.asarray(True)}
    nudged = [{**right, "state": [x * np.float32(1 + 1e-6), np.arange(7)]}]

    def passes(ours, theirs=right, changed=nudged):
        return checks.compare_paths(ours, theirs, changed, "float32")["passed"]

    assert passes(right)
    assert passes({**right, "state": [x * np.float32(1 + 2e-5), np.arange(7)]})
    assert not passes({**right, "state": [x * np.float32(1 + 1e-3), np.arange(7)]})
    assert not passes({**right, "state": [x * np.nan, np.arange(7)]})
    assert not passes({**right, "state": [x, np.arange(7)[::-1]]})
    failed = {**right, "finished": np.asarray(False)}
    assert not passes(failed, failed, [])
    # So ill-conditioned that the comparison says nothing.
    assert not passes(right, changed=[{**right, "state": [x * np.float32(1.1), np.arange(7)]}])


def test_laws_are_compared_by_standard_errors():
    """Paths may differ, means may not. Catches a mean that is a fifth of the spread (6 standard errors) away, and a conserved
    quantity that drifts on the device."""
    a, b = np.random.default_rng(0).standard_normal((2, 2000))
    still = np.zeros(2000)
    right = {"moment": a, "conserved energy": still}
    assert checks.compare_laws({"moment": b, "conserved energy": still}, right, "float32")["passed"]
    assert not checks.compare_laws({"moment": b + 0.2, "conserved energy": still}, right, "float32")["passed"]
    assert not checks.compare_laws({"moment": b, "conserved energy": still + 1e-4}, right, "float32")["passed"]
    one, two = np.ones(9), np.full(9, 2.0)
    assert not checks.compare_laws({"left": two}, {"left": one}, "float32")["passed"]


def test_what_would_take_too_long_is_skipped(tmp_path):
    """The time of a larger size is predicted from a smaller one of its group; an item that raises does not end the others.
    Catches a size that uses up the time of all others."""
    import time

    def item(name, size):
        return items.Item(name, lambda: None, work=1.0, group="pairs", size=size, power=2.0)

    calls = []

    def program(x):
        calls.append(x)
        time.sleep(0.01)

    def broken(x):
        raise RuntimeError("out of memory")

    listed = [item("small", 10), item("broken", 10), item("large", 1000), item("larger", 20)]
    programs = {"small": (program, (1,)), "broken": (broken, (1,)), "large": (program, (2,)), "larger": (program, (3,))}
    told = report(tmp_path)
    timing.time_all(listed, programs, told, jax.devices()[0], budget=1.0)
    found = told.content["time"]
    assert found["small"]["seconds_a_step"] >= 0.01
    assert "out of memory" in found["broken"]["error"]
    assert "a call" in found["large"]["skipped"]
    assert found["larger"]["calls"] >= 1
    assert {int(x) for x in calls} == {1, 3}


def test_share_of_the_ceiling():
    """An item of two limits is held against the slower one. Catches a share that is upside down, and a time of all steps."""
    item = items.Item("x", lambda: None, steps=4, work=1.0, limits=(("copy", 10.0), ("sort", 1.0)))
    value = timing.result_of(item, [8.0, 9.0], {"copy": 100.0, "sort": 1.0})
    assert value["seconds_a_step"] == 2.0
    assert value["ceiling"] == "sort"
    assert value["share"] == 0.5


def test_bits_are_compared():
    """Catches a comparison by value: -0 equals 0 there, and a NaN differs from itself."""
    x = np.asarray([0.0, np.nan], np.float32)
    assert restart.identical([x], [x.copy()])
    assert not restart.identical([x], [-x])
    assert not restart.identical([x], [x.astype(np.float64)])


def test_items_have_names_of_their_own():
    """Catches two items that overwrite each other in the JSON, and a limit that no ceiling measures."""
    for quick in (True, False):
        listed = items.items(quick)
        names = [item.name for item in listed]
        ceilings = {item.name for item in listed if item.ceiling}
        assert ceilings == set(table.CEILINGS)
        assert len(set(names)) == len(names)
        assert {name for item in listed for name, _ in item.limits} <= ceilings


def test_one_item_of_each_part(tmp_path):
    """One check, one timed path and its ceiling, one restart, in this process. Catches a part that stopped working."""
    told = report(tmp_path)
    cpu = jax.devices("cpu")[0]
    check = next(check for check in checks.checks(quick=True) if check.name == "moment")
    value = checks.run_check(check, cpu, cpu)
    assert value["passed"]
    assert value["repeats_bitwise"] == {"value": True, "gradient": True}
    with jax.enable_x64(False):
        listed = [item for item in items.items(quick=True) if item.name.startswith(("copy", "HMF"))]
        programs = timing.compile_all(listed, told, 1, until=50.0)
        timing.time_all(listed, programs, told, cpu, budget=1.0)
        value, _ = restart.cut_in_two(restart.cases(quick=True)["Leapfrog, HMF"], tmp_path / "half.npz")
    assert len(told.content["time"]) == 2
    assert all(found["rate"] > 0 for found in told.content["time"].values())
    assert value == {"finished": True, "repeats": True, "restart": True}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
def test_every_check_traces():
    """Catches a check that raises: a gradient that its system refuses, an argument that a diagnostic does not have; and a
    product of matrices without `precision="highest"`, in the library or in a system of the tests: on an H200 two checks of
    a user's interaction failed by the rounding of XLA's default (TF32)."""
    for check in checks.checks():
        with jax.enable_x64(check.dtype == "float64"), jax.numpy_dtype_promotion("standard"):
            function, arguments = check.make()
            program, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        assert not check.law or {x.shape for x in shapes.values()} == {(checks.REPLICAS,)}, check.name
        # JAX prints no precision where it is the default.
        assert not re.search(r"dot_general\[\s+dimension_numbers=.*\n\s+preferred", str(program)), check.name


@pytest.mark.slow
def test_quick_run(tmp_path):
    """The command as CONTRIBUTING.md has it, with `--quick`: all parts, a second process, a profile. Catches an item that
    raises."""
    # Compiled without optimisations: whether it works, not how fast.
    environment = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "kernels")))}
    command = [sys.executable, str(SCRIPT), "--quick", "--profile", "--out", str(tmp_path), "--deadline", "3000"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    content = json.loads((tmp_path / "device.json").read_text())
    assert done.returncode == 0, done.stderr[-3000:]
    assert content["done"]
    assert content["notes"] == []
    assert len(content["verify"]) == len(checks.QUICK)
    assert all(
        "error" not in value for part in ("bitwise", "compile", "time", "profile") for value in content[part].values()
    )
    assert set(content["compile"]) == set(content["time"]) == {item.name for item in items.items(quick=True)}
    runs = [value for name, value in content["bitwise"].items() if not name.startswith("gradient")]
    assert runs
    assert all(value["restart"] and value["restart_in_second_process"] is True for value in runs)
    assert len(content["profile"]) == 2
    assert "3 of 3" in done.stdout
    # Of a lent machine eight files come back.
    assert len(list(tmp_path.rglob("*"))) <= 3
