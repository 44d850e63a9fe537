"""Writes statistics.json: what SciPy and statsmodels say of some samples.

    python3 crescendo/report/testdata/make_statistics.py          (SciPy 1.17.1, statsmodels 0.15.0, NumPy 2)

statistics_test.cpp computes the same. The samples are accuracies in percent, as runs of five seeds give them. The
bootstrap is the one number that is random on both sides: 200,000 resamples here.
"""

import itertools
import json
import pathlib

import numpy as np
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

MARGIN = 0.3
SAMPLES = {
    "decay": [94.32, 94.11, 94.45, 94.27, 94.03],
    "grow": [94.29, 94.20, 94.37, 94.33, 94.10],
    "large": [93.12, 92.71, 93.55, 93.30, 93.02],
    "two": [81.0, 84.5],
    "dozen": [96.1, 96.4, 95.2, 96.3, 95.8, 96.9, 96.0, 95.5, 96.2, 96.6, 94.1, 96.05],
}


def summary(values):
    mean = np.mean(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=stats.sem(values))
    bootstrap = stats.bootstrap(
        (values,), np.mean, n_resamples=200_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    return {
        "values": values,
        "mean": mean,
        "deviation": np.std(values, ddof=1),
        "t_interval": [low, high],
        "bootstrap_interval": [bootstrap.low, bootstrap.high],
        "median": np.median(values),
        "quantile_0.1": np.quantile(values, 0.1),
    }


def difference(a, b, paired):
    if paired:
        test = stats.ttest_rel(a, b)
        p, (_, p_above, _), (_, p_below, _) = ttost_paired(np.array(a), np.array(b), -MARGIN, MARGIN)
    else:
        test = stats.ttest_ind(a, b, equal_var=False)
        p, (_, p_above, _), (_, p_below, _) = ttost_ind(a, b, -MARGIN, MARGIN, usevar="unequal")
    interval = test.confidence_interval(0.95)
    return {
        "value": np.mean(a) - np.mean(b),
        "t": test.statistic,
        "degrees_of_freedom": test.df,
        "p": test.pvalue,
        "interval": [interval.low, interval.high],
        "p_above": p_above,
        "p_below": p_below,
        "p_equivalence": p,
    }


def exact_power_of_equivalence(difference, margin, standard_error, degrees, alpha):
    """The integral over what the standard error may be estimated as; an interval for TOST is left only where it is small."""
    critical = stats.t.ppf(1 - alpha, degrees)

    def density(scale):  # of estimated / true standard error
        within = stats.norm.cdf((margin - difference) / standard_error - critical * scale) - stats.norm.cdf(
            (-margin - difference) / standard_error + critical * scale
        )
        return within * stats.chi.pdf(scale * np.sqrt(degrees), degrees) * np.sqrt(degrees)

    return integrate.quad(density, 0, margin / standard_error / critical, epsabs=1e-12)[0]


def exact_power_of_difference(difference, standard_error, degrees, alpha):
    """By the same integral, for where statsmodels gives no number: its noncentral t is NaN far out."""
    critical = stats.t.ppf(1 - alpha / 2, degrees)
    effect = difference / standard_error

    def density(scale):
        beyond = stats.norm.cdf(effect - critical * scale) + stats.norm.cdf(-critical * scale - effect)
        return beyond * stats.chi.pdf(scale * np.sqrt(degrees), degrees) * np.sqrt(degrees)

    return integrate.quad(density, 0, 10, points=[1], epsabs=1e-12)[0]


def powers():
    rows = []
    for gap, deviation, n, alpha in itertools.product([0.0, 0.1, 0.4], [0.15, 0.4], [3, 5, 20], [0.05, 0.05 / 3]):
        effect = gap / deviation
        for paired in (True, False):
            if paired:
                error, degrees = deviation / np.sqrt(n), n - 1
                power = TTestPower().power(effect, n, alpha)
            else:
                error, degrees = deviation * np.sqrt(2 / n), 2 * n - 2
                power = TTestIndPower().power(effect, n, alpha)
            if np.isnan(power):
                power = exact_power_of_difference(gap, error, degrees, alpha)
            rows.append(
                {
                    "difference": gap,
                    "standard_error": error,
                    "degrees_of_freedom": degrees,
                    "alpha": alpha,
                    "power_of_difference": power,
                    "power_of_equivalence": exact_power_of_equivalence(gap, MARGIN, error, degrees, alpha),
                }
            )
    return rows


def main():
    p_values = [0.01, 0.04, 0.03, 0.005, 0.7, 0.6]
    tables = {
        "margin": MARGIN,
        "samples": {name: summary(values) for name, values in SAMPLES.items()},
        "differences": [
            {"a": a, "b": b, "paired": paired, **difference(SAMPLES[a], SAMPLES[b], paired)}
            for a, b, paired in [
                ("grow", "decay", True),
                ("grow", "decay", False),
                ("large", "decay", True),
                ("large", "decay", False),
                ("dozen", "two", False),
            ]
        ],
        "holm": {"p": p_values, "adjusted": list(multipletests(p_values, method="holm")[1])},
        "powers": powers(),
    }
    path = pathlib.Path(__file__).with_name("statistics.json")
    # A line per row, so that a change can be read.
    text = json.dumps(tables, default=float)
    path.write_text(text.replace("}, ", "},\n").replace(": [{", ": [\n{").replace(": {\"decay", ": {\n\"decay") + "\n")


main()
