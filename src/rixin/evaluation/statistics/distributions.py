"""Quantiles of distributions, by scipy, imported with the first question: a command can then say that it is missing."""


def normal_quantile(share: float) -> float:
    """The standard normal distribution's quantile."""
    from scipy import stats

    return float(stats.norm.ppf(share))


def student_quantile(share: float, freedom: int) -> float:
    """Student's t distribution's quantile, of so many degrees of freedom."""
    from scipy import stats

    return float(stats.t.ppf(share, freedom))


def beta_quantile(share: float, a: int, b: int) -> float:
    """The beta distribution's quantile."""
    from scipy import stats

    return float(stats.beta.ppf(share, a, b))


def binomial_p(hits: int, trials: int, *, one_sided: bool) -> float:
    """The exact p-value of `hits` of `trials` fair coins: that as many or more would fall, or on either side."""
    from scipy import stats

    return float(stats.binomtest(hits, trials, alternative="greater" if one_sided else "two-sided").pvalue)
