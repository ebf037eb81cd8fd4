"""Initial densities: samples, cell averages, nodes and reach against scipy's own laws and adaptive quadrature."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from liouville.densities import BetaY, BumpC, Density, FourierSeries, Initial, NormalC, NormalY, UniformY, VonMisesY
from liouville.densities.normal import normal_nodes
from liouville.problem import Problem
from particles import stream
from solvers.grid import Axis, Grid, circle

BUMP = BumpC(std=0.7, mean=0.3, exponent=4.0)
LAWS = {
    "uniform": Initial(y=UniformY(), c=BUMP),
    "von_mises": Initial(y=VonMisesY(mean=1.0, concentration=3.0), c=NormalC(std=0.5)),
    "moving": Initial(
        y=VonMisesY(mean=5.0, concentration=0.5), c=BumpC(std=1.0, mean=FourierSeries(constant=0.2, cos=(0.5,)))
    ),
    "interval": Initial(y=UniformY(low=-1.0, high=2.0), c=BUMP),
    "normal": Initial(y=NormalY(mean=0.3, std=0.6), c=NormalC(std=0.5, mean=0.2)),
    "beta": Initial(y=BetaY(low=-1.0, high=2.0, exponent=1.5), c=BUMP),
    "plane": Initial(y=NormalY(mean=(0.1, -0.2), std=0.5), c=BUMP),
    "mixed": Initial(
        y=(UniformY(low=-1.0, high=1.0), NormalY(std=0.4), BetaY(low=0.0, high=1.0, exponent=2.0)), c=BUMP
    ),
}


def marginals(law: Initial) -> list:  # type: ignore[type-arg]
    """scipy's laws of the components of y."""
    found = []
    for part in law.laws:
        if isinstance(part, VonMisesY):
            found.append(stats.vonmises(part.concentration, loc=part.mean))
        elif isinstance(part, NormalY):
            found.append(stats.norm(part.mean, part.std))
        elif isinstance(part, BetaY):
            p = part.exponent + 1
            found.append(stats.beta(p, p, loc=part.low, scale=part.high - part.low))
        else:
            low, high = (0, 2 * np.pi) if part.low is None else (part.low, part.high)
            found.append(stats.uniform(low, high - low))
    return found


def density_c(law: Initial, y, c):  # type: ignore[no-untyped-def]
    """q(c given y), the mean written down again."""
    mean = 0.2 + 0.5 * np.cos(y) if isinstance(law.c.mean, FourierSeries) else law.c.mean
    if isinstance(law.c, NormalC):
        return stats.norm.pdf(c, mean, law.c.std)
    reach, p = law.c.std * (2 * law.c.exponent + 3) ** 0.5, law.c.exponent + 1
    return stats.beta.pdf(c, p, p, loc=mean - reach, scale=2 * reach)


def grid(law: Initial) -> Grid:
    axes = (circle(16),) if law.circle else tuple(Axis(-2.0, 2.5, 9) for _ in law.laws)
    return Grid(axes, Axis(-4.0, 4.0, 12))


@pytest.mark.parametrize("name", LAWS)
def test_cell_averages_are_exact(name: str) -> None:
    """Masses by adaptive quadrature of scipy's densities; for a mean that moves with y, 8 Gauss points: 1e-9 here."""
    law, on = LAWS[name], grid(LAWS[name])
    averages = law.cell_averages(on)
    assert averages.shape == on.shape
    pdfs = [m.pdf for m in marginals(law)]
    for cell in ((0, 6), (4, 5), (8, 8), (3, 6), (2, 5)):
        i, j = cell
        index = (i, 4, 4)[: len(pdfs)]
        low, high = on.c.edges[j : j + 2]
        ranges = [axis.edges[k : k + 2] for axis, k in zip(on.y, index, strict=True)]
        points = dict(points=[-1, 0, 1, 2])
        rest = np.prod(
            [integrate.quad(p, *r, epsabs=1e-14, **points)[0] for p, r in zip(pdfs[1:], ranges[1:], strict=True)]
        )

        def inner(y: float, low: float = low, high: float = high) -> float:
            return pdfs[0](y) * integrate.quad(lambda c: density_c(law, y, c), low, high, epsabs=1e-13)[0]

        exact = rest * integrate.quad(inner, *ranges[0], epsabs=1e-13, **points)[0]
        assert averages[(*index, j)] * on.cell == pytest.approx(exact, rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("concentration", [0.1, 40.0, 400.0, 1e5])
def test_von_mises_masses_are_exact_at_any_concentration(concentration: float) -> None:
    law = VonMisesY(mean=1.0, concentration=concentration)
    edges = np.linspace(0, 2 * np.pi, 65)
    masses = law.masses(edges)
    assert masses.sum() == pytest.approx(1.0, rel=1e-13)
    for i in (9, 10, 11, 40):
        inside = [
            y for y in (1.0, 1 - 3 * concentration**-0.5, 1 + 3 * concentration**-0.5) if edges[i] < y < edges[i + 1]
        ]
        exact = integrate.quad(law.density, *edges[i : i + 2], points=inside or None, epsabs=1e-14)[0]
        assert masses[i] == pytest.approx(exact, rel=1e-11, abs=1e-14)


def test_normal_masses_are_exact_in_both_tails() -> None:
    law = NormalY(mean=0.0, std=1.0)
    edges = np.array([-8.0, -7.0, -6.0, 6.0, 7.0, 8.0])
    masses = law.masses(edges)
    np.testing.assert_allclose(masses[[0, 1]], masses[[4, 3]], rtol=1e-14)
    assert masses[4] == pytest.approx(stats.norm.sf(7) - stats.norm.sf(8), rel=1e-13)


@pytest.mark.parametrize("name", LAWS)
def test_nodes_integrate_moments(name: str) -> None:
    """E y_i^k by scipy's own moments, E c and E c^2 in closed form; spectral rules: to rounding on 40 nodes."""
    law = LAWS[name]
    y, c, p = law.nodes(40 if len(law.laws) < 3 else 28, 32)
    assert y.shape == (len(law.laws), c.size)
    assert p.sum() == pytest.approx(1.0, rel=1e-13)
    if law.circle:
        k, mean = (law.y.concentration, law.y.mean) if isinstance(law.y, VonMisesY) else (0.0, 0.0)
        first = special.ive(1, k) / special.ive(0, k)
        assert p @ np.cos(y[0]) == pytest.approx(first * np.cos(mean), rel=1e-12, abs=1e-14)
        centre, centre2 = law.c.mean, 0.0
        if isinstance(law.c.mean, FourierSeries):
            second = special.ive(2, k) / special.ive(0, k) * np.cos(2 * mean)
            centre = 0.2 + 0.5 * first * np.cos(mean)
            centre2 = 0.04 + 0.2 * first * np.cos(mean) + 0.125 * (1 + second) - centre**2
    else:
        for part, marginal in zip(y, marginals(law), strict=True):
            for k in (1, 2, 3, 4):
                assert p @ part**k == pytest.approx(marginal.moment(k), rel=1e-12, abs=1e-13)
        centre, centre2 = law.c.mean, 0.0
    assert p @ c == pytest.approx(centre, rel=1e-12, abs=1e-14)
    assert p @ c**2 == pytest.approx(centre**2 + centre2 + law.c.std**2, rel=1e-12)
    at, q = law.moment_nodes(40 if len(law.laws) < 3 else 28)
    assert q @ np.cos(at[0]) == pytest.approx(p @ (c * np.cos(y[0])), rel=1e-11, abs=1e-13)


@pytest.mark.parametrize(("count", "error"), [(12, 3e-7), (16, 3e-10), (20, 3e-13), (24, 5e-16)])
def test_few_nodes_integrate_the_normal_law_and_fewer_than_gauss_legendre(count: int, error: float) -> None:
    """E cos u = e^(-1/2); Gauss-Legendre on [-8, 8] errs by more with half as many nodes again."""
    u, w = normal_nodes(count)
    assert abs(w @ np.cos(u) - np.exp(-0.5)) <= error
    v, q = special.roots_legendre(3 * count // 2)
    q = q * np.exp(-((8 * v) ** 2) / 2)
    assert count == 24 or abs(q @ np.cos(8 * v) / q.sum() - np.exp(-0.5)) > error


@pytest.mark.parametrize("name", LAWS)
def test_a_finer_rule_is_another_rule(name: str) -> None:
    """Else nothing moves when a rule is refined, and what has not converged passes for converged."""
    law = LAWS[name]
    sizes = [law.nodes(Ny, Nc)[1].size for Ny, Nc in ((6, 6), (8, 6), (8, 8), (12, 8), (12, 12), (18, 12))]
    assert sizes == [Ny ** len(law.laws) * Nc for Ny, Nc in ((6, 6), (8, 6), (8, 8), (12, 8), (12, 12), (18, 12))]


@pytest.mark.parametrize("name", LAWS)
def test_samples_follow_the_density(name: str) -> None:
    """Kolmogorov-Smirnov for every component of y and for (c - mean)/std; fixed seeds, false-alarm rate 1e-3 of all."""
    law, tests = LAWS[name], 20
    y, c = law.sample(stream(5, 20_000, 0), 20_000)
    assert y.shape == (len(law.laws), 20_000)
    for part, marginal, of in zip(y, marginals(law), law.laws, strict=True):
        u = marginal.cdf(part) % 1.0 if of.circle else marginal.cdf(part)  # mod 1: a circular shift keeps it uniform
        assert stats.kstest(u, "uniform").pvalue > 1e-3 / tests
    mean = 0.2 + 0.5 * np.cos(y[0]) if isinstance(law.c.mean, FourierSeries) else law.c.mean
    v = (c - mean) / law.c.std
    reach = (2 * law.c.exponent + 3) ** 0.5 if isinstance(law.c, BumpC) else 0.0
    p = law.c.exponent + 1 if isinstance(law.c, BumpC) else 0.0
    exact = stats.beta(p, p, loc=-reach, scale=2 * reach) if reach else stats.norm()
    assert stats.kstest(v, exact.cdf).pvalue > 1e-3 / tests


def test_samples_of_the_shipped_problems_have_not_changed() -> None:
    """The first two particles of stream(1, 50, 3), as the release before had them."""
    for name, (y, c) in GOLDEN.items():
        found = Problem.load(name).initial.sample(stream(1, 50, 3), 50)
        np.testing.assert_array_equal(found[0][0, :2], y)
        np.testing.assert_array_equal(found[1][:2], c)


@pytest.mark.parametrize("name", LAWS)
def test_reach_holds_the_mass(name: str) -> None:
    law = LAWS[name]
    low, high = law.reach()
    assert low.shape == (len(law.laws) + 1,)
    if not law.circle:
        for marginal, a, b in zip(marginals(law), low, high, strict=False):
            assert marginal.cdf(a) + marginal.sf(b) < 4e-16
    c = law.sample(stream(5, 20_000, 1), 20_000)[1]
    assert low[-1] < c.min() and c.max() < high[-1]
    if isinstance(law.c, NormalC):
        assert stats.norm.cdf((low[-1] - law.c.mean) / law.c.std) < 2e-16


def test_components_may_be_laws_or_lists() -> None:
    one = Initial(y=NormalY(mean=(0.1, -0.2), std=0.5), c=BUMP)
    other = Initial(y=(NormalY(mean=0.1, std=0.5), NormalY(mean=-0.2, std=0.5)), c=BUMP)
    assert one.of(2) == other.of(2)
    assert Initial(y=NormalY(std=0.5), c=BUMP).of(3).laws == (NormalY(std=0.5),) * 3
    with pytest.raises(ValueError, match=r"initial\.y\.mean: must be a number or a list of 3, not of 2"):
        one.of(3)
    with pytest.raises(ValueError, match="a list of 3 tables"):
        other.of(3)


def ring(y, c):  # type: ignore[no-untyped-def]
    """Not a product: c moves with y. Mass 1 in [-1, 1] x [-2, 2] as int (1 + y c/2)/8 = 1."""
    return (1 + y * c / 2) / 8


def draw(rng, n):  # type: ignore[no-untyped-def]
    y, c = rng.uniform(-1, 1, 4 * n), rng.uniform(-2, 2, 4 * n)
    kept = np.flatnonzero(rng.uniform(0, 2, 4 * n) < 1 + y * c / 2)[:n]
    return y[kept], c[kept]


def test_a_density_from_python() -> None:
    law = Density(draw, ring, low=[-1, -2], high=[1, 2])
    y, c = law.sample(np.random.default_rng(0), 100)
    assert (y.shape, c.shape) == ((1, 100), (100,))
    y, c, p = law.nodes(20, 20)
    assert p @ (y[0] * c) == pytest.approx(2 / 9, rel=1e-12)  # E y c = int y^2 c^2/16
    at, q = law.moment_nodes(20)
    assert q @ at[0] == pytest.approx(2 / 9, rel=1e-12)
    # cells that the box cuts at y = 1, where 0.8 ... 1.2 holds half a cell, count their part
    on = Grid((Axis(-1.2, 1.2, 6),), Axis(-2.5, 2.5, 10))
    averages = law.cell_averages(on)
    assert averages.sum() * on.cell == pytest.approx(1.0, rel=1e-13)
    exact = integrate.dblquad(lambda c, y: ring(y, c), 0.8, 1.0, 0.5, 1.0)[0]
    assert averages[5, 6] * on.cell == pytest.approx(exact, rel=1e-12)


def test_a_density_from_python_on_the_circle_equals_the_product_it_is() -> None:
    def density(y, c):  # type: ignore[no-untyped-def]
        return stats.vonmises.pdf(y, 3.0, loc=1.0) * stats.norm.pdf(c, 0, 0.5)

    law = Density(
        lambda rng, n: (rng.vonmises(1, 3, n), rng.normal(0, 0.5, n)), density, [0, -4], [2 * np.pi, 4], circle=True
    )
    on = Grid((circle(64),), Axis(-4.0, 4.0, 64))
    exact = LAWS["von_mises"].cell_averages(on)
    # 4 Gauss points: h^8/1.8e9 of an eighth derivative in c, 105/std^8 of a peak of 0.6, with h = std/4: 5e-13
    np.testing.assert_allclose(law.cell_averages(on), exact, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": [-1], "high": [1]}, "as many numbers as y has components, and one for c"),
        ({"low": [1, -2], "high": [-1, 2]}, "low must be below high"),
        ({"low": [-0.5, -2]}, "the density has mass 0.75 in the box, not 1"),
        ({"circle": True}, "on the circle y goes from 0 to 2 pi"),
    ],
)
def test_bad_densities_from_python_are_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        Density(**({"sample": draw, "density": ring, "low": [-1, -2], "high": [1, 2]} | change))


GOLDEN = {
    "flat-fourier": ([4.78286840925854, 1.6783896975230022], [1.1583885984264681, 0.9048870578188971]),
    "flat-fourier-normal": ([4.78286840925854, 1.6783896975230022], [0.0014927697031376992, 1.0394883653752178]),
    "stationary": ([4.78286840925854, 1.6783896975230022], [1.393599145443277, 1.051194107121101]),
    "co2-season": ([4.78286840925854, 1.6783896975230022], [1.1583885984264681, 0.9048870578188971]),
}
