"""Panels of the figures: they draw what they are given."""

import jax
import numpy as np
import pytest

import jaxkinetic as jk
from jaxkinetic import plotting as look


def panel():
    figure, axes = look.new_figure(1, 1, size=(4, 3), title="")
    return figure, axes[0, 0]


def data_of(ax):
    """The measured points of the last error bars."""
    return ax.containers[-1].lines[0].get_xydata()


def test_entropy_panel():
    """The panel shows the positive values, their floor and the fit. Catches a negative value on the logarithmic axis."""
    t = np.linspace(0, 1, 11)
    y = np.exp(-4 * t)
    y[-1] = -0.01
    figure, ax = panel()
    look.entropy(ax, t, y, np.full(11, 0.02), fit=jk.fit_decay(t[:-1], y[:-1]), window=(0.2, 0.9))
    look.legend(ax)
    np.testing.assert_allclose(data_of(ax), np.stack([t, y], 1)[:-1])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("fitted rate 4.00" in text for text in texts)
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "time t"
    figure.draw_without_rendering()


def test_local_rate_panel():
    """The panel shows the rates between saves above 3 standard errors. Catches rates that are only noise."""
    t = np.linspace(0, 1, 11)
    figure, ax = panel()
    look.local_rate(ax, t, np.exp(-4 * t), np.full(11, 0.02))
    drawn = data_of(ax)
    np.testing.assert_allclose(drawn[:, 1], 4)
    assert drawn[-1, 0] < 0.75, "3 standard errors are reached at t = .7"
    figure.draw_without_rendering()


def test_convergence_panel():
    """The slope is fitted above the floor. Catches points on the floor that flatten the slope, and a fit to no points."""
    n = np.array([10, 100, 1000, 10_000])
    figure, ax = panel()
    slope = look.convergence(ax, n, 1 / n + 1e-3 * (n > 500), 0.1 / n, floor=5e-3)
    assert abs(slope + 1) < 1e-6
    assert look.convergence(panel()[1], n, 1 / n, floor=1.0) is None
    figure.draw_without_rendering()


@pytest.mark.parametrize("thickness", [None, 0.5])
def test_density_panels(thickness):
    """Slices have mass 1, phase space all its bins, and no particles at all can be drawn. Catches counts that are drawn as
    densities, and a division by 0."""
    v = np.asarray(jax.random.normal(jax.random.key(0), (20_000, 3)))
    figure, ax = panel()
    image = look.velocity_slice(ax, v, thickness=thickness, reach=4.0, bins=40)
    total = np.ma.filled(image.get_array(), 0).sum() * (8 / 40) ** 2
    assert abs(total - 1) < 1e-6
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$v_1$", "$v_2$")
    image = look.phase_space(panel()[1], v[:, 0], v[:, 1], bins=50)
    assert image.get_array().size == 2500
    figure.draw_without_rendering()
    look.velocity_slice(panel()[1], v[:0])
