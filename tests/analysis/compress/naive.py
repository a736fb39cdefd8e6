"""Allocation as it is defined, by loops over small layers: what the fast one is held against."""

import itertools


def numbers(rank, rows, cols, form):
    if form == "two_factor":
        return rank * (rows + cols)
    return rank * cols + (rows - rank) * rank


def points(layer, form):
    """(numbers held, share of energy lost, rank) at each rank that saves something, and dense.

    Of measured losses, only ranks that lose less than every smaller one.
    """
    dense, full = layer.rows * layer.cols, min(layer.rows, layer.cols)
    found = []
    for rank in range(full + 1):
        held = numbers(rank, layer.rows, layer.cols, form)
        better = not hasattr(layer, "lost") or all(layer.lost[:rank] > layer.lost[rank])
        if held < dense and better:
            found.append((held, loss(layer, rank), rank))
    return [*found, (dense, 0.0, full)]


def loss(layer, rank):
    """The share of its own energy, or of what rank 0 loses, that a layer loses at a rank."""
    if hasattr(layer, "lost"):
        return layer.lost[rank] / layer.lost[0] if layer.lost[0] else 0.0
    energy = [s * s for s in layer.values]
    return sum(energy[rank:]) / sum(energy) if sum(energy) else 0.0


def directions(layer):
    """What each direction of a layer is the size of, the largest first."""
    if not hasattr(layer, "lost"):
        return list(layer.values)
    drops = [max(a - b, 0.0) ** 0.5 for a, b in itertools.pairwise(layer.lost)]
    return sorted(drops, reverse=True)


def weights(layers, objective):
    energies = [
        layer.lost[0] if hasattr(layer, "lost") else sum(s * s for s in layer.values)
        for layer in layers
    ]
    if objective == "total":
        return energies
    return [1.0 if energy > 0 else 0.0 for energy in energies]


def lost(layers, chosen, form, objective):
    """The objective's energy that one point per layer loses."""
    worth = weights(layers, objective)
    return sum(w * points(la, form)[at][1] for w, la, at in zip(worth, layers, chosen, strict=True))


def held(layers, chosen, form):
    return sum(points(layer, form)[at][0] for layer, at in zip(layers, chosen, strict=True))


def best(layers, budget, form, objective):
    """The least energy that any choice of points within the budget loses."""
    curves = [points(layer, form) for layer in layers]
    worth = weights(layers, objective)
    return min(
        sum(w * energy for w, (_, energy, _) in zip(worth, choice, strict=True))
        for choice in itertools.product(*curves)
        if sum(cost for cost, _, _ in choice) <= budget
    )


def hull(curve):
    """The points that no chord of two others passes over (or through)."""

    def under(p):
        return any(
            a[0] < p[0] < b[0]
            and p[1] >= a[1] + (b[1] - a[1]) * (p[0] - a[0]) / (b[0] - a[0]) - 1e-13
            for a, b in itertools.combinations(curve, 2)
        )

    return [p for p in curve if not under(p)]


def first_segment_that_does_not_fit(layers, budget, form, objective):
    """Its gain, when hull segments are bought by gain per number."""
    segments = []
    for weight, layer in zip(weights(layers, objective), layers, strict=True):
        for a, b in itertools.pairwise(hull(points(layer, form))):
            segments.append(((a[1] - b[1]) * weight, b[0] - a[0]))
    segments.sort(key=lambda segment: -segment[0] / segment[1])
    for gain, cost in segments:
        if cost > budget:
            return gain
        budget -= cost
    return 0.0


def largest_share(layers, budget, form):
    """Ranks at the largest η = 1 - loss of all candidates that the budget allows."""

    def ranks(loss):
        found = []
        for layer in layers:
            curve = points(layer, form)
            found.append(next(i for i, p in enumerate(curve) if p[1] <= loss))
        return found

    candidates = sorted({p[1] for layer in layers for p in points(layer, form)})
    affordable = [loss for loss in candidates if held(layers, ranks(loss), form) <= budget]
    return ranks(min(affordable))


def smallest_threshold(layers, budget, form):
    """Ranks at the smallest τ that the budget allows."""
    scaled = []
    for layer in layers:
        sizes = directions(layer)
        low, high = sizes[-1], sizes[0]
        flat = high - low <= 1e-5 * high
        scaled.append([1.0 if flat else (s - low) / (high - low) for s in sizes])

    def chosen(tau):
        counts = [sum(s >= tau for s in layer) for layer in scaled]
        return [
            min(count, len(points(layer, form)) - 1)
            for count, layer in zip(counts, layers, strict=True)
        ]

    candidates = [*sorted({s for layer in scaled for s in layer}), 2.0]
    return next(chosen(tau) for tau in candidates if held(layers, chosen(tau), form) <= budget)


def handed_out(layers, chosen, budget, form, objective):
    """What is left of a budget, step by step to the best gain per number that fits."""
    chosen, worth = list(chosen), weights(layers, objective)
    while True:
        left = budget - held(layers, chosen, form)
        offers = []
        for i, layer in enumerate(layers):
            curve = points(layer, form)
            if chosen[i] + 1 < len(curve):
                now, then = curve[chosen[i]], curve[chosen[i] + 1]
                gain, cost = worth[i] * (now[1] - then[1]), then[0] - now[0]
                if cost <= left and gain > 0:
                    offers.append((gain / cost, i))
        if not offers:
            return chosen
        chosen[max(offers)[1]] += 1
