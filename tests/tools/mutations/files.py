"""Checkpoints, files and runs in chunks."""

from .mutation import Mutation, tests

MUTATIONS = [
    Mutation(
        "checkpoint-key",
        "A checkpoint on disk loses the key.",
        "jaxkinetic/_checkpoint.py",
        "        checkpoint.key,\n",
        "        checkpoint.key * 0,\n",
        tests(
            "core/test_checkpoints.py", "test_restart_from_file_is_bitwise[EulerMaruyama()-<class 'jax.numpy.float64'>]"
        ),
    ),
    Mutation(
        "checkpoint-option-of-scheme",
        "A checkpoint read from disk loses the options of the scheme.",
        "jaxkinetic/_checkpoint.py",
        "checkpoint.step, checkpoint.t0, checkpoint.dt, checkpoint.scheme,\n        own,",
        "checkpoint.step, checkpoint.t0, checkpoint.dt, type(checkpoint.scheme)(),\n        own,",
        tests(
            "core/test_checkpoints.py",
            "test_restart_from_file_is_bitwise[Sweep(symmetric=False)-<class 'jax.numpy.float64'>]",
        ),
    ),
    Mutation(
        "checkpoint-dtype",
        "A checkpoint on disk holds float64 numbers in float32.",
        "jaxkinetic/_trees.py",
        "arrays.append(np.asarray(tree))",
        "arrays.append(np.asarray(tree, {'float64': 'float32'}.get(str(tree.dtype), tree.dtype)))",
        tests(
            "core/test_checkpoints.py", "test_restart_from_file_is_bitwise[EulerMaruyama()-<class 'jax.numpy.float64'>]"
        ),
    ),
    Mutation(
        "checkpoint-other-system",
        "A run goes on with another system than it began with.",
        "jaxkinetic/_fingerprint.py",
        "if old is None or new is None or old.entries == new.entries:",
        "if True:",
        tests("core/test_simulate.py", "test_continuing_with_another_system_raises"),
    ),
    Mutation(
        "file-written-in-place",
        "A file is written in its place: a process that is killed leaves half of it.",
        "jaxkinetic/_files.py",
        'beside = path.with_name(f"{ours}{os.getpid()}-{threading.get_ident()}.partial")',
        "beside = path",
        tests("core/test_checkpoints.py", "test_write_is_atomic"),
    ),
    Mutation(
        "file-one-name-in-progress",
        "Two writers use one name for the file in progress.",
        "jaxkinetic/_files.py",
        'beside = path.with_name(f"{ours}{os.getpid()}-{threading.get_ident()}.partial")',
        'beside = path.with_name(f"{ours}0.partial")',
        tests("core/test_checkpoints.py", "test_two_writers_of_one_path"),
    ),
    Mutation(
        "file-of-a-running-writer-removed",
        "The file in progress of another writer is removed.",
        "jaxkinetic/_files.py",
        'if not _is_running(left.name.removeprefix(ours).partition("-")[0]):',
        "if True:",
        tests("core/test_checkpoints.py", "test_stale_partial_files_are_removed"),
    ),
    Mutation(
        "file-of-a-newer-version",
        "A file of a newer version is read as if it were known.",
        "jaxkinetic/_files.py",
        'readable = ours and header["version"] <= version',
        "readable = ours",
        tests("core/test_checkpoints.py", "test_bad_headers_raise"),
    ),
    Mutation(
        "chunk-save-lost-at-border",
        "A save at the end of a chunk is lost.",
        "jaxkinetic/_iterate.py",
        "(first <= step if fresh else first < step) and step <= last)",
        "(first <= step if fresh else first < step) and step < last)",
        tests("core/test_checkpoints.py", "test_chunks_equal_one_run[save4-4]"),
    ),
    Mutation(
        "chunk-doubled",
        "A chunk beyond the checkpoint stays when the run goes on with another chunk size.",
        "jaxkinetic/_iterate.py",
        "if _last_step(file) > done - size:",
        "if False:",
        tests("core/test_checkpoints.py", "test_continuing_with_another_chunk"),
    ),
    Mutation(
        "chunk-of-another-run",
        "A folder that holds the chunks of another run is accepted.",
        "jaxkinetic/_iterate.py",
        'if header.get("key", ours) != ours:',
        "if False:",
        tests("core/test_checkpoints.py", "test_chunked_run_continues"),
    ),
    Mutation(
        "chunk-of-a-failed-run",
        "A run that failed overwrites its last good checkpoint.",
        "jaxkinetic/_iterate.py",
        "    if bool(solution.result.ok):\n",
        "    if True:\n",
        tests("core/test_checkpoints.py", "test_failed_run_keeps_its_last_good_checkpoint"),
    ),
]
