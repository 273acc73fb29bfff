"""What runs launch on an H100: budgets of kernels and host synchronisations, from programs compiled without one."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from registry import CASES

TOOL = Path(__file__).parents[2] / "tools" / "aot"

LOOPS = """HloModule test

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[], f32[8]{0}) parameter(0)
  %x = f32[8]{0} get-tuple-element(%p), index=1
  %y = f32[8]{0} fusion(%x), kind=kLoop, calls=%f
  %z = f32[8]{0} copy(%y)
  ROOT %t = (s32[], f32[8]{0}) tuple(%i, %z)
}

%cond (p: (s32[], f32[8])) -> pred[] {
  %p = (s32[], f32[8]{0}) parameter(0)
  ROOT %c = pred[] compare(%i, %n), direction=LT
}

%small (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %a = f32[8]{0} negate(%p)
}

%large (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  %a = f32[8]{0} negate(%p)
  ROOT %b = f32[8]{0} fft(%a), fft_type=FFT
}

ENTRY %main (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  %w = (s32[], f32[8]{0}) while(%t), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  %u = (s32[], f32[8]{0}) while(%w), condition=%cond, body=%body
  %q = f32[8]{0} conditional(%flag, %p, %p), true_computation=%small, false_computation=%large
  ROOT %s = f32[8]{0} custom-call(%q), custom_call_target="cusolver_syevj"
}
"""


def test_counts_of_loops_and_branches(monkeypatch):
    """Kernels times trips; a sync at every turn of a loop of unknown length and one for a conditional; the dearer branch;
    library calls by name. Catches a body counted once, and a loop of known length that is taken to wait."""
    monkeypatch.syspath_prepend(TOOL)
    counts = importlib.import_module("counts")
    trips = 3
    found = counts.Program(LOOPS, trips).counts()
    assert found.kernels == 5 * 2 + trips * 2 + (trips + 1) + (1 + 2) + 1
    assert found.syncs == (trips + 1) + 1
    assert found.library == {"fft": 1, "cusolver_syevj": 1}
    assert counts.Program(LOOPS).loops() == [5, None]


@pytest.mark.parametrize("name", ["matching-user", "leap-maxwell", "clock-maxwell"])
def test_no_scatter_of_large_elements(name):
    """In float64, the program for a GPU with its gradient scatters no complex numbers: XLA would write the particles one by one
    (in loops of 4096 turns for 128 replicas of 7). Catches columns that are packed two by two there, in both passes."""
    case = next(case for case in CASES if case.name == name)
    state = case.start("float64")

    def value(velocity, words):
        moved = eqx.tree_at(lambda s: s.velocity, state, velocity)
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        return jnp.sum(case.run(moved, throw=False, key=key).final.velocity ** 3)

    function = jax.jit(jax.value_and_grad(value))
    text = function.trace(state.velocity, jnp.zeros(2, jnp.uint32)).lower(lowering_platforms=("cuda",)).as_text()
    # The operand types follow the region of a scatter, on the line that closes it.
    found = re.findall(r'"stablehlo\.scatter".*?\}\) : \(([^)]*)\)', text, re.DOTALL)
    assert any("f64" in types for types in found)
    assert not any("complex<f64>" in types for types in found)


@pytest.mark.slow
def test_budgets_of_an_accelerator(tmp_path):
    """The main paths, compiled for the description of an H100: at most so many kernels and host synchronisations a step.
    Catches block sizes of the CPU on an accelerator, a condition or a loop of unknown length around a step, and an
    eigensolver."""
    extra = os.environ.get("JAXKINETIC_AOT")
    if not extra and importlib.util.find_spec("jax_plugins.xla_cuda13") is None:
        pytest.skip("the wheels of the extra `aot` are not installed")
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(filter(None, [extra, os.environ.get("PYTHONPATH")])),
    }
    file = tmp_path / "counts.json"
    command = [sys.executable, str(TOOL), "--quick", "--json", str(file)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    if run.returncode and "ptxas" in run.stderr:
        pytest.skip("NVIDIA's assembler is not to be had")
    assert run.returncode == 0, run.stderr[-2000:]
    rows = {row["path"]: row for row in json.loads(file.read_text())["paths"]}
    assert len(rows) >= 8
    above = [
        {key: row[key] for key in ("path", "kernels", "kernels_goal", "syncs", "syncs_goal")}
        for row in rows.values()
        if round(row["kernels"]) > row["kernels_goal"] or row["syncs"] > row["syncs_goal"]
    ]
    assert not above, above
    # No step solves eigenvalue problems by a library: its work space is 1050 words a matrix.
    assert not any("syev" in call for row in rows.values() for call in row["library"])
    assert rows["Kac noise, N = 16384"]["temp_bytes"] < 200e6
    assert sum(row["lower_s"] + row["compile_s"] for row in rows.values()) < 90
