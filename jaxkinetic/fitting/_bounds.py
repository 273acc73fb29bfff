"""Smooth maps between parameters within bounds and unbounded coordinates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error, describe

# Coordinates of bounded parameters stay within these, so that neither `exp` overflows in float32 nor the slope vanishes.
_FAR = 30.0


class Bounds(NamedTuple):
    r"""The map $x(z)$ of p parameters with unbounded coordinates z. All fields have shape (p,).

    - Within (low, high): $x = l + (h - l)/(1 + e^{-z})$.
    - Above low, or below high: $x = l + s\,e^z$, $x = h - s\,e^z$.
    - Without bounds: $x = s z$.

    `scale` is s: the distance of the start from its bound, or the size of the start (1 if it is 0), so that a step of 1 in z is
    a large one in any units. `least`, `most`: the outermost numbers within the bounds in the dtype of the parameter."""

    low: np.ndarray
    high: np.ndarray
    scale: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @classmethod
    def free(cls, start: np.ndarray) -> "Bounds":
        """No bounds."""
        infinite = np.full(start.shape, np.inf)
        scale = np.where(start == 0, 1.0, np.abs(start))
        return cls(-infinite, infinite, scale, -infinite, infinite)

    @property
    def bounded(self) -> np.ndarray:
        return np.isfinite(self.low) | np.isfinite(self.high)

    def inside(self, z: Any) -> Any:
        """x(z), strictly within the bounds; an array of JAX for one of JAX."""
        xp: Any = jnp if isinstance(z, jax.Array) else np
        low, high, scale, least, most = (x if xp is np else jnp.asarray(x).astype(z.dtype) for x in self)
        has_low, has_high = xp.isfinite(low), xp.isfinite(high)
        near = xp.clip(z, -_FAR, _FAR)
        safe_low, safe_high = xp.where(has_low, low, 0), xp.where(has_high, high, 0)
        between = safe_low + (safe_high - safe_low) / (1 + xp.exp(-near))
        away = scale * xp.exp(near)
        one_sided = xp.where(has_low, safe_low + away, safe_high - away)
        bounded = xp.where(has_low & has_high, between, one_sided)
        return xp.where(has_low | has_high, xp.clip(bounded, least, most), scale * z)

    def outside(self, x: np.ndarray) -> np.ndarray:
        """z(x)."""
        both = np.isfinite(self.low) & np.isfinite(self.high)
        with np.errstate(all="ignore"):
            between = np.log((x - self.low) / (self.high - x))
            away = np.where(np.isfinite(self.low), x - self.low, self.high - x)
            bounded = np.where(both, between, np.log(away / self.scale))
        return np.where(self.bounded, bounded, x / self.scale)

    def slope(self, z: np.ndarray) -> np.ndarray:
        """dx/dz."""
        near = np.clip(z, -_FAR, _FAR)
        has_low, has_high = np.isfinite(self.low), np.isfinite(self.high)
        width = np.where(has_low & has_high, self.high - self.low, 0.0)
        between = width / (2 + np.exp(near) + np.exp(-near))
        one_sided = np.where(has_low, 1, -1) * self.scale * np.exp(near)
        return np.where(self.bounded, np.where(has_low & has_high, between, one_sided), self.scale)

    def distance(self, x: np.ndarray) -> np.ndarray:
        """The distance of x from the nearest bound."""
        return np.minimum(x - self.low, self.high - x)


def read_bounds(leaves: list[tuple[str, Any]], pairs: list[Any]) -> Bounds:
    """The bounds of the fitted leaves. `leaves`: (name, concrete array) of each. `pairs`: its entry of `bounds`, None or
    (low, high). **Raises:** `ValueError` for bounds that are not numbers, that do not increase or that exclude the start."""
    lows, highs, least, most = [], [], [], []
    for (name, leaf), pair in zip(leaves, pairs, strict=True):
        low, high = (_bound(name, one, leaf, sign) for one, sign in zip(pair or (None, None), (-1, 1), strict=True))
        start = np.asarray(leaf, float)
        if not np.all(low < high):
            raise argument_error(
                "bounds", f"be (low, high) with low < high for {name}", f"are {describe(pair)}", "swap them"
            )
        if not np.all((low < start) & (start < high)):
            raise argument_error(
                "start", f"lie strictly inside of its bounds {describe(pair)}", f"{name} is {_shown(leaf)}",
                "move it inside, or widen `bounds`",
            )  # fmt: skip
        lows.append(low.ravel())
        highs.append(high.ravel())
        with np.errstate(over="ignore"):
            dtype = leaf.dtype.type
            inner = [
                np.where(np.isfinite(x), np.nextafter(x.astype(dtype), dtype(-sign * np.inf)), x).astype(float)
                for x, sign in ((low, -1), (high, 1))
            ]
        least.append(inner[0].ravel())
        most.append(inner[1].ravel())
    start = np.concatenate([np.asarray(leaf, float).ravel() for _, leaf in leaves])
    low, high = np.concatenate(lows), np.concatenate(highs)
    nearest = np.where(np.isfinite(low), start - low, np.where(np.isfinite(high), high - start, np.abs(start)))
    scale = np.where(nearest == 0, 1.0, nearest)
    return Bounds(low, high, scale, np.concatenate(least), np.concatenate(most))


def is_pair(entry: Any) -> bool:
    """Whether an entry of `bounds` is (low, high) for one leaf or a subtree: two numbers, arrays or None."""
    return (
        isinstance(entry, (tuple, list))
        and len(entry) == 2
        and all(x is None or isinstance(x, (bool, int, float, str, np.generic)) or hasattr(x, "shape") for x in entry)
    )


def _bound(name: str, value: Any, leaf: Any, sign: int) -> np.ndarray:
    if value is None:
        return np.full(leaf.shape, sign * np.inf)
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        array = np.broadcast_to(np.asarray(value, float), leaf.shape)
    except (TypeError, ValueError):
        raise argument_error(
            "bounds", f"be (low, high) of numbers or None for {name}", f"holds {describe(value)}", "pass two numbers"
        ) from None
    if np.isnan(array).any():
        raise argument_error("bounds", "hold no NaN", f"the bound of {name} is NaN", "use None for no bound")
    return array


def _shown(leaf: Any) -> str:
    return f"{float(leaf):g}" if leaf.shape == () else f"an array from {float(leaf.min()):g} to {float(leaf.max()):g}"
