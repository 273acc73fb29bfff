"""What bench_device.py times: ceilings of the device, then the main paths at sizes for a device, the most important first.

Every program is made of public calls: `jax.jit` of a diagnostic, of a sum, or of `jk.simulate(..., throw=False)`, with data,
parameters and noise as arguments. `limits` of an item: what it must do at least, as (name of a ceiling, amount a step). The
amounts are counted, not measured: bytes of the tables that a step reads and writes, in sectors of 32 bytes where they are
gathered; machine instructions a pair, in the shortest program known (38 for the sums under Coulomb's law, 178 with the noise
of Kac's system, 110 for value and gradient, 25 for a kernel estimate, 40 for nearest neighbours, 20 for a Gaussian force).
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxkinetic as jk

B, L, V, PAIRS, D = jk.boltzmann, jk.landau, jk.vlasov, jk.pairs, jk.diagnostics
WORDS = np.asarray([1, 2], np.uint32)
SUMS, NOISE, GRADIENT, KDE, NEIGHBOURS, FORCE = 38, 178, 110, 25, 40, 20
# A pair that is gathered and scattered: two particles, two tables of 8 bytes, a sector each, read and written.
PER_PAIR = 2 * 2 * 2 * 32
# What a quick run, which only shows that the programs work, divides sizes by.
QUICK = 1024


@dataclasses.dataclass(frozen=True)
class Item:
    """`make()`: a function of arrays and its arguments, on the CPU. `steps`: how many a call does. `work`: `unit`s a step.
    `size`, `power`: the time of a larger item of one `group` is predicted from a smaller one as size^power."""

    name: str
    make: Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]]
    steps: int = 1
    work: float = 0.0
    unit: str = ""
    limits: tuple[tuple[str, float], ...] = ()
    ceiling: bool = False
    x64: bool = False
    group: str = ""
    size: int = 1
    power: float = 1.0


# ---- data ----------------------------------------------------------------------------------------------------------------


def normal(num: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((num, dim), np.float32)


def particles(num: int, dim: int = 3, positions: bool = False) -> jk.Particles:
    v = np.linspace(0.5, 1.5, dim, dtype=np.float32) * normal(num, dim)
    return jk.Particles(jnp.asarray(v), jnp.asarray(normal(num, dim, 7)) if positions else None)


def on_grid(num_x: int, num_v: int, dtype: str, wave: bool) -> jk.Density | jk.Wave:
    """A Maxwellian with 5 % of a cosine in x."""
    length, real = 4 * math.pi, np.dtype(dtype)
    grid = jk.Grid(
        jk.Axis(real.type(0), real.type(length), num_x),
        jk.Axis(real.type(-8), real.type(16), num_v, periodic=False),
    )
    x, v = np.arange(num_x) * length / num_x, -8 + 16 * np.arange(num_v) / num_v
    f = (1 + 0.05 * np.cos(2 * np.pi * x / length))[:, None] * np.exp(-(v**2) / 2) / math.sqrt(2 * math.pi)
    if not wave:
        return jk.Density(jnp.asarray(f, real), grid)
    alpha = np.sqrt(f / (f.sum() * (length / num_x) * (16 / num_v)))
    return jk.Wave(jnp.asarray(alpha, np.result_type(real, np.complex64)), grid).fourier_picture()


# ---- kinds of programs ---------------------------------------------------------------------------------------------------


def simulated(
    system: Any, start: Callable[[], Any], steps: int, *, scheme: Any = None, dt: float = 1e-3, noise: bool = True
):
    """The end of a run. `start()`: the state."""

    def make() -> tuple[Callable[..., Any], tuple[Any, ...]]:
        arrays, static = eqx.partition(system(), eqx.is_array)

        def end(arrays: Any, state: Any, words: Any) -> Any:
            key = {"key": jax.random.wrap_key_data(words, impl="threefry2x32")} if noise else {}
            given = {"scheme": scheme, "dt": dt, "num_steps": steps, "throw": False, **key}
            run = jk.simulate(eqx.combine(arrays, static), state, **given)
            return eqx.filter(run.final, eqx.is_inexact_array), run.result.ok

        return end, (arrays, start(), WORDS)

    return make


def replicated(num: int, replicas: int, steps: int, scheme: Any):
    start = jax.tree_util.Partial(jk.initial.maxwellian, num_particles=num, dim=3)

    def make() -> tuple[Callable[..., Any], tuple[Any, ...]]:
        def end(system: Any, words: Any) -> Any:
            key = jax.random.wrap_key_data(words, impl="threefry2x32")
            given = {"scheme": scheme, "dt": 1e-3, "num_steps": steps, "throw": False}
            return jk.ensemble(system, start, key=key, replicas=replicas, **given).final.velocity

        return end, (coulomb_kac(), WORDS)

    return make


def of_arrays(function: Callable[..., Any], *arrays: Callable[[], Any]):
    return lambda: (function, tuple(jax.tree.map(jnp.asarray, array()) for array in arrays))


def coulomb_kac() -> jk.landau.Kac:
    return L.Kac(L.PowerLaw(-3.0))


def landau_sums(v: Any, gamma: Any) -> Any:
    return L.PowerLaw(gamma).sums(jk.Particles(v))


def landau_gradient(v: Any, gamma: Any) -> Any:
    def loss(v: Any, gamma: Any) -> Any:
        b, a = landau_sums(v, gamma)
        return jnp.sum(b * b) + jnp.sum(a * a)

    return jax.value_and_grad(loss, argnums=(0, 1))(v, gamma)


def kac_noise(v: Any, gamma: Any, words: Any) -> Any:
    return L.Kac(L.PowerLaw(gamma)).noise(words, jnp.float32(0), jnp.float32(1e-3), jk.Particles(v)).velocity


def measured(function: Callable[..., Any], clouds: int):
    return lambda num: of_arrays(
        lambda *v: function(*map(jk.Particles, v)), *(partial(normal, num, 3, seed) for seed in range(clouds))
    )


# ---- what the device gives -----------------------------------------------------------------------------------------------


def ceilings(size: Callable[[int], int]) -> Iterator[Item]:
    """Rates: bytes of a copy, instructions (one FMA each), launches in a loop, elements of a gather, a sort and a transform."""
    big, many, num, turns = size(1 << 28), size(1 << 24), size(1 << 20), max(8, size(2048))
    copied = of_arrays(lambda x: x + 1, lambda: np.zeros(big, np.float32))
    yield Item("copy", copied, work=8.0 * big, unit="bytes/s", ceiling=True)

    def chain(x: Any) -> Any:
        for _ in range(256):
            x = x * jnp.float32(1.0001) + jnp.float32(0.5)
        return x

    added = of_arrays(chain, lambda: np.ones(many, np.float32))
    yield Item("instructions", added, work=256.0 * many, unit="instructions/s", ceiling=True)

    def loop(x: Any) -> Any:
        # Two launches a turn: this kernel, and the counter of the loop.
        return jax.lax.fori_loop(0, turns, lambda _, x: x * jnp.float32(0.999), x)

    launched = of_arrays(loop, lambda: np.ones(1024, np.float32))
    yield Item("launches", launched, steps=turns, work=2.0, unit="launches/s", ceiling=True)
    order = np.random.default_rng(0).permutation(num).astype(np.int32)
    numbers = (normal(num, 1)[:, 0] + 1j * normal(num, 1, 1)[:, 0]).astype(np.complex64)
    gathered = of_arrays(lambda x, i: x[i], lambda: numbers, lambda: order)
    yield Item("gather", gathered, work=float(num), unit="elements of 8 bytes/s", ceiling=True)
    put = of_arrays(lambda x, i: x.at[i].set(x, unique_indices=True), lambda: numbers, lambda: order)
    yield Item("scatter", put, work=float(num), unit="elements of 8 bytes/s", ceiling=True)
    yield Item(
        "sort", of_arrays(jnp.sort, lambda: normal(num, 1)[:, 0]), work=float(num), unit="float32/s", ceiling=True
    )
    rows = size(1024)
    waves = of_arrays(jnp.fft.fft, lambda: np.ones((rows, 2048), np.complex64))
    yield Item("fft", waves, work=2048.0 * rows, unit="complex64/s", ceiling=True)


# ---- the main paths ------------------------------------------------------------------------------------------------------


def paths(size: Callable[[int], int], grid: tuple[int, int], replicas: int) -> Iterator[Item]:
    yield from pair_sums(size)
    yield from schemes(size, replicas)
    yield from grids(*grid)
    yield from bodies_and_roots(size)
    yield from diagnostics(size)


def pair_sums(size: Callable[[int], int]) -> Iterator[Item]:
    gamma = np.float32(-3)
    for num in (size(16384), size(131072)):
        counted = {"work": num * num / 1e9, "unit": "G ordered pairs/s", "size": num, "power": 2.0}
        v = partial(normal, num, 3)
        for name, function, instructions, more in (
            ("Landau sums", landau_sums, SUMS, ()),
            ("Landau sums, value and gradient", landau_gradient, GRADIENT, ()),
            ("Kac noise", kac_noise, NOISE, (lambda: WORDS,)),
        ):
            limits = (("instructions", instructions * float(num) ** 2),)
            made = of_arrays(function, v, lambda: gamma, *more)
            yield Item(f"{name}, N = {num}", made, limits=limits, group=name, **counted)


def schemes(size: Callable[[int], int], replicas: int) -> Iterator[Item]:
    num = size(16384)
    limits = (("instructions", (SUMS + NOISE) * float(num) ** 2),)
    run = simulated(coulomb_kac, partial(particles, num), 4)
    yield Item(f"Euler-Maruyama, Kac, N = {num}", run, 4, num * num / 1e9, "G ordered pairs/s", limits)
    for num in (size(1 << 20), size(1_000_000)):
        run = simulated(coulomb_kac, partial(particles, num), 16, scheme=PAIRS.RandomMatching())
        limits = (("copy", num / 2 * PER_PAIR),)
        yield Item(f"RandomMatching, N = {num}", run, 16, num / 2e9, "G pairs/s", limits)
    for num in (size(1 << 20), size(1_000_000)):
        walk = partial(B.KacWalk, B.Maxwell(), float(num))
        run = simulated(walk, partial(particles, num), 16, scheme=PAIRS.TauLeap(), dt=0.1)
        yield Item(f"TauLeap, Maxwell, N = {num}", run, 16, num / 2e9, "G pairs/s", (("copy", num / 2 * PER_PAIR),))
    for law, name, size_of_group in ((B.Maxwell, "Maxwell", 1.0), (B.HardSphere, "hard spheres", 10.0)):
        for num in (size(100_000), size(1_000_000)):
            # dt = 1 of Maxwell molecules: N/2 candidates, two windows. Of hard spheres, about ten times as many.
            walk = partial(B.KacWalk, law(), float(num))
            run = simulated(walk, partial(particles, num), 2, scheme=PAIRS.ExactClock(), dt=1.0 / size_of_group)
            limits = (("copy", num / 2 * PER_PAIR),)
            yield Item(
                f"ExactClock, {name}, N = {num}",
                run,
                2,
                num / 2e9,
                "G candidates/s, about",
                limits,
                size=num,
                group=name,
            )
    for num in (size(1024), size(4096)):
        run = simulated(coulomb_kac, partial(particles, num), 2, scheme=PAIRS.Sweep())
        rounds = 2 * (num - 1)
        yield Item(
            f"Sweep, N = {num}",
            run,
            2,
            num * (num - 1) / 1e9,
            "G pairs/s",
            (("launches", float(rounds)),),
            size=num,
            group="Sweep",
        )
    for num in (64, 256):
        for name, scheme in (
            ("Euler-Maruyama", None),
            ("RandomMatching", PAIRS.RandomMatching()),
            ("Sweep", PAIRS.Sweep()),
        ):
            if num == 256 and name != "Euler-Maruyama":
                continue
            # Ordered pairs; of a matching half as many as there are particles.
            pairs = replicas * (num // 2 if name == "RandomMatching" else num * num)
            limits = {
                "Euler-Maruyama": ("instructions", (SUMS + NOISE) * float(pairs)),
                "RandomMatching": ("copy", float(PER_PAIR * pairs)),
                "Sweep": ("launches", 2.0 * (num - 1)),
            }
            run = replicated(num, replicas, 8, scheme)
            yield Item(f"ensemble of {replicas}, {name}, N = {num}", run, 8, pairs / 1e9, "G pairs/s", (limits[name],))


def grids(num_x: int, num_v: int) -> Iterator[Item]:
    for dtype in ("float32", "float64"):
        for name, system, wave in (("Vlasov", V.Vlasov, False), ("HamiltonHartree", V.HamiltonHartree, True)):
            # Four transforms and their phases: 16 passes over a real density, 12 over a complex amplitude.
            passes = 12 * 2 if wave else 16
            limits = (("copy", float(num_x * num_v * passes * np.dtype(dtype).itemsize)),)
            run = simulated(
                partial(system, V.Poisson(4 * math.pi)), partial(on_grid, num_x, num_v, dtype, wave), 16,
                scheme=jk.Strang(), dt=0.02, noise=False,
            )  # fmt: skip
            yield Item(
                f"{name}, {num_x} x {num_v}, {dtype}",
                run,
                16,
                num_x * num_v / 1e9,
                "G cells/s",
                limits,
                x64=dtype == "float64",
            )


def bodies_and_roots(size: Callable[[int], int]) -> Iterator[Item]:
    for num in (size(1_000_000), size(10_000_000)):
        run = simulated(
            partial(V.NBody, V.Cosine()),
            partial(particles, num, 1, True),
            32,
            scheme=jk.Leapfrog(),
            dt=0.1,
            noise=False,
        )
        yield Item(
            f"HMF, N = {num}", run, 32, num / 1e9, "G particles/s", (("copy", 16.0 * num),), size=num, group="HMF"
        )
    num = size(1_000_000)
    run = simulated(lambda: L.MatrixSqrt(L.Maxwell()), partial(particles, num), 4)
    yield Item(f"MatrixSqrt, Maxwell, N = {num}", run, 4, num / 1e9, "G particles/s", (("copy", 60.0 * num),))
    run = simulated(
        partial(V.NBody, V.Poisson(6.28)),
        partial(particles, num, 1, True),
        8,
        scheme=jk.Leapfrog(),
        dt=0.1,
        noise=False,
    )
    yield Item(f"sheets, N = {num}", run, 8, num / 1e9, "G particles/s", (("sort", float(num)),))
    num = size(16384)
    run = simulated(
        partial(V.NBody, V.Gaussian()), partial(particles, num, 3, True), 4, scheme=jk.Leapfrog(), dt=0.1, noise=False
    )
    limits = (("instructions", FORCE * float(num) ** 2),)
    yield Item(f"NBody, Gaussian, N = {num}", run, 4, num * num / 1e9, "G ordered pairs/s", limits)


def diagnostics(size: Callable[[int], int]) -> Iterator[Item]:
    for num in (size(10_000), size(100_000)):
        for name, function, instructions in (
            ("kde_entropy", D.kde_entropy, KDE),
            ("knn_entropy", D.knn_entropy, NEIGHBOURS),
        ):
            limits = (("instructions", instructions * float(num) ** 2),)
            counted = {
                "work": num * num / 1e9,
                "unit": "G ordered pairs/s",
                "limits": limits,
                "size": num,
                "power": 2.0,
            }
            yield Item(f"{name}, N = {num}", measured(function, 1)(num), group=name, **counted)
    num = size(100_000)
    # 128 directions of two clouds.
    limits = (("sort", 256.0 * num),)
    yield Item(f"sliced_wasserstein, N = {num}", measured(D.sliced_wasserstein, 2)(num), 1, num / 1e9, "G/s", limits)


def items(quick: bool) -> list[Item]:
    def size(num: int) -> int:
        return max(64, num // QUICK) if quick else num

    found = [*ceilings(size), *paths(size, (16, 32) if quick else (1024, 2048), 4 if quick else 256)]
    # A quick run takes one size of every path.
    return list({item.name.partition(", N =")[0] if quick else item.name: item for item in found}.values())
