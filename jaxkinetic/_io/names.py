"""Names of classes and functions in files. They stay the same when a module moves, so that older checkpoints load in this
version and checkpoints of this version load in older ones."""

import sys
from typing import Any

# Modules that moved: current module -> its name in files of format 1. Add a line when a module moves; never
# change an existing name, because files contain it.
_FIRST_NAMES = {
    "jaxkinetic._core.adjoint": "jaxkinetic._adjoint",
    "jaxkinetic._core.checkpoint": "jaxkinetic._checkpoint",
    "jaxkinetic._core.ensemble": "jaxkinetic._ensemble",
    "jaxkinetic._core.iterate": "jaxkinetic._iterate",
    "jaxkinetic._core.loops": "jaxkinetic._adjoint",
    "jaxkinetic._core.outcome": "jaxkinetic._simulate",
    "jaxkinetic._core.run_in_parts": "jaxkinetic._simulate",
    "jaxkinetic._core.reductions": "jaxkinetic._reductions",
    "jaxkinetic._core.reversible": "jaxkinetic._adjoint",
    "jaxkinetic._core.run_key": "jaxkinetic._run_words",
    "jaxkinetic._core.run_loop": "jaxkinetic._simulate",
    "jaxkinetic._core.save": "jaxkinetic._save",
    "jaxkinetic._core.simulate": "jaxkinetic._simulate",
    "jaxkinetic._core.solution": "jaxkinetic._solution",
    "jaxkinetic._core.start": "jaxkinetic._simulate",
    "jaxkinetic._core.system": "jaxkinetic._system",
    "jaxkinetic._core.times": "jaxkinetic._simulate",
    "jaxkinetic._core.totals": "jaxkinetic._system",
    "jaxkinetic._io.atomic_npz": "jaxkinetic._files",
    "jaxkinetic._io.contents": "jaxkinetic._contents",
    "jaxkinetic._io.fingerprint": "jaxkinetic._fingerprint",
    "jaxkinetic._io.lock": "jaxkinetic._lock",
    "jaxkinetic._io.progress": "jaxkinetic._progress",
    "jaxkinetic._io.serialise": "jaxkinetic._trees",
    "jaxkinetic._io.signals": "jaxkinetic._signals",
    "jaxkinetic._util.bkw": "jaxkinetic._bkw",
    "jaxkinetic._util.checks": "jaxkinetic._checks",
    "jaxkinetic._util.double_precision": "jaxkinetic._double_precision",
    "jaxkinetic._util.fft_blocks": "jaxkinetic._batches",
    "jaxkinetic._util.gradients": "jaxkinetic._guard",
    "jaxkinetic._util.host_callback": "jaxkinetic._host",
    "jaxkinetic._util.numpy_checks": "jaxkinetic._inputs",
    "jaxkinetic._util.printing": "jaxkinetic._printing",
    "jaxkinetic._util.sharding": "jaxkinetic._sharding",
    "jaxkinetic._util.student": "jaxkinetic._student",
    "jaxkinetic._util.sums": "jaxkinetic._sums",
    "jaxkinetic._util.types": "jaxkinetic._types",
    "jaxkinetic._util.user_laws": "jaxkinetic._laws",
    "jaxkinetic.boltzmann.exact.population": "jaxkinetic.boltzmann.exact.death_chain",
    "jaxkinetic.experiments._harness.compilation_cache": "jaxkinetic.experiments._compilation_cache",
    "jaxkinetic.experiments._harness.errors": "jaxkinetic.experiments._errors",
    "jaxkinetic.experiments._harness.experiment": "jaxkinetic.experiments._experiment",
    "jaxkinetic.experiments._harness.grid": "jaxkinetic.experiments._mean_field",
    "jaxkinetic.experiments._harness.output": "jaxkinetic.experiments._output",
    "jaxkinetic.experiments._harness.partial": "jaxkinetic.experiments._partial",
    "jaxkinetic.experiments._harness.process": "jaxkinetic.experiments._process",
    "jaxkinetic.experiments._harness.replicas": "jaxkinetic.experiments._replicas",
    "jaxkinetic.experiments._harness.run": "jaxkinetic.experiments._run",
    "jaxkinetic.experiments._harness.sweep": "jaxkinetic.experiments._sweep",
    "jaxkinetic.experiments.catalogue._amplitudes": "jaxkinetic.experiments._amplitudes",
    "jaxkinetic.experiments.catalogue._entropy": "jaxkinetic.experiments._entropy",
    "jaxkinetic.experiments.catalogue._growth": "jaxkinetic.experiments._growth",
    "jaxkinetic.experiments.catalogue._systematic": "jaxkinetic.experiments._systematic",
    "jaxkinetic.experiments.catalogue.annihilation": "jaxkinetic.experiments.annihilation",
    "jaxkinetic.experiments.catalogue.conservation": "jaxkinetic.experiments.conservation",
    "jaxkinetic.experiments.catalogue.coulomb_isotropization": "jaxkinetic.experiments.coulomb_isotropization",
    "jaxkinetic.experiments.catalogue.coulomb_relaxation": "jaxkinetic.experiments.coulomb_relaxation",
    "jaxkinetic.experiments.catalogue.counting": "jaxkinetic.experiments.counting",
    "jaxkinetic.experiments.catalogue.hmf": "jaxkinetic.experiments.hmf",
    "jaxkinetic.experiments.catalogue.landau_damping": "jaxkinetic.experiments.landau_damping",
    "jaxkinetic.experiments.catalogue.maxwell_bkw": "jaxkinetic.experiments.maxwell_bkw",
    "jaxkinetic.experiments.catalogue.mean_field_diagram": "jaxkinetic.experiments.mean_field_diagram",
    "jaxkinetic.experiments.catalogue.microcanonical": "jaxkinetic.experiments.microcanonical",
    "jaxkinetic.experiments.catalogue.torus_mode": "jaxkinetic.experiments.torus_mode",
    "jaxkinetic.experiments.catalogue.two_stream": "jaxkinetic.experiments.two_stream",
    "jaxkinetic.fitting._decay_fit": "jaxkinetic._decay_fit",
    "jaxkinetic.fitting._residuals": "jaxkinetic._residuals",
    "jaxkinetic.fitting.decay": "jaxkinetic.fitting",
    "jaxkinetic.fitting.oscillation": "jaxkinetic.oscillation",
    "jaxkinetic.initial.samplers": "jaxkinetic.initial",
    "jaxkinetic.pairs._apply_pair_flow": "jaxkinetic.pairs._move",
    "jaxkinetic.pairs._event_window": "jaxkinetic.pairs._window",
    "jaxkinetic.pairs._packed_columns": "jaxkinetic.pairs._table",
    "jaxkinetic.pairs.spherical_heat": "jaxkinetic.pairs.sphere",
    "jaxkinetic.pairs.spherical_heat.circle": "jaxkinetic.pairs._heat_circle",
    "jaxkinetic.pairs.spherical_heat.general": "jaxkinetic.pairs._heat_law",
    "jaxkinetic.pairs.spherical_heat.two_sphere": "jaxkinetic.pairs._heat_sphere",
    "jaxkinetic.pairs.spherical_heat.two_sphere_table": "jaxkinetic.pairs._heat_sphere_table",
    "jaxkinetic.vlasov._streaming_phase": "jaxkinetic.vlasov.kinetic_phase",
    "jaxkinetic.vlasov.equilibria": "jaxkinetic.vlasov.homogeneous",
    "jaxkinetic_kernels.conflict_free_batches": "jaxkinetic_kernels.waves",
    "jaxkinetic_kernels.elementwise": "jaxkinetic_kernels.power",
    "jaxkinetic_kernels.noise": "jaxkinetic_kernels.pair_noise",
    "jaxkinetic_kernels.random_bits": "jaxkinetic_kernels.words",
    "jaxkinetic_kernels.trigonometry": "jaxkinetic_kernels.words",
}
# Classes with another name now: (current module, current name) -> their name in files of format 1.
_FIRST_CLASSES = {
    ("jaxkinetic.vlasov.systems", "AbstractMeanField"): "MeanField",
    ("jaxkinetic._io.fingerprint", "SystemRecord"): "Remembered",
}


def name_in_files(module: str) -> str:
    """The name of a module in files."""
    return _FIRST_NAMES.get(module, module)


def class_in_files(module: str, qualname: str) -> str:
    """The name of a class or function in files: "module:name"."""
    return f"{name_in_files(module)}:{_FIRST_CLASSES.get((module, qualname), qualname)}"


def find(module: str, qualname: str) -> Any:
    """The object with this name in files; None if its module is not imported, because reading a file imports nothing."""
    moved = [new for new, old in _FIRST_NAMES.items() if old == module]
    for candidate in (*moved, module):
        found: Any = sys.modules.get(candidate)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if found is not None:
            return found
    return None
