"""Faults of files, folders and fingerprints that others' bug reports and strangers found."""

from .mutation import EXPERIMENTS, Mutation, tests

HOLDS = "core/test_what_systems_hold.py"
FOLDERS = "core/test_folders.py"
KEPT = "command_line/test_kept_results.py"
BAD = "bad_inputs/test_bad_files.py"

MUTATIONS = [
    Mutation(
        "function-by-its-name",
        "A function that closes over another number is taken for the same.",
        "jaxkinetic/_io/contents.py",
        """            yield name, cell.cell_contents
""",
        """            yield name, type(cell.cell_contents)
""",
        tests(HOLDS, "test_functions_by_what_they_hold[closure]"),
    ),
    Mutation(
        "function-default",
        "Defaults of a function's arguments do not count.",
        "jaxkinetic/_io/contents.py",
        "    defaults = function.__defaults__ or ()\n",
        "    defaults = ()\n",
        tests(HOLDS, "test_functions_by_what_they_hold[default]"),
    ),
    Mutation(
        "function-code",
        "The constants in the code of a function do not count.",
        "jaxkinetic/_io/contents.py",
        "            whole.update(_digest(constant).encode())\n",
        "            pass\n",
        tests(HOLDS, "test_functions_by_what_they_hold[constant]"),
    ),
    Mutation(
        "function-globals",
        "The globals that a function reads do not count.",
        "jaxkinetic/_io/contents.py",
        """        yield name, value


@functools.lru_cache(4096)
""",
        """        yield name, None


@functools.lru_cache(4096)
""",
        tests(HOLDS, "test_globals_that_the_code_reads"),
    ),
    Mutation(
        "function-when-saved",
        "What functions hold is looked up when the file is written, not when the run ends.",
        "jaxkinetic/_io/fingerprint.py",
        "tree, held = tree.system(), tree.held",
        "tree = tree.system()",
        tests(HOLDS, "test_globals_that_the_code_reads"),
    ),
    Mutation(
        "class-by-its-name",
        "A class of the user's that was edited, or closes over another number, is taken for the same.",
        "jaxkinetic/_io/contents.py",
        '        if not _is_known(type(value).__module__):\n            _record(f"the class',
        '        if False:\n            _record(f"the class',
        tests(HOLDS, "test_classes_of_one_name"),
    ),
    Mutation(
        "fingerprint-slotnames",
        "What Python keeps in a class after its first pickling is part of the fingerprint.",
        "jaxkinetic/_io/contents.py",
        '"__slotnames__", ',
        "",
        tests(HOLDS, "test_fingerprints_in_another_process"),
    ),
    Mutation(
        "fingerprint-order-of-sets",
        "The order of a set is part of the fingerprint.",
        "jaxkinetic/_io/contents.py",
        "*sorted(map(_digest, value)))",
        "*map(_digest, value))",
        tests(HOLDS, "test_fingerprints_in_another_process"),
    ),
    Mutation(
        "fingerprint-of-older-files",
        "A file of version 0.1.0 with a function is refused.",
        "jaxkinetic/_io/fingerprint.py",
        "    if TRACED in (*held.values(), *holds.values()) or not held:\n",
        "    if TRACED in (*held.values(), *holds.values()):\n",
        tests(HOLDS, "test_function_in_a_file_of_version_0_1_0"),
    ),
    Mutation(
        "failed-run-continues",
        "The checkpoint of a failed run continues and ends as finished.",
        "jaxkinetic/_core/start.py",
        "not is_traced(ended) and not np.all(np.asarray(ended.code) == Result.FINISHED):",
        "not is_traced(ended) and False:",
        tests(HOLDS, "test_failed_run_does_not_continue"),
    ),
    Mutation(
        "failed-run-continues-in-jit",
        "Inside `jit` the failure before a continuation is forgotten.",
        "jaxkinetic/_core/simulate.py",
        "if not fresh and is_traced(start.result):",
        "if False:",
        tests(HOLDS, "test_failed_run_does_not_continue"),
    ),
    Mutation(
        "folder-without-lock",
        "Two runs write to one folder at a time.",
        "jaxkinetic/_io/lock.py",
        "            if not _is_free(file):\n",
        "            if False:\n",
        tests(FOLDERS, "test_two_runs_do_not_share_a_folder", "test_lock_of_another_process"),
    ),
    Mutation(
        "folder-looked-at-once",
        "A folder that another run has filled since the generator was made is written to.",
        "jaxkinetic/_core/iterate.py",
        "_Writer(folder, done, _check_folder(folder, at))",
        "_Writer(folder, done, [])",
        tests(FOLDERS, "test_two_runs_do_not_share_a_folder"),
    ),
    Mutation(
        "lock-of-a-dead-process",
        "Without locks of the system, the lock of a dead process is never taken over.",
        "jaxkinetic/_io/lock.py",
        'and not is_running(str(owner.get("pid"))))',
        "and False)",
        tests(FOLDERS, "test_lock_where_the_system_keeps_none"),
    ),
    Mutation(
        "chunks-of-two-runs",
        "Chunks of two runs are joined.",
        "jaxkinetic/_core/chunks.py",
        "    _check_chain(folder, headers)\n",
        "",
        tests(FOLDERS, "test_chunks_of_two_runs_are_not_joined", "test_missing_chunk"),
    ),
    Mutation(
        "chunk-first-missing",
        "The rest of a run whose first chunk is gone is read as if it were the run.",
        "jaxkinetic/_core/chunks.py",
        'header.get("start") if before is None else before["step"]',
        'header.get("first") if before is None else before["step"]',
        tests(FOLDERS, "test_missing_chunk[2-0-2]"),
    ),
    Mutation(
        "dtype-bytes",
        "bfloat16, float8 and int4 come back from a file as bytes of no kind.",
        "jaxkinetic/_io/atomic_npz.py",
        "                        found[key] = found[key].view(jax.numpy.dtype(dtype))\n",
        "                        pass\n",
        tests(FOLDERS, "test_every_dtype_survives_a_file"),
    ),
    Mutation(
        "names-joined",
        "Two observables whose joined names are the same overwrite each other.",
        "jaxkinetic/_core/iterate.py",
        "            if name in arrays:\n",
        "            if False:\n",
        tests(FOLDERS, "test_names_of_observables"),
    ),
    Mutation(
        "file-in-progress-can-be-guessed",
        "The file in progress has a name that can be guessed, and a link of that name is followed.",
        "jaxkinetic/_io/atomic_npz.py",
        'os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)',
        "os.O_CREAT",
        tests(FOLDERS, "test_file_in_progress_follows_no_link"),
    ),
    Mutation(
        "file-claims-more",
        "Memory is taken for as many bytes as the header of an array claims.",
        "jaxkinetic/_io/atomic_npz.py",
        "        if size != entry.file_size - file.tell():\n",
        "        if False:\n",
        tests(FOLDERS, "test_claimed_sizes"),
    ),
    Mutation(
        "file-compressed",
        "A compressed entry fills the memory.",
        "jaxkinetic/_io/atomic_npz.py",
        "info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for",
        "False for",
        tests(FOLDERS, "test_compressed_entries"),
    ),
    Mutation(
        "results-replaced",
        "A result of other parameters is replaced without a word.",
        "jaxkinetic/experiments/_harness/run.py",
        "            if not force:\n",
        "            if False:\n",
        tests(KEPT, "test_results_of_other_parameters_are_kept"),
    ),
    Mutation(
        "partial-of-the-user-removed",
        "A folder of the user's that is called `partial` is removed.",
        "jaxkinetic/experiments/_harness/partial.py",
        "        except ValueError:\n            return None\n",
        "        except ValueError:\n            return {} if self.folder.exists() else None\n",
        tests(KEPT, "test_partial_of_the_users_own_is_kept"),
    ),
    Mutation(
        "parts-erased",
        "A stopped run without `--resume` erases its finished parts.",
        "jaxkinetic/experiments/_harness/partial.py",
        "if not force and self._has_parts():",
        "if False:",
        tests(KEPT, "test_finished_parts_are_kept"),
    ),
    Mutation(
        "part-of-another-run",
        "A part that was copied from another run is read.",
        "jaxkinetic/_io/part_files.py",
        'return arrays if (header.get("part_of"), header.get("name")) == (self.mark, name) else None',
        "return arrays",
        tests(KEPT, "test_part_of_another_run_is_not_read"),
    ),
    Mutation(
        "commands-share-a-folder",
        "Two commands write to one folder.",
        "jaxkinetic/experiments/_harness/run.py",
        '    with folder_lock("--out", folder):\n',
        "    if True:\n",
        tests(KEPT, "test_two_commands_do_not_share_a_folder"),
    ),
    Mutation(
        "options-abbreviated",
        "The beginning of an option is taken for it.",
        EXPERIMENTS + "cli.py",
        '{"allow_abbrev": False, **options}',
        "options",
        tests(KEPT, "test_no_abbreviations"),
    ),
    Mutation(
        "path-by-the-system",
        "A path that cannot be written ends in an error of the system.",
        "jaxkinetic/_io/atomic_npz.py",
        "        if error.errno not in _OF_THE_PATH:\n            raise\n",
        "        raise\n",
        tests(BAD, "test_bad_files[save to no such folder]"),
    ),
    Mutation(
        "checkpoint-of-bad-fields",
        "A checkpoint whose fields no run has is loaded.",
        "jaxkinetic/_core/checkpoint.py",
        "        _check_fields(found)\n",
        "",
        tests(BAD, "test_bad_files[load step {'value': -5}]", "test_bad_files[load scheme {'value': 3}]"),
    ),
]
