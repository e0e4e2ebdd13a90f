from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from teagent.engine.predict.normal import density_and_share, quantiles

STANDARD = NormalDist()


def test_quantiles_are_those_of_the_standard_library() -> None:
    shares = np.concatenate((10.0 ** np.arange(-9, -1), np.linspace(0.01, 0.99, 99), 1 - 10.0 ** np.arange(-9, -1)))
    assert quantiles(shares).tolist() == pytest.approx([STANDARD.inv_cdf(p) for p in shares.tolist()], rel=1e-12)


def test_shares_are_those_of_the_standard_library_and_the_density_is_their_slope() -> None:
    z = np.linspace(-6, 6, 241)
    density, share = density_and_share(z)
    assert share.tolist() == pytest.approx([STANDARD.cdf(v) for v in z.tolist()], abs=1e-7)
    assert density.tolist() == pytest.approx([STANDARD.pdf(v) for v in z.tolist()], rel=1e-12)
