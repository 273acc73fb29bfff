"""The command line, experiments, figures, and the import graph."""

from .mutation import BOLTZMANN, EXPERIMENTS, KERNELS, PAIRS, Mutation, tests

MUTATIONS = [
    Mutation(
        "cli-exit-status",
        "A command that is refused has the exit status 1 instead of 2.",
        EXPERIMENTS + "cli.py",
        "        return 2\n",
        "        return 1\n",
        tests("command_line/test_command_line.py", "test_too_few_steps_are_reported_first"),
    ),
    Mutation(
        "cli-seed",
        "The seed of an experiment is not used.",
        EXPERIMENTS + "_replicas.py",
        "jax.random.split(jax.random.key(options.seed), parts * size)",
        "jax.random.split(jax.random.key(0), parts * size)",
        tests("command_line/test_command_line.py", "test_seed_determines_the_table"),
    ),
    Mutation(
        "cli-saves-need-a-divisor",
        "The saves of an experiment need a divisor of the number of steps.",
        EXPERIMENTS + "_replicas.py",
        "return tuple(int(step) for step in np.unique(np.rint(np.linspace(0, steps, 21))))",
        "return tuple(range(0, steps + 1, max(1, steps // 20)))",
        tests("command_line/test_command_line.py", "test_saves_are_few_and_even"),
    ),
    Mutation(
        "resume-computes-again",
        "A run that goes on computes its finished parts again.",
        EXPERIMENTS + "_replicas.py",
        "kept = watch.partial.load(label, part) if watch.partial else None",
        "kept = None",
        tests("command_line/test_resume.py", "test_resume_checks_the_options"),
    ),
    Mutation(
        "resume-another-run",
        "A run goes on from the parts of a run with other options.",
        EXPERIMENTS + "_partial.py",
        "elif other != value:",
        "elif False:",
        tests("command_line/test_resume.py", "test_resume_checks_the_options"),
    ),
    Mutation(
        "resume-damaged-part",
        "A damaged part stops a run that goes on.",
        EXPERIMENTS + "_partial.py",
        """            # Damaged by something else than a kill: it is made again.
            return None
""",
        """            raise
""",
        tests("command_line/test_resume.py", "test_damaged_part_and_unfinished_value"),
    ),
    Mutation(
        "resume-damaged-chunk",
        "A damaged chunk stops a run that goes on.",
        EXPERIMENTS + "_replicas.py",
        "    except ValueError:\n        return None\n",
        "    except ValueError:\n        raise\n",
        tests("command_line/test_resume.py", "test_damaged_chunk_is_recomputed"),
    ),
    Mutation(
        "results-json-first",
        "The file that says that all results are there is put in its place first.",
        EXPERIMENTS + "_output.py",
        "        for name in FILES:\n            os.replace(",
        "        for name in reversed(FILES):\n            os.replace(",
        tests("command_line/test_resume.py", "test_damaged_part_and_unfinished_value"),
    ),
    Mutation(
        "experiment-program-for-every-number",
        "An experiment compiles a program for every value of a parameter.",
        EXPERIMENTS + "_replicas.py",
        "_compiled_part = eqx.filter_jit(_part)",
        "_compiled_part = _part",
        tests("command_line/test_resume.py", "test_no_recompilation_for_other_parameters"),
    ),
    Mutation(
        "experiment-temperature-bias",
        "The excess entropy lacks the bias of the temperature of the sample.",
        EXPERIMENTS + "_entropy.py",
        "return float(digamma(dim * (num - 1) / 2)) + math.log(2 / (dim * num))",
        "return 0.0",
        tests("command_line/test_maxwell_bkw.py", "test_maxwellian_has_no_excess_entropy[4-16]"),
    ),
    Mutation(
        "plot-fit-below-the-floor",
        "The slope of a figure is fitted through points below the noise floor too.",
        EXPERIMENTS + "plotting.py",
        "above = (e > limit) & (e > 0)",
        "above = e > 0",
        tests("command_line/test_plotting.py", "test_convergence_panel"),
    ),
    Mutation(
        "resume-loses-saves",
        "A long run that goes on loses what was saved before it was killed.",
        EXPERIMENTS + "_replicas.py",
        """        chunks.append(kept[1])
        bar.advance(len(chunks[0]["times"]))
""",
        "",
        tests("command_line/test_resume.py", "test_killed_run_is_resumed[arguments1-*/checkpoint.npz-1]"),
    ),
    Mutation(
        "import-of-another-family",
        "The Boltzmann room imports the Landau room.",
        BOLTZMANN + "systems.py",
        "    def default_scheme(self) -> AbstractScheme:\n        return ExactClock()\n",
        "    def default_scheme(self) -> AbstractScheme:\n        from .. import landau as landau\n\n"
        "        return ExactClock()\n",
        tests("core/test_import_graph.py", "test_imports_point_down[jaxkinetic/boltzmann/systems.py]"),
    ),
    Mutation(
        "import-upwards",
        "A room at the bottom imports one above it.",
        "jaxkinetic/_checks.py",
        "def describe(value: Any) -> str:\n",
        "def describe(value: Any) -> str:\n    from . import states as states\n\n",
        tests("core/test_import_graph.py", "test_imports_point_down[jaxkinetic/_checks.py]"),
    ),
    Mutation(
        "import-numpy-in-kernels",
        "A kernel imports more than jax.",
        KERNELS + "nearest.py",
        "import jax\nimport jax.numpy as jnp\n",
        "import jax\nimport jax.numpy as jnp\nimport numpy as np  # noqa: F401\n",
        tests("core/test_import_graph.py", "test_kernels_import_jax_only[nearest.py]"),
    ),
    Mutation(
        "import-private-api",
        "A module uses a private interface of JAX.",
        "jaxkinetic/_batches.py",
        "import jax\n",
        "import jax\nimport jax._src.core\n",
        tests("core/test_import_graph.py", "test_public_apis_only[jaxkinetic/_batches.py]"),
    ),
    Mutation(
        "import-makes-an-array",
        "An array is made when the library is imported: the precision can no longer be chosen.",
        PAIRS + "sphere.py",
        "LATEST = 40.0\n",
        "LATEST = jnp.asarray(40.0)\n",
        tests("core/test_import_graph.py", "test_import_has_no_side_effects"),
    ),
]
