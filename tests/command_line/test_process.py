"""A command as a process: Ctrl-C, SIGTERM, pipes whose reader leaves, devices that are not there."""

import os
import signal
import subprocess
import sys
import time

import pytest

# An experiment that computes nothing: it keeps a part, waits, and reports in a table of what is in the folder.
QUICK = """
import os, sys, time
import jax, jax.numpy as jnp
import numpy as np
from jaxkinetic.__main__ import main
from jaxkinetic._io.fingerprint import fingerprint
from jaxkinetic._io.part_files import open_parts
from jaxkinetic.experiments import Report, cli
from jaxkinetic.experiments._harness.report import Series

wait = float(sys.argv.pop())

class Listing:
    def __format__(self, _):
        return repr(sorted(n for n in os.listdir("x") if n[0] != ".")) + " " * 100_000

def run(self, watch):
    open_parts("path", watch.partial.path("x"), {"a": fingerprint({"a": 1})}).save("part-00000", [np.arange(3.0)])
    print("running", flush=True)
    if wait > 10:
        # Not in Python: about a minute in one compiled program.
        body = lambda _, x: jnp.sin(x) + 1
        jax.jit(lambda x: jax.lax.fori_loop(0, 2**31 - 1, body, x))(1.0).block_until_ready()
    time.sleep(wait)
    series = (Series("", "t", [Listing()]),)
    return Report({"order": 1.0}, series, ("one line",), (lambda ax: None,), "x")

cli.CATALOGUE["microcanonical"] = type("Quick", (cli.CATALOGUE["microcanonical"],), {"run": run})
raise SystemExit(main())
"""
FILES = ["figure.png", "result.json", "result.npz"]


def start(folder, *, wait, stderr=subprocess.PIPE):
    arguments = ["run", "microcanonical", "--out", str(folder), str(wait)]
    return subprocess.Popen(
        [sys.executable, "-c", QUICK, *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=folder.parent
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_command(number, status, tmp_path):
    """Ctrl-C and SIGTERM end a run within 2 s, in the middle of a compiled program too, with their own status and one sentence
    that names the finished parts, which are kept. Catches the segmentation fault of Python's own way out, an interrupt that is
    lost, and one that waits until the program is done."""
    with start(tmp_path / "x", wait=50) as process:
        lines = [process.stdout.readline(), process.stdout.readline()]
        time.sleep(1)
        process.send_signal(number)
        sent = time.monotonic()
        _, error = process.communicate(timeout=20)
        assert time.monotonic() - sent < 2
    assert process.returncode == status
    assert lines[0].startswith("microcanonical on ")
    assert lines[1] == "running\n"
    parts = tmp_path / "x" / "partial"
    assert "\njaxkinetic: stopped; earlier results are unchanged. 1 finished part is in " in error
    assert error.endswith(f"{str(parts)!r}: the same `run` with --resume, or the same `sweep`, continues.\n")
    assert "Traceback" not in error
    assert sorted(p.name for p in (tmp_path / "x" / "partial").rglob("*.npz")) == [
        "part-00000.npz",
        "parts.npz",
        "run.npz",
    ]


STARTING = """
import sys
from jaxkinetic.__main__ import main

assert "jax" not in sys.modules
print("listening", flush=True)
main()
"""


def test_stopped_while_starting(tmp_path):
    """Ctrl-C while Python imports JAX ends the command too. Catches an interrupt that an import swallows."""
    arguments = ["run", "maxwell-bkw", "--out", str(tmp_path / "x")]
    for delay in (0.05, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-c", STARTING, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "listening\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
        assert process.returncode == 130, error
        assert error.startswith("\njaxkinetic: stopped; ")


SIGNALS = """
import os, signal, sys
from jaxkinetic._io.signals import held_signals, leave_on_signals
leave_on_signals()
print("printed before")
with held_signals():
    with held_signals():
        os.kill(os.getpid(), signal.SIGINT)
    print("files are complete")
print("not reached")
"""


def test_signal_waits_for_files():
    """A signal between files that belong together takes effect after the last of them; buffered output is not lost. Catches a
    new result.npz beside an old result.json."""
    done = subprocess.run([sys.executable, "-c", SIGNALS], capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    assert done.stdout == "printed before\nfiles are complete\n"


def test_reader_that_leaves(tmp_path):
    """`... 2>&1 | head -1`: the results are written, and the status is 0. Catches a run that ends with its reader."""
    with start(tmp_path / "x", wait=0.5, stderr=subprocess.STDOUT) as process:
        assert process.stdout.readline().startswith("microcanonical on ")
        process.stdout.close()
        assert process.wait(timeout=50) == 0
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == FILES


def test_results_before_the_table(tmp_path):
    """When the table is printed the results are there. Catches a full disk behind standard output that costs the results."""
    out, error = start(tmp_path / "x", wait=0).communicate(timeout=50)
    assert repr(FILES) in out, error
    assert out.count("['") == 1


def test_missing_platform(tmp_path):
    """`JAX_PLATFORMS` that names a device which is not there gives a sentence. Catches a traceback of JAX."""
    done = subprocess.run(
        [sys.executable, "-m", "jaxkinetic", "run", "maxwell-bkw", "--out", str(tmp_path / "x")],
        capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "no_such_device"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(
        "jaxkinetic: Argument `JAX_PLATFORMS` must name a platform that JAX finds here, but is "
    )
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_stopped_while_computing(tmp_path):
    """Ctrl-C while programs run in other threads: the status is 130, and the run can be resumed. Catches the segmentation
    fault of a program whose memory Python has freed."""
    arguments = ["coulomb-relaxation", "--particles", "3000", "--steps", "300", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxkinetic", "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not list((tmp_path / "partial").glob("*/replica-*.npz")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error[-500:]
    done = subprocess.run(
        [sys.executable, "-m", "jaxkinetic", "run", *arguments, "--resume"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == FILES
