"""Exponential smoothing (statsmodels' ETSModel) from given origins.

stdin: {"values": [...], "train": n, "origins": [...], "horizon": h, "season": m} as JSON; stdout: the forecasts of each
origin. The model is the one with the lowest AICc of additive and multiplicative errors, trends (none, damped) and
seasons, fitted once on values[:train]; its level, trend and season then follow every value up to the origin.
stderr says which one it is.
"""
import json
import sys
import warnings

import numpy as np
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

warnings.simplefilter("ignore")
asked = json.load(sys.stdin)
values, train, h, m = np.array(asked["values"]), asked["train"], asked["horizon"], asked["season"]
LONGEST = 10_000  # of a longer training part its end is fitted: the maximisation takes minutes else
part = values[max(0, train - LONGEST):train]
positive = bool((values > 0).all())

best = None
for error in ["add", "mul"] if positive else ["add"]:
    for trend, damped in [(None, False), ("add", False), ("add", True)]:
        for season in [None] + ([] if m < 2 or len(part) < 3 * m else ["add", "mul"] if positive else ["add"]):
            if error == "add" and season == "mul":
                continue  # unstable, as in Hyndman's forecast package
            kind = dict(error=error, trend=trend, damped_trend=damped, seasonal=season,
                        seasonal_periods=m if season else None,
                        initialization_method="heuristic" if len(part) >= 10 + 2 * m else "estimated")
            try:
                fitted = ETSModel(part, **kind).fit(disp=False, maxiter=200)
            except (ValueError, np.linalg.LinAlgError):
                continue
            if np.isfinite(fitted.aicc) and (best is None or fitted.aicc < best[0]):
                best = (fitted.aicc, kind, fitted.params)
_, kind, params = best
print(f"ets: {kind}", file=sys.stderr)

# The states after each value, from the start of the fitted part on.
start = max(0, train - LONGEST)
smoothed = ETSModel(values[start:], **kind).smooth(params)
level = smoothed.level
trend = smoothed.slope if kind["trend"] else None
season = smoothed.season if kind["seasonal"] else None
phi = smoothed.damping_trend if kind["damped_trend"] else 1.0
forecasts = []
for origin in asked["origins"]:
    o, row, damp = origin - start, [], 0.0
    for k in range(1, h + 1):
        damp += phi**k
        y = level[o] + (damp * trend[o] if kind["trend"] else 0.0)
        if kind["seasonal"]:
            s = season[o - m + 1 + (k - 1) % m]
            y = y * s if kind["seasonal"] == "mul" else y + s
        row.append(float(y))
    forecasts.append(row)
json.dump(forecasts, sys.stdout)
