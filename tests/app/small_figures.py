"""Small figures to print, and what is found in the drawing."""

import numpy as np
from matplotlib.collections import QuadMesh

from app.plots.figure import Axis, Cells, Figure, Scale
from app.plots.printed import render_matplotlib

X = np.arange(1.0, 5.0)
Y = np.array([8.0, 4.0, 2.0, 1.0])
SEQUENTIAL = Scale("sequential", 0.0, 1.0, ((0.0, "0 %"), (1.0, "100 %")))
DIVERGING = Scale("diverging", -2.0, 2.0, ((-2.0, "1/4"), (2.0, "4")), log2=True)


def figure(*series, x=None, y=None, **rest):
    return Figure("title", "", x or Axis(), y or Axis(), series=series, **rest)


def cells(values, scale, names=None):
    values = np.asarray(values, float)
    text = np.array([[f"{value:.1f}" for value in row] for row in values], object)
    there = np.full(values.shape, "layer", object) if names is None else names
    shown = Cells(
        values, text.reshape(values.shape), there, np.full(values.shape, "", object), scale
    )
    rows, columns = (tuple(f"{i}!" for i in range(size)) for size in values.shape)
    return Figure("map", "", Axis("block", names=columns), Axis(names=rows), cells=shown)


def axes_of(figure, **style):
    return render_matplotlib(figure, **style).axes[0]


def meshes(axes):
    return [found for found in axes.collections if isinstance(found, QuadMesh)]
