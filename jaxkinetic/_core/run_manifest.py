"""What was run, as plain text and numbers: the attributes of a dataset, and an entry of every chunk."""

import hashlib
import json
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._io.contents import CODE
from .._io.fingerprint import Fingerprint, SystemRecord, data_entries, fingerprint
from .._io.manifest import code, device, machine
from .._util.printing import printed
from .solution import Solution

__all__ = ["of_code", "run_manifest", "system_of"]

# A parameter with more numbers is described by its dtype, shape and hash.
_SHOWN = 64


def of_code(*arrays: Any) -> dict[str, Any]:
    """Versions, commit and the device of `arrays`."""
    own = {**code(), **machine(), "device": device(*arrays)}
    return {
        "jaxkinetic_version": own["version"], "jaxkinetic_commit": own["commit"] or "unknown", "jax_version": own["jax"],
        "numpy_version": own["numpy"], "python_version": own["python"], "device": own["device"],
    }  # fmt: skip


def system_of(solution: Solution) -> Any:
    """The system that ran; None if the solution does not know it."""
    run = solution.checkpoint if solution.checkpoint is not None else solution.run
    origin = None if run is None else run.origin
    return origin.system() if isinstance(origin, SystemRecord) else None


def run_manifest(solution: Solution) -> dict[str, Any]:
    """Versions, device, system, scheme, key, dt, t0, last step, result and statistics, as far as they are single values: text,
    numbers and lists of integers, which JSON and netCDF can hold. What differs between replicas is left out."""
    out = of_code(*jax.tree.leaves((solution.final, solution.observed)))
    run = solution.checkpoint if solution.checkpoint is not None else solution.run
    if run is not None:
        system = system_of(solution)
        if system is not None:
            out |= {"system": printed(system), "system_parameters": _parameters(system)}
        if run.origin is not None:
            out["system_fingerprint"] = _hash(run.origin)
        out |= {"scheme": printed(run.scheme), "scheme_parameters": _parameters(run.scheme)}
        out["scheme_fingerprint"] = _hash(run.scheme)
        if np.ndim(run.key) == 1 and run.scheme.needs_key:
            out["key"] = np.asarray(run.key).tolist()
        t0, dt = (run.t0, run.dt) if run.clock is None else run.clock
        out |= {name: float(np.asarray(x)) for name, x in (("t0", t0), ("dt", dt)) if np.ndim(x) == 0}
        out["last_step"] = int(run.step)
    out["result"] = str(solution.result)
    if np.ndim(solution.result.code) == 0:
        out["result_code"] = int(np.asarray(solution.result.code))
        out |= {f"stats_{name}": np.asarray(x).item() for name, x in solution.stats.items() if np.ndim(x) == 0}
    if solution.warnings:
        out["warnings"] = " ".join(solution.warnings)
    # netCDF has no booleans.
    return {name: int(x) if isinstance(x, bool) else x for name, x in out.items()}


def _parameters(tree: Any) -> str:
    """JSON: the place of every leaf -> its value."""
    texts = dict(data_entries(tree)[1:])
    out: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        place = jax.tree_util.keystr(path)
        known = eqx.is_array(leaf) and leaf.size <= _SHOWN and leaf.dtype.kind in "biuf"
        plain = isinstance(leaf, (bool, int, float, str))
        out[place.lstrip(".")] = np.asarray(leaf).tolist() if known else leaf if plain else texts[place]
    return json.dumps(out)


def _hash(of: Any) -> str:
    """The same in every process and every version of Python: code is left out."""
    found = fingerprint(of) or Fingerprint(())
    entries = [entry for entry in found.entries if not entry[0].startswith(CODE)]
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]
