"""Compiles the timed programs in threads, then times them one by one, beside the ceilings of the same device."""

import concurrent.futures
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from _device_items import Item
from _device_report import Report, failure

# Seconds of repetitions, and how many of them at most.
LONG_ENOUGH, MOST = 1.5, 30
PARTS = ("trace", "lower", "compile")


def compile_all(items: Sequence[Item], report: Report, threads: int, until: float) -> dict[str, tuple[Any, Any]]:
    """{name: (program, arguments on the CPU)}. Traced here, compiled in threads; after `until` seconds the rest is left out."""
    cpu = jax.devices("cpu")[0]

    def compiled(item: Item, lowered: Any, times: dict[str, float]) -> Any:
        begin = time.perf_counter()
        try:
            program = lowered.compile()
            value = {**times, "compile": time.perf_counter() - begin, "threads": threads, **memory_of(program)}
            report.record("compile", item.name, value)
            return program
        except Exception as error:
            report.record("compile", item.name, failure(error))
            return None

    found = {}
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for item in items:
            if report.elapsed() > until:
                report.note(f"not compiled for want of time: {item.name}")
                continue
            try:
                with jax.enable_x64(item.x64):
                    with jax.default_device(cpu):
                        function, arguments = item.make()
                    # Shapes alone: the program is made for the default device, wherever the data are.
                    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arguments)
                    begin = time.perf_counter()
                    traced = jax.jit(function).trace(*shapes)
                    middle = time.perf_counter()
                    lowered = traced.lower()
                    times = {"trace": middle - begin, "lower": time.perf_counter() - middle}
                found[item.name] = pool.submit(compiled, item, lowered, times), arguments
            except Exception as error:
                report.record("compile", item.name, failure(error))
    return {name: (future.result(), arguments) for name, (future, arguments) in found.items()}


def memory_of(program: Any) -> dict[str, Any]:
    memory = program.memory_analysis()
    if memory is None:
        return {}
    return {"temp_bytes": memory.temp_size_in_bytes, "argument_bytes": memory.argument_size_in_bytes}


def peak(device: Any) -> int | None:
    return (device.memory_stats() or {}).get("peak_bytes_in_use")


def predicted(item: Item, seen: dict[str, tuple[int, float]]) -> float | None:
    """Seconds of a call, from a smaller item of the same group."""
    if not item.group or item.group not in seen:
        return None
    size, seconds = seen[item.group]
    return seconds * (item.size / size) ** item.power


def time_all(
    items: Sequence[Item], programs: dict[str, tuple[Any, Any]], report: Report, device: Any, budget: float
) -> dict[str, float]:
    """Seconds of a call by name. An item that is predicted to take more than `budget` seconds a call is skipped."""
    seen: dict[str, tuple[int, float]] = {}
    rates: dict[str, float] = {}
    calls: dict[str, float] = {}
    for item in items:
        program, arguments = programs.get(item.name, (None, None))
        if program is None:
            continue
        expected = predicted(item, seen)
        limit = min(budget, report.left() - 10)
        # Two calls at least.
        if limit <= 0 or (expected is not None and 2 * expected > limit):
            why = f"about {expected:.3g} s a call" if expected is not None else "no time is left"
            report.record("time", item.name, {"skipped": f"{why}, {max(limit, 0):.3g} s to spend"})
            continue
        try:
            before = peak(device)
            with jax.enable_x64(item.x64):
                there = jax.device_put(arguments, device)
                times = repeat(lambda: program(*there), limit)  # noqa: B023  (called at once)
            value = result_of(item, times, rates)
            after = peak(device)
            if after is not None:
                value |= {"peak_bytes": after, "peak_raised_by": after - (before or 0)}
            seen[item.group] = item.size, min(times)
            if item.ceiling:
                rates[item.name] = value["rate"]
            calls[item.name] = min(times)
            report.record("time", item.name, value)
        except Exception as error:
            report.record("time", item.name, failure(error))
    return calls


def repeat(call: Any, limit: float) -> list[float]:
    """Seconds of calls, without the first one, which places the program on the device, unless it alone took `limit`."""
    begin = time.perf_counter()
    jax.block_until_ready(call())
    first = time.perf_counter() - begin
    if first > limit:
        return [first]
    times: list[float] = []
    while not times or (sum(times) + times[-1] < min(limit, LONG_ENOUGH) and len(times) < MOST):
        begin = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - begin)
    return times


def result_of(item: Item, times: Sequence[float], rates: dict[str, float]) -> dict[str, Any]:
    """`share`: the least time that the ceilings of this device allow, over the time measured."""
    best = min(times) / item.steps
    value = {
        "seconds_a_step": best, "median": statistics.median(times) / item.steps, "calls": len(times), "steps": item.steps,
        "rate": item.work / best, "unit": item.unit,
    }  # fmt: skip
    least = {name: amount / rates[name] for name, amount in item.limits if name in rates}
    if least:
        name = max(least, key=lambda name: least[name])
        value |= {"ceiling": name, "least_seconds": least[name], "share": least[name] / best}
    return value


def profile(
    names: Sequence[str],
    items: Sequence[Item],
    programs: dict[str, tuple[Any, Any]],
    report: Report,
    device: Any,
    out: Path,
) -> None:
    """What one call of each spends its time in: events of the device by name, the longest first; the trace beside the JSON."""
    for name in names:
        if report.left() < 20:
            report.note(f"not profiled for want of time: {name}")
            continue
        program, arguments = programs[name]
        x64 = next(item.x64 for item in items if item.name == name)
        folder = Path(tempfile.mkdtemp())
        try:
            with jax.enable_x64(x64):
                there = jax.device_put(arguments, device)
                with jax.profiler.trace(str(folder)):
                    jax.block_until_ready(program(*there))
            file = max(folder.rglob("*.xplane.pb"), key=lambda f: f.stat().st_size)
            report.record("profile", name, {"events": events(file, device)})
            # Larger ones would not travel back.
            if file.stat().st_size < 15 << 20:
                shutil.copy(file, out / f"profile-{len(report.content['profile'])}.xplane.pb")
        except Exception as error:
            report.record("profile", name, failure(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def events(file: Path, device: Any, most: int = 30) -> list[dict[str, Any]]:
    total: dict[tuple[str, str], tuple[int, float]] = {}
    for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
        if device.platform != "cpu" and "device:" not in plane.name.lower():
            continue
        for line in plane.lines:
            for event in line.events:
                count, seconds = total.get((line.name, event.name), (0, 0.0))
                total[line.name, event.name] = count + 1, seconds + event.duration_ns / 1e9
    ranked = sorted(total.items(), key=lambda entry: -entry[1][1])[:most]
    return [{"line": a[:40], "event": b[:80], "count": n, "seconds": s} for (a, b), (n, s) in ranked]
