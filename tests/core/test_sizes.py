"""Block sizes by platform, and the setting that overrides them."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxkinetic_kernels import PAIRS, Area, map_rows

READ = "from jaxkinetic_kernels.sizes import PAIRS; print(PAIRS.cpu, PAIRS.on_accelerator(10), PAIRS.on_accelerator(10**6))"


def squares(columns, seen, rows):
    seen.append(rows.shape[0])
    return jnp.sum((rows[:, None] - columns[None, :]) ** 2, axis=1)


def test_blocks_by_platform():
    """The CPU's program has the CPU's blocks, an exported one for CUDA those of accelerators, and both give the direct sum.
    Catches one size for all, and rows of the last block lost."""
    x, seen = jnp.arange(7.0), []

    def total(x):
        return map_rows(lambda rows: squares(x, seen, rows), x, 7, area=Area(14, 35, 35))

    expected = np.sum((np.arange(7.0)[:, None] - np.arange(7.0)) ** 2, 1)
    np.testing.assert_allclose(jax.jit(total)(x), expected)
    assert set(seen) == {2, 5}
    loops = {
        platform: jax.export.export(jax.jit(total), platforms=[platform])(x).mlir_module()
        for platform in ("cpu", "cuda")
    }
    assert "tensor<4x2x" in loops["cpu"]
    assert "tensor<4x2x" not in loops["cuda"]
    assert "tensor<2x5x" in loops["cuda"]


def test_larger_blocks_for_more_columns():
    """Catches the two areas of accelerators exchanged."""
    assert PAIRS.on_accelerator(2**15) == 2**22 < PAIRS.on_accelerator(2**15 + 1)


@pytest.mark.parametrize(("text", "found"), [("4096", "131072 4096 4096"), ("many", None), ("0", None)])
def test_setting(text, found):
    """JAXKINETIC_BLOCK_PAIRS sets the blocks of accelerators. Catches a setting that is not read, and text that is ignored."""
    command = [sys.executable, "-c", READ]
    path = ":".join(sys.path)
    run = subprocess.run(
        command, env={"JAXKINETIC_BLOCK_PAIRS": text, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60
    )
    if found is not None:
        assert run.stdout.strip() == found, run.stderr
    else:
        assert f"JAXKINETIC_BLOCK_PAIRS must be a positive integer, but is '{text}'" in run.stderr
