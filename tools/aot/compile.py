"""Compile a JAX function for an H100 where there is none: XLA needs a description of the card, neither driver nor device.

Needs `pip install --no-deps jax-cuda13-plugin==V jax-cuda13-pjrt==V`, V the version of JAX (the extra `aot`).
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from counts import Program
from jax.experimental import topologies

CARD = Path(__file__).parent / "h100.txt"


class Compiled(NamedTuple):
    """A program, its seconds to trace and lower and to compile, and the bytes of its arguments and of its buffers."""

    program: Program
    lower_s: float
    compile_s: float
    argument_bytes: int
    temp_bytes: int


def devices() -> Any:
    """The sharding that stands for one H100. **Raises:** whatever JAX does where the plugin's wheels are missing."""
    card = topologies.get_topology_desc(platform="cuda", topology="1x1x1", target_config=CARD.read_text())
    mesh = topologies.make_mesh(card, (1,), ("x",))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def compiled(fn: Callable[..., Any], *arrays: Any, trips: int = 8) -> Compiled:
    """`fn(*arrays)` as one program; of the arrays only shapes and dtypes matter. `trips`: of loops of unknown length."""
    here = devices()

    def placed(x: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here)

    start = time.perf_counter()
    lowered = jax.jit(lambda *arrays: [x for x in jax.tree.leaves(fn(*arrays)) if hasattr(x, "dtype")]).lower(
        *jax.tree.map(placed, arrays)
    )
    middle = time.perf_counter()
    executable = lowered.compile()
    end = time.perf_counter()
    memory, text = executable.memory_analysis(), executable.as_text()
    assert memory is not None
    assert text is not None
    return Compiled(
        Program(text, trips), middle - start, end - middle, memory.argument_size_in_bytes, memory.temp_size_in_bytes
    )
