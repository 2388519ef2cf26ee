"""Both pages in a real browser at the widths of a phone, a tablet and a desk: nothing overflows, all of it works."""

import json
import re
import tempfile

import chromium
import pytest
from documents import unpacked
from pages import FAMILIES, ROOT

from normscape.evidence.figure import Family
from normscape.evidence.results import judged_figures, scales_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.CHROMIUM is None, reason="needs Chromium; on Debian: apt-get install chromium"),
]
FIRST = "document.querySelector('.explorer').explorer"
WIDTHS = (390, 820, 1440)
OF_FIGURES = "[...document.querySelectorAll('.card .claims tbody tr')]"
VISIBLE = "[...document.querySelectorAll('{} tbody tr')].filter((row) => row.offsetParent).length"
SMALL = """[...document.querySelectorAll('body *')].filter((each) => each.offsetParent && !each.closest('.plot')
  && [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
  && parseFloat(getComputedStyle(each).fontSize) < 16).map((each) => each.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def tab():
    with tempfile.TemporaryDirectory() as profile, chromium.browser(profile) as opened:
        yield opened


@pytest.fixture(params=("committed_page", "sweep_page"))
def page(request):
    return request.getfixturevalue(request.param)


def draw_first(tab):
    """Scroll to the first chart, and wait until it is drawn."""
    tab.wait("document.querySelector('.explorer') !== null")
    tab.run("document.querySelector('.explorer').scrollIntoView()")
    tab.wait("document.querySelector('.plot').dataset.drawn !== undefined")


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_draws_its_charts_and_asks_the_network_for_nothing(tab, page, width):
    tab.open(page, width)
    draw_first(tab)
    assert tab.run("document.querySelectorAll('.plot .scatterlayer .trace').length") > 0
    tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert tab.run(SMALL) == []
    assert tab.run("window.evil") is None
    assert tab.complaints == tab.requests == []


@pytest.mark.parametrize("width", WIDTHS)
def test_without_javascript_pictures_and_tables_are_there(tab, page, width):
    tab.open(page, width, scripts=False)
    assert tab.run("[...document.images].every((each) => each.complete && each.naturalWidth > 100)")
    assert tab.run("document.images.length") > 0
    assert tab.run("[...document.images].some((each) => each.offsetParent)")
    assert tab.run(VISIBLE.format("table")) > 5
    assert tab.run("[...document.querySelectorAll('form, .curves')].every((each) => !each.offsetParent)")
    assert tab.run("document.querySelector('noscript p').offsetHeight") > 10
    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert tab.complaints == tab.requests == []


def test_what_a_page_would_load_or_let_overflow_is_found(tab, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        "<p style='width: 3000px; font-size: 12px'>x</p><img src='http://127.0.0.1:9/x.png'><script>x()</script>"
    )
    tab.open(page, 1440)
    tab.run("document.readyState")
    assert tab.requests == ["http://127.0.0.1:9/x.png"]
    assert any("Uncaught" in complaint for complaint in tab.complaints)
    assert tab.run("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert len(tab.run(SMALL)) == 1


def set_field(tab, name, value):
    """Fill in a field of the first form as a user would."""
    field = f"document.forms[0].elements['{name}']"
    tab.run(f"{field}.value = {value!r}, {field}.dispatchEvent(new Event('input', {{ bubbles: true }}))")


def judged_of(name):
    """Return the judged figures of a family's committed results, at every scale that the page shows."""
    family = Family.of(name, ROOT)
    return [each for folder in scales_in(ROOT / "results" / name) for each in judged_figures(family, folder)]


def test_claims_are_filtered(tab, committed_page):
    tab.open(committed_page, 1440)
    rows = "[...document.querySelectorAll('#claims tbody tr')]"
    every = tab.run(f"{rows}.length")
    assert tab.run(VISIBLE.format("#claims")) == every > 50
    judged = [each for family in FAMILIES for each in judged_of(family)]
    assert every == sum(len(each.verdicts) for each in judged)
    for column, of_figure in ((0, 0), (1, 1), (2, 3), (3, 5), (4, 6), (6, 7)):
        said = tab.run(f"{rows}.map((row) => row.cells[{column}].textContent)")
        assert said == tab.run(f"{OF_FIGURES}.map((row) => row.cells[{of_figure}].textContent)")
    said = "(row) => row.cells.length === 7 && [0, 1, 2, 5].every((at) => row.cells[at].innerText)"
    assert tab.run(f"{rows}.every({said})")
    for name, value, chosen in (
        ("verdict", "does-not-hold", "row.dataset.verdict === 'does-not-hold'"),
        ("whose", "its curves", "row.dataset.whose === 'its curves'"),
        ("text", "LAYER 11", "row.textContent.includes('layer 11')"),
        ("figure", "santurkar2018: Figure 4", "row.dataset.figure.endsWith('Figure 4')"),
    ):
        set_field(tab, name, value)
        expected = tab.run(f"{rows}.filter((row) => {chosen}).length")
        assert tab.run(VISIBLE.format("#claims")) == expected
        assert tab.run("document.querySelector('output').textContent") == f"{expected} of {every}"
        assert expected < every
        set_field(tab, name, "")
    tab.run("document.forms[0].elements.main.click()")
    main = sum(verdict.claim.name in each.figure.headline for each in judged for verdict in each.verdicts)
    assert 0 < tab.run(VISIBLE.format("#claims")) == main < every / 3
    tab.run("document.querySelector('button[type=reset]').click()")
    tab.wait(f"{VISIBLE.format('#claims')} === {every}")


def test_series_and_the_paper_s_curves_are_switched(tab, committed_page):
    tab.open(committed_page, 1440)
    draw_first(tab)
    drawn = "Number(document.querySelector('.plot').dataset.drawn)"
    ours = tab.run(drawn)
    tab.run(f"{FIRST}.paper.click()")
    tab.wait(f"{drawn} > {ours}")
    tab.run("document.querySelector('.legend button').click()")
    tab.wait(f"{drawn} < {ours} * 2")
    assert tab.run("document.querySelector('.legend button').getAttribute('aria-pressed')") == "false"
    tab.run(f"{FIRST}.choice.selectedIndex = 2, {FIRST}.choice.dispatchEvent(new Event('change'))")
    tab.wait(f"{FIRST}.title.textContent.startsWith({FIRST}.content.charts[2].title)")
    assert tab.complaints == []


def drag(tab, x, y, far):
    """Press at a point, move to the right and let go."""
    mouse = {"button": "left", "clickCount": 1, "y": y}
    tab.call("Input.dispatchMouseEvent", type="mousePressed", x=x, **mouse)
    for step in range(1, 6):
        tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + far * step / 5, buttons=1, **mouse)
    tab.call("Input.dispatchMouseEvent", type="mouseReleased", x=x + far, **mouse)


def test_values_are_read_by_hovering_and_a_stretch_is_zoomed_by_dragging(tab, committed_page):
    tab.open(committed_page, 1440)
    draw_first(tab)
    area = "document.querySelector('.plot .nsewdrag').getBoundingClientRect()"
    box = tab.run(f"(({{ x, y, width, height }}) => [x, y, width, height])({area})")
    x, y, width, height = box
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + width / 2, y=y + height / 2)
    tab.wait("document.querySelector('.plot .hoverlayer').textContent.includes('%')")
    before = tab.run("document.querySelector('.plot')._fullLayout.xaxis.range[1]")
    drag(tab, x + width / 4, y + height / 2, width / 4)
    tab.wait(f"document.querySelector('.plot')._fullLayout.xaxis.range[1] < {before} * 0.9")


HOVERED = "[...document.querySelectorAll('.plot .hoverlayer .legendtext')].map((each) => each.textContent)"
"""What the box beside the mouse says, a line for each curve."""


def test_a_value_is_said_with_the_step_that_it_is_of(tab, committed_page):
    """Curves that are measured at other steps share a box, whose header is the nearest step of one of them."""
    tab.open(committed_page, 1440)
    draw_first(tab)
    tab.run(f"{FIRST}.paper.click()")
    tab.wait("document.querySelector('.plot').dataset.drawn > 4")
    held = tab.run(f"({FIRST}.lines.map((line) => [line.name, {FIRST}.content.xs[line.x], line.y]))")
    curves = {name: dict(zip(x, y, strict=True)) for name, x, y in held}
    x, y, width, height = tab.run(
        "(({ x, y, width, height }) => [x, y, width, height])"
        "(document.querySelector('.plot .nsewdrag').getBoundingClientRect())"
    )
    before, seen = [], set()
    for share in (0.11, 0.37, 0.52, 0.83):
        tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + share * width, y=y + height / 2)
        tab.wait(f"{HOVERED}.length > 1 && {HOVERED}.join() !== {json.dumps(','.join(before))}")
        before = tab.run(HOVERED)
        for line in before:
            name, value, step = re.fullmatch(r"(.*): ([\d.]+)%.* at ([\d,]+)", line.replace("\u2212", "-")).groups()
            (at,) = [each for each in curves[name] if round(each) == int(step.replace(",", ""))]
            assert float(value) == pytest.approx(100 * curves[name][at], abs=0.051)
            seen.add(line)
    assert len(seen) > 8


def test_the_browser_reads_the_numbers_that_were_written(tab, committed_page):
    tab.open(committed_page, 1440)
    draw_first(tab)
    shown = tab.run(f"{FIRST}.content.charts")
    packed = tab.run("document.querySelector('script[data-charts]').textContent")
    for ours, theirs in zip(unpacked(packed)["charts"], shown, strict=True):
        for one, other in zip(ours["lines"], theirs["lines"], strict=True):
            for name in {"y", "low", "high"} & one.keys():
                assert [None if value is None else pytest.approx(value, rel=1e-4) for value in one[name]] == other[name]


def test_runs_are_sorted_filtered_and_switched_off(tab, sweep_page):
    tab.open(sweep_page, 1440)
    draw_first(tab)
    drawn = "Number(document.querySelector('.plot').dataset.drawn)"
    every = tab.run(drawn)
    buttons = "[...document.querySelectorAll('#runs thead button')]"
    header = f"{buttons}.find((each) => each.textContent === 'test_accuracy_final')"
    final = "[...document.querySelectorAll('#runs tbody tr')].map((row) => row.cells[{}].dataset.value)"
    place = tab.run(f"{header}.parentNode.cellIndex")
    tab.run(f"{header}.click()")
    values = tab.run(final.format(place))
    numbers = [float(value) for value in values if value]
    assert numbers == sorted(numbers)
    assert values[-1] == ""
    tab.run(f"{header}.click()")
    assert tab.run(final.format(place))[0] == values[len(numbers) - 1]
    tab.run("document.querySelector('[aria-label^=\"draw batch\"]').click()")
    tab.wait(f"{drawn} === {every} - 1")
    set_field(tab, "text", "batch")
    tab.wait(f"{drawn} < {every} - 1")
    set_field(tab, "text", "")
    set_field(tab, "status", "diverged")
    tab.wait(f"{drawn} === 1")
    assert tab.run(VISIBLE.format("#runs")) == 1
    assert tab.complaints == []
