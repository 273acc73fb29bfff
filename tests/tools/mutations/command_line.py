"""The command line, experiments, figures, and the import graph."""

from .mutation import BOLTZMANN, EXPERIMENTS, KERNELS, Mutation, tests

MUTATIONS = [
    Mutation(
        "cli-exit-status",
        "Bad options give the exit status 1 instead of 2.",
        EXPERIMENTS + "cli.py",
        "        return 2\n",
        "        return 1\n",
        tests("command_line/test_command_line.py", "test_too_few_steps_are_reported_first"),
    ),
    Mutation(
        "cli-seed",
        "The seed of an experiment is not used.",
        "jaxkinetic/experiments/_harness/replicas.py",
        'jax.random.key(options.seed, impl="threefry2x32"), parts * size)',
        'jax.random.key(0, impl="threefry2x32"), parts * size)',
        tests("command_line/test_command_line.py", "test_seed_determines_the_table"),
    ),
    Mutation(
        "cli-saves-need-a-divisor",
        "The saves of an experiment need a divisor of the number of steps.",
        "jaxkinetic/experiments/_harness/replicas.py",
        "return tuple(int(step) for step in np.unique(np.rint(np.linspace(0, steps, 21))))",
        "return tuple(range(0, steps + 1, max(1, steps // 20)))",
        tests("command_line/test_command_line.py", "test_saves_are_few_and_even"),
    ),
    Mutation(
        "resume-computes-again",
        "A resumed run computes its finished parts again.",
        "jaxkinetic/experiments/_harness/replicas.py",
        "kept = watch.partial.load(label, part) if watch.partial else None",
        "kept = None",
        tests("command_line/test_resume.py", "test_resume_checks_the_options"),
    ),
    Mutation(
        "resume-another-run",
        "A run is resumed from the parts of a run with other options.",
        "jaxkinetic/experiments/_harness/partial.py",
        "elif other != value:",
        "elif False:",
        tests("command_line/test_resume.py", "test_resume_checks_the_options"),
    ),
    Mutation(
        "resume-damaged-part",
        "A damaged part stops a resumed run.",
        "jaxkinetic/experiments/_harness/partial.py",
        """            # Damaged by something else than a kill: it is made again.
            return None
""",
        """            raise
""",
        tests("command_line/test_resume.py", "test_damaged_part_and_unfinished_value"),
    ),
    Mutation(
        "resume-damaged-chunk",
        "A damaged chunk stops a resumed run.",
        "jaxkinetic/experiments/_harness/replicas.py",
        "    except ValueError:\n        return None\n",
        "    except ValueError:\n        raise\n",
        tests("command_line/test_resume.py", "test_damaged_chunk_is_recomputed"),
    ),
    Mutation(
        "results-json-first",
        "result.json, which says that the results are complete, is put in its place first.",
        "jaxkinetic/experiments/_harness/output.py",
        "        for name in FILES:\n            os.replace(",
        "        for name in reversed(FILES):\n            os.replace(",
        tests("command_line/test_resume.py", "test_damaged_part_and_unfinished_value"),
    ),
    Mutation(
        "experiment-program-for-every-number",
        "An experiment compiles a program for every value of a parameter.",
        "jaxkinetic/experiments/_harness/replicas.py",
        "_compiled_part = eqx.filter_jit(_part)",
        "_compiled_part = _part",
        tests("command_line/test_resume.py", "test_no_recompilation_for_other_parameters"),
    ),
    Mutation(
        "experiment-temperature-bias",
        "The excess entropy lacks the bias of the temperature of the sample.",
        "jaxkinetic/experiments/catalogue/_entropy.py",
        "return float(digamma(dim * (num - 1) / 2)) + math.log(2 / (dim * num))",
        "return 0.0",
        tests("command_line/test_maxwell_bkw.py", "test_maxwellian_has_no_excess_entropy[4-16]"),
    ),
    Mutation(
        "plot-fit-below-the-floor",
        "The slope of a figure is fitted through points below the noise floor too.",
        "jaxkinetic/plotting.py",
        "above = (e > limit) & (e > 0)",
        "above = e > 0",
        tests("command_line/test_plotting.py", "test_convergence_panel"),
    ),
    Mutation(
        "resume-loses-saves",
        "A resumed long run loses what was saved before it was killed.",
        "jaxkinetic/experiments/_harness/replicas.py",
        """        chunks.append(kept[1])
        bar.advance(len(chunks[0]["times"]))
""",
        "",
        tests("command_line/test_resume.py", "test_killed_run_is_resumed[arguments1-*/checkpoint.npz-1]"),
    ),
    Mutation(
        "import-of-another-family",
        "The Boltzmann package imports the Landau package.",
        BOLTZMANN + "systems.py",
        "    def default_scheme(self) -> AbstractScheme:\n        return ExactClock()\n",
        "    def default_scheme(self) -> AbstractScheme:\n        from .. import landau as landau\n\n"
        "        return ExactClock()\n",
        tests("core/test_import_graph.py", "test_imports_point_down[jaxkinetic/boltzmann/systems.py]"),
    ),
    Mutation(
        "import-upwards",
        "A module of the bottom layer imports one above it.",
        "jaxkinetic/_util/checks.py",
        "def describe(value: Any) -> str:\n",
        "def describe(value: Any) -> str:\n    from . import states as states\n\n",
        tests("core/test_import_graph.py", "test_imports_point_down[jaxkinetic/_util/checks.py]"),
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
        "jaxkinetic/_util/fft_blocks.py",
        "import jax\n",
        "import jax\nimport jax._src.core\n",
        tests("core/test_import_graph.py", "test_public_apis_only[jaxkinetic/_util/fft_blocks.py]"),
    ),
    Mutation(
        "import-makes-an-array",
        "An array is made when the library is imported: the precision can no longer be chosen.",
        "jaxkinetic/pairs/spherical_heat/__init__.py",
        "LATEST = 40.0\n",
        "LATEST = jnp.asarray(40.0)\n",
        tests("core/test_import_graph.py", "test_import_has_no_side_effects"),
    ),
    Mutation(
        "cli-list",
        "`jaxkinetic list` leaves out an experiment.",
        EXPERIMENTS + "cli.py",
        "for experiment in CATALOGUE.values():",
        "for experiment in list(CATALOGUE.values())[1:]:",
        tests("command_line/test_command_line.py", "test_list"),
    ),
    Mutation(
        "cli-manifest-seed",
        "The manifest does not hold the seed.",
        "jaxkinetic/experiments/_harness/run.py",
        """        "seed": getattr(options, "seed", None),
""",
        "",
        tests("command_line/test_command_line.py", "test_run_output"),
    ),
    Mutation(
        "cli-precision-of-a-grid",
        "An experiment on a grid runs in single precision by default.",
        EXPERIMENTS + "cli.py",
        "precision = options.precision or experiment.precision",
        "precision = options.precision or 32",
        tests("command_line/test_command_line.py", "test_run_on_a_grid"),
    ),
    Mutation(
        "sweep-values-of-another-sweep",
        "Finished values of a sweep with other options are used.",
        "jaxkinetic/experiments/_harness/sweep.py",
        """    if other is None and manifest is not None:
        return manifest["results"]
""",
        """    if manifest is not None:
        return manifest["results"]
""",
        tests("command_line/test_resume.py", "test_sweep_over_the_exponent"),
    ),
    Mutation(
        "sweep-of-words",
        "A sweep over words takes its values for numbers.",
        "jaxkinetic/experiments/_harness/sweep.py",
        "float(v) if KINDS[name] is not str else i",
        "float(v)",
        tests("command_line/test_resume.py", "test_sweep_over_words"),
    ),
    Mutation(
        "plot-negative-values",
        "A figure of the entropy shows negative values on its logarithmic axis.",
        "jaxkinetic/plotting.py",
        """    shown = y > 0
""",
        """    shown = y > -np.inf
""",
        tests("command_line/test_plotting.py", "test_entropy_panel"),
    ),
    Mutation(
        "plot-rates-of-noise",
        "A figure shows decay rates between saves that do not stand out of the noise.",
        "jaxkinetic/plotting.py",
        "known = (y[1:] > 3 * floor[1:]) & (y[:-1] > 3 * floor[:-1]) &",
        "known = (y[1:] > 0 * floor[1:]) & (y[:-1] > 0 * floor[:-1]) &",
        tests("command_line/test_plotting.py", "test_local_rate_panel"),
    ),
    Mutation(
        "plot-counts",
        "A slice of the velocities shows counts instead of a density.",
        "jaxkinetic/plotting.py",
        "density = counts / max(counts.sum(), 1) / np.diff(x)[0] / np.diff(y)[0]",
        "density = counts / max(counts.sum(), 1)",
        tests("command_line/test_plotting.py", "test_density_panels"),
    ),
    Mutation(
        "results-removed-first",
        "Earlier results are removed before the run.",
        "jaxkinetic/experiments/_harness/output.py",
        """        with tempfile.TemporaryFile(dir=path):
            pass
""",
        """        for name in FILES:
            (path / name).unlink(missing_ok=True)
""",
        tests("command_line/test_command_line.py", "test_failed_run_keeps_earlier_results"),
    ),
    Mutation(
        "cli-traceback",
        "Bad options end in a traceback.",
        EXPERIMENTS + "cli.py",
        "except (ValueError, SimulationError, OSError, ImportError) as error:",
        "except (SimulationError, OSError, ImportError) as error:",
        tests("command_line/test_command_line.py", "test_argument_errors"),
    ),
    Mutation(
        "cli-dimension-not-checked",
        "The smallest dimension of an experiment is not checked.",
        "jaxkinetic/experiments/_harness/experiment.py",
        'check_integer("--dim", self.dim, minimum=least_dim)',
        'check_integer("--dim", self.dim, minimum=1)',
        tests("command_line/test_command_line.py", "test_argument_errors"),
    ),
    Mutation(
        "cli-folder-error",
        "A folder that cannot be written is reported by the operating system's error, which does not name the option.",
        "jaxkinetic/experiments/_harness/output.py",
        """    except OSError as error:
        raise argument_error(
            "--out",""",
        """    except FileExistsError as error:
        raise argument_error(
            "--out",""",
        tests("command_line/test_command_line.py", "test_unwritable_folder_is_reported_first"),
    ),
    Mutation(
        "names-plan-is-private",
        "A system with a layout of its own must import its base class from a private module.",
        "jaxkinetic/__init__.py",
        '"AbstractSystem", "SplitPlan",',
        '"AbstractSystem",',
        tests("core/test_public_names.py", "test_authors_need_no_private_module"),
    ),
    Mutation(
        "layers-ghost",
        "The list of layers names a module that does not exist.",
        "tests/core/test_import_graph.py",
        '("fitting", "oscillation", "plotting"),',
        '("fitting", "oscillation", "chaos", "plotting"),',
        tests("core/test_import_graph.py", "test_layers_exist"),
    ),
]
