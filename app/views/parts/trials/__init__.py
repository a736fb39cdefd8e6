"""Pieces of the page of compression trials; `carry` takes a point of another page over to it."""

from app.views.parts.trials.carried import carry as carry
