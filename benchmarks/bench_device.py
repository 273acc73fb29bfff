"""Whether an accelerator computes what the CPU computes, and how fast: for the device that JAX finds, in under eight minutes.

    PYTHONPATH=.:kernels python benchmarks/bench_device.py [--out DIR] [--deadline 460] [--only REGEX] [--profile] [--quick]

1. `verify`: every system, scheme, gradient and diagnostic on the device beside the CPU of this process (_device_checks.py),
   in float32.
2. `bitwise`: restarts in this process and in a second one, and gradients called twice (_device_restart.py).
3. `compile`, `time`: the main paths at sizes for a device, beside ceilings measured on the same device (_device_items.py).
4. `verify` in float64, with the time that is left.

DIR/device.json is complete after every item. The most important items come first; what is predicted to take too long is skipped
with a line, and at the deadline the process ends. Exit status: 1 if a check failed, 3 at the deadline. It needs the package's
own dependencies only. `python benchmarks/_device_table.py FILE...` keeps the JSONs of one run, or of several with `--only`, and
writes docs/performance.md.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

START = time.perf_counter()

import _harness as harness  # noqa: E402
from _device_report import Report, failure  # noqa: E402

# Shares of the deadline at which no new item of a part starts.
FLOAT32, BITWISE, COMPILE, FLOAT64 = 0.4, 0.5, 0.75, 0.9


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    out = Path(os.environ["OUT"]) if os.environ.get("OUT") else harness.RESULTS
    parser.add_argument("--out", type=Path, default=out, help="a folder for device.json; default: $OUT, else results")
    parser.add_argument("--deadline", type=float, default=460.0, help="seconds after which the process ends")
    parser.add_argument("--budget", type=float, default=12.0, help="seconds that a timed item may take")
    parser.add_argument("--only", default="", help="a regular expression: items whose name, with its part, matches")
    parser.add_argument("--threads", type=int, default=max(1, min(8, (os.cpu_count() or 2) // 2)), help="that compile")
    parser.add_argument("--profile", action="store_true", help="trace a call of the two slowest items")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, some of the checks: whether the programs work, not how fast"
    )
    return parser.parse_args(arguments)


def verify(report: Report, chosen: argparse.Namespace, wanted, dtype: str, until: float) -> None:
    import concurrent.futures

    import _device_checks
    import jax

    device, cpu = jax.devices()[0], jax.devices("cpu")[0]

    def one(check) -> None:
        name = f"{check.name}, {check.dtype}"
        if report.elapsed() > until:
            report.note(f"not verified for want of time: {name}")
            return
        begin = time.perf_counter()
        try:
            value = _device_checks.run_check(check, device, cpu)
        except Exception as error:
            value = {"passed": False, **failure(error)}
        report.record("verify", name, {**value, "seconds": time.perf_counter() - begin})

    found = [check for check in _device_checks.checks(chosen.quick) if check.dtype == dtype]
    checks = [check for check in found if wanted(f"verify: {check.name}, {check.dtype}")]
    with concurrent.futures.ThreadPoolExecutor(chosen.threads) as pool:
        for task in [pool.submit(one, check) for check in checks]:
            task.result()


def time_paths(report: Report, chosen: argparse.Namespace, wanted) -> None:
    import _device_items
    import _device_timing as timing
    import jax

    # Without the ceilings there are no shares.
    items = [item for item in _device_items.items(chosen.quick) if item.ceiling or wanted(f"time: {item.name}")]
    if all(item.ceiling for item in items) and not wanted("time: ceilings"):
        return
    device = jax.devices()[0]
    programs = timing.compile_all(items, report, chosen.threads, COMPILE * chosen.deadline)
    calls = timing.time_all(items, programs, report, device, chosen.budget)
    if chosen.profile:
        paths = [item.name for item in items if not item.ceiling and calls.get(item.name, 2.0) < 2.0]
        slowest = sorted(paths, key=lambda name: -calls[name])[:2]
        timing.profile(slowest, items, programs, report, device, chosen.out)


def measure(report: Report, chosen: argparse.Namespace, wanted) -> None:
    """All parts, in the order of the module's docstring."""
    import _device_restart as restart

    verify(report, chosen, wanted, "float32", FLOAT32 * chosen.deadline)
    # Not in `out`: of a lent machine only a few files come back.
    with tempfile.TemporaryDirectory() as folder:
        restart.run(report, chosen.quick, Path(folder), chosen.threads, BITWISE * chosen.deadline, wanted)
    time_paths(report, chosen, wanted)
    verify(report, chosen, wanted, "float64", FLOAT64 * chosen.deadline)


def main() -> None:
    chosen = options()
    import jax

    head = {
        **harness.provenance(os.cpu_count() or 1), "platform": jax.devices()[0].platform,
        "device_kind": jax.devices()[0].device_kind, "quick": chosen.quick, "only": chosen.only, "threads": chosen.threads,
        "deadline": chosen.deadline, "flags": os.environ.get("XLA_FLAGS", ""),
        "method": "best and median of compiled programs, each call waited for; a first call is not counted",
    }  # fmt: skip
    report = Report(chosen.out / "device.json", head, chosen.deadline, START)
    report.save()
    report.watch()

    def wanted(name: str) -> bool:
        return re.search(chosen.only, name) is not None

    measure(report, chosen, wanted)
    report.finish()
    failed = [name for name, value in report.content["verify"].items() if not value["passed"]]
    import _device_table

    print("\n".join(_device_table.summary(report.content)))
    # Threads of the runtime may outlive the work.
    sys.stdout.flush()
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
