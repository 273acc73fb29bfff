"""Puts every mistake of `mutations/` into a scratch copy of the library, and shows that a test fails.

    python tests/tools/mutate.py                    # all but those that only slow tests detect
    python tests/tools/mutate.py --slow             # those that only slow tests detect
    python tests/tools/mutate.py 'exact-*' knn-ball
    python tests/tools/mutate.py --control          # only the tests, without a mistake: they must pass
    python tests/tools/mutate.py --check            # run nothing: snippets occur once, patched files compile, tests exist
    python tests/tools/mutate.py --list | --table

Exit status 1 if a mistake was not seen, or if its test could not run. BROKEN, not seen: an import that fails, a test that is
not found, a time limit, a NameError of the patch itself.
"""

import argparse
import fnmatch
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "jaxkinetic",
    "kernels",
    "tests",
    "benchmarks",
    "tools",
    "docs",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
)
IGNORED = shutil.ignore_patterns("__pycache__", ".*", "*.pyc")
LIMIT, SLOW_LIMIT = 150, 600  # seconds for one test, which is fast or slow
PYTEST = ["-n0", "-p", "no:cacheprovider", "-m", "not gpu"]
# Of a patch that is broken.
ERRORS = ("NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError")
# Prints "slow" or "fast" and the id of every test.
COLLECT = """
import sys, pytest

class Printer:
    def pytest_collection_finish(self, session):
        for item in session.items:
            print("slow" if item.get_closest_marker("slow") else "fast", item.nodeid)

sys.exit(pytest.main(["--collect-only", "-qq", *sys.argv[1:]], plugins=[Printer()]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("names", nargs="*", help="names of mutations, or shell patterns; default: all")
    parser.add_argument("--slow", action="store_true", help="those that only slow tests detect")
    parser.add_argument("--list", action="store_true", help="print names and mistakes, run nothing")
    parser.add_argument("--check", action="store_true", help="check snippets and test ids, run nothing")
    parser.add_argument("--table", action="store_true", help="write tests/MUTATIONS.md, run nothing")
    parser.add_argument("--control", action="store_true", help="run the tests without a mistake: they must pass")
    parser.add_argument("--jobs", type=int, default=2, help="mutations at once, each in a scratch copy (default: 2)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: the one of this file)")
    parser.add_argument("--scratch", type=Path, help="keep the copies here, with their compilation cache")
    given = parser.parse_args()
    root = given.root.resolve()
    if not (root / "jaxkinetic" / "__init__.py").is_file():
        parser.error(f"{root} is not the repository; pass --root")
    if given.jobs < 1:
        parser.error("--jobs must be at least 1")
    named = [m for m in MUTATIONS if not given.names or any(fnmatch.fnmatchcase(m.name, name) for name in given.names)]
    if not named:
        parser.error("no mutation has such a name; see --list")
    if given.list:
        for mutation in named:
            print(f"{mutation.name:<36} {mutation.mistake}")
        return 0
    # Ends the tests that run, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    collected = collect(root)
    problems = check_snippets(MUTATIONS, root) + check_tests(MUTATIONS, collected)
    print(
        "\n".join(problems) or f"{len(MUTATIONS)} mutations: each snippet occurs once and compiles, each test exists."
    )
    if problems:
        return 1
    slow = {m.name for m in MUTATIONS if all(is_slow(test, collected) for test in m.seen_by)}
    page = root / "tests" / "MUTATIONS.md"
    if given.check:
        stale = page.read_text() != table(MUTATIONS, slow)
        print("tests/MUTATIONS.md is out of date; run --table." * stale, end="\n" * stale)
        return int(stale)
    if given.table:
        page.write_text(table(MUTATIONS, slow))
        print(f"Wrote {page}.")
        return 0
    chosen = named if given.names else [m for m in named if (m.name in slow) == given.slow]
    with tempfile.TemporaryDirectory(prefix="jaxkinetic-mutate-") as folder:
        runner = Runner(root, given.scratch.resolve() if given.scratch else Path(folder), given.jobs, slow)
        return runner.control(chosen) if given.control else runner.run(chosen)


# ---- checks --------------------------------------------------------------------------------------------------------------


def collect(root: Path) -> dict[str, bool]:
    """Whether it is slow, for the id of every test."""
    command = [sys.executable, "-c", COLLECT, *PYTEST, "tests"]
    done = subprocess.run(command, cwd=root, env=environment(root), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"The tests cannot be collected:\n{(done.stdout + done.stderr)[-2000:]}")
    lines = [line.partition(" ") for line in done.stdout.splitlines() if line.startswith(("slow ", "fast "))]
    return {test: speed == "slow" for speed, _, test in lines}


def check_snippets(mutations: Sequence[Mutation], root: Path) -> list[str]:
    """One line for every snippet that does not occur exactly once, and for every replacement that does not compile."""
    problems, seen = [], set()
    for mutation in mutations:
        if mutation.name in seen:
            problems.append(f"{mutation.name}: two mutations have this name")
        seen.add(mutation.name)
        try:
            compile(mutated(mutation, (root / mutation.file).read_text()), mutation.file, "exec")
        except (OSError, SyntaxError, ValueError) as error:
            problems.append(f"{mutation.name}: {error}")
    return problems


def check_tests(mutations: Sequence[Mutation], collected: dict[str, bool]) -> list[str]:
    """One line for every test that pytest does not collect."""
    return [
        f"{mutation.name}: pytest does not collect {test}"
        for mutation in mutations
        for test in mutation.seen_by
        if not cases(test, collected)
    ]


def cases(test: str, collected: dict[str, bool]) -> list[str]:
    """The collected tests that an id selects: itself, or all its parameters."""
    return [test] if test in collected else [other for other in collected if other.startswith(f"{test}[")]


def is_slow(test: str, collected: dict[str, bool]) -> bool:
    return all(collected[case] for case in cases(test, collected))


def mutated(mutation: Mutation, text: str) -> str:
    """**Raises:** `ValueError` unless `old` occurs exactly once."""
    count = text.count(mutation.old)
    if count != 1:
        raise ValueError(f"its snippet occurs {count} times in {mutation.file}, and must occur once")
    if mutation.new == mutation.old:
        raise ValueError("its snippet is not changed")
    return text.replace(mutation.old, mutation.new)


def table(mutations: Sequence[Mutation], slow: set[str]) -> str:
    lines = [
        "# Mistakes that the tests detect",
        "",
        "`python tests/tools/mutate.py` puts each of these mistakes into a scratch copy of the library and shows that the test",
        "fails. This table is written by `python tests/tools/mutate.py --table` from `tests/tools/mutations/`.",
        "",
        "| mistake | file | test that fails |",
        "|---|---|---|",
    ]
    for m in mutations:
        tests = "<br>".join(f"`{_cell(test.removeprefix('tests/'))}`" for test in m.seen_by)
        lines.append(f"| {_cell(m.mistake)} | `{m.file}` | {tests}{' (slow)' if m.name in slow else ''} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# ---- runs ----------------------------------------------------------------------------------------------------------------


def environment(root: Path) -> dict[str, str]:
    """For a process that imports the library from `root`, not from an editable install."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "kernels")]),
        # A file that is changed and restored within a second would be mistaken for its old bytecode.
        "PYTHONDONTWRITEBYTECODE": "1",
        # So that pytest does not shorten the lines of its summary.
        "COLUMNS": "1000",
    }


class Runner:
    """Scratch copies of the repository, one for each job, with one compilation cache."""

    def __init__(self, root: Path, scratch: Path, jobs: int, slow: set[str]):
        self._jobs, self._slow = jobs, slow
        self._free: queue.Queue[Path] = queue.Queue()
        self._running: set[subprocess.Popen] = set()
        scratch.mkdir(parents=True, exist_ok=True)
        mark = scratch / ".made-by-mutate"
        if any(scratch.iterdir()) and not mark.is_file():
            raise SystemExit(f"--scratch must be empty, or an earlier one, but {scratch} holds something else")
        mark.touch()
        self._cache = {"JAX_COMPILATION_CACHE_DIR": str(scratch / "cache")}
        for number in range(jobs):
            copy(root, scratch / f"copy{number}")
            check_imports(scratch / f"copy{number}")
            self._free.put(scratch / f"copy{number}")

    def run(self, chosen: Sequence[Mutation]) -> int:
        """One process for each mutation; one line for each."""
        outcomes: dict[str, list[str]] = {"seen": [], "NOT SEEN": [], "BROKEN": []}
        started = time.perf_counter()
        # Mutations of one test file follow each other, so that the compilation cache is warm.
        for name, verdict, test, why, seconds in self._map(self._one, sorted(chosen, key=lambda m: m.seen_by)):
            outcomes[verdict].append(name)
            print(f"{verdict:<8} {seconds:4.0f} s  {name:<36} {test.removeprefix('tests/')}  {why}", flush=True)
        counts = ", ".join(f"{len(names)} {verdict}" for verdict, names in outcomes.items())
        print(f"\n{len(chosen)} mistakes in {time.perf_counter() - started:.0f} s: {counts}.")
        for verdict in ("NOT SEEN", "BROKEN"):
            if outcomes[verdict]:
                print(f"{verdict}: {' '.join(outcomes[verdict])}")
        return int(len(outcomes["seen"]) < len(chosen))

    def control(self, chosen: Sequence[Mutation]) -> int:
        """The tests of one file in one process, without a mistake."""
        files: dict[str, set[str]] = {}
        for test in (test for m in chosen for test in m.seen_by):
            files.setdefault(test.partition("::")[0], set()).add(test)
        failed = False
        for status, output in self._map(self._unchanged, [sorted(tests) for tests in files.values()]):
            failed = failed or status != 0
            print(output[-4000:] if status else output.splitlines()[-1], flush=True)
        print("Control: FAILED." if failed else "Control: without a mistake all tests pass.")
        return int(failed)

    def _map(self, function, items):
        """The results as they come."""
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                for future in as_completed([pool.submit(function, item) for item in items]):
                    yield future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._running):
                    os.killpg(process.pid, signal.SIGKILL)
                raise

    def _one(self, mutation: Mutation) -> tuple[str, str, str, str, float]:
        copy = self._free.get()
        path, begun = copy / mutation.file, time.perf_counter()
        text = path.read_text()
        path.write_text(mutated(mutation, text))
        try:
            status, output = self._pytest(
                ["-x", *mutation.seen_by], copy, SLOW_LIMIT if mutation.name in self._slow else LIMIT
            )
        finally:
            path.write_text(text)
            self._free.put(copy)
        verdict, test, why = judged(status, output)
        return mutation.name, verdict, test or mutation.seen_by[0], why, time.perf_counter() - begun

    def _unchanged(self, tests: Sequence[str]) -> tuple[int | None, str]:
        copy = self._free.get()
        try:
            return self._pytest(tests, copy, SLOW_LIMIT, LIMIT * len(tests))
        finally:
            self._free.put(copy)

    def _pytest(self, arguments: Sequence[str], copy: Path, limit: int, more: int = 60) -> tuple[int | None, str]:
        """(exit status, output); the status is None if the time was over: `limit` for each test, `more` for the rest."""
        command = [sys.executable, "-m", "pytest", "-q", *PYTEST, "--timeout", str(limit), "--tb=line", "-rfE"]
        # A session of its own: what a test has started ends with it.
        process = subprocess.Popen(
            command + list(arguments), cwd=copy, env=environment(copy) | self._cache, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        self._running.add(process)
        try:
            output, _ = process.communicate(timeout=limit + more)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, process.communicate()[0]
        finally:
            self._running.discard(process)


def copy(root: Path, scratch: Path) -> None:
    """A copy of what the tests need; an older copy is replaced."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, scratch / name, ignore=IGNORED)
        elif (root / name).is_file():
            shutil.copy2(root / name, scratch / name)


def check_imports(scratch: Path) -> None:
    """Stops unless the copy is imported."""
    code = "import jaxkinetic, jaxkinetic_kernels; print(jaxkinetic.__file__); print(jaxkinetic_kernels.__file__)"
    with tempfile.TemporaryDirectory() as elsewhere:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment(scratch), cwd=elsewhere, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"The copy cannot be imported:\n{done.stderr}")
    for path in done.stdout.split():
        if not Path(path).resolve().is_relative_to(scratch):
            raise SystemExit(f"{path} is imported, and not the copy in {scratch}")


def judged(status: int | None, output: str) -> tuple[str, str, str]:
    """(verdict, test that failed, reason). "seen": a test ran and failed."""
    lines = output.splitlines()
    failed = [line.removeprefix("FAILED ") for line in lines if line.startswith("FAILED ")]
    errors = [line for line in lines if line.startswith("ERROR ")]
    if status is None or any("Failed: Timeout" in line for line in failed):
        return "BROKEN", "", "the time was over"
    if status == 0:
        # Also where every test was skipped.
        return "NOT SEEN", "", lines[-1] if lines else ""
    if status != 1 or errors or not failed:
        words = {2: "interrupted, or not collected", 3: "internal error", 4: "not found", 5: "no test was collected"}
        return "BROKEN", "", f"{words.get(status, f'exit status {status}')}: {(errors or lines or [''])[-1][:160]}"
    test, _, reason = failed[0].partition(" - ")
    if reason.startswith(ERRORS):
        return "BROKEN", test, f"the patch is broken: {reason[:160]}"
    return "seen", test, reason[:100]


if __name__ == "__main__":
    sys.exit(main())
