"""report.html in a real browser: complete, self-contained, readable in any light and on a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from batch_transform.job_report import ReportedError, report_page
from batch_transform.review_list import DoubtfulDocument

LONG_LABEL = "Consumer Complaint about Financial Services, Mortgage Servicing and Debt Collection"
LONG_FILE = "2026-07/" + "a-name-that-somebody-gave-a-scan-" * 5 + ".txt"
WIDE, PHONE = 1200, 360
SUMMARY = {
    "job_name": "dispute-optimized-20261121-011527-521b",
    "input": "s3://legal-documents/input/2026-07/",
    "input_files": 1204,
    "predictions": "s3://legal-documents/output/dispute-optimized-20261121-011527-521b/predictions.json",
    "is_complete": True,
    "faults": {},
    "left_out": {"EmptyDocument": 3, "InvalidEncoding": 2},
    "documents_packed": 2840,
    "documents": 2840,
    "answered": 2827,
    "errors": {"EmptyDocument": 13},
    "mean_confidence": 0.6472,
    "model_name": "dispute-classifier-0123456789abcdef",
    "created_at": "2026-11-21T01:15:27+00:00",
    "ended_at": "2026-11-21T01:42:19+00:00",
    "instance_type": "ml.g5.xlarge",
    "instance_count": 2,
    "billed_seconds": 1612,
    "dollars": 0.6304,
    "tokens": 1_234_567,
    "jobs": [{"job_name": "dispute-optimized-20261121-011527-521b"}],
    "classes": {
        "Contract Dispute": {"documents": 2400, "mean_confidence": 0.71},
        LONG_LABEL: {"documents": 405, "mean_confidence": 0.58},
        "Family <&> Heirs": {"documents": 22, "mean_confidence": 0.4},
    },
    "documents_by_confidence": [0] * 6 + [10, 200, 1400, 700, 400, 117] + [0] * 8,
    "review": {"below": 0.2, "documents": 950, "listed": 950},
    "objects_left_out": {},
}
# A page may hold no script, so what is measured of it is measured from outside: it is shown in a
# frame as wide as the screen to be tried, and the frame's owner writes down what it sees.
FRAME = """<!doctype html><html><head><meta name="color-scheme" content="light dark"></head><body>
<iframe id="page" style="width:{width}px;height:3000px;border:0" srcdoc="{page}"></iframe>
<pre id="seen"></pre><script>
window.onload = () => {{
  const view = document.getElementById("page").contentWindow, page = view.document;
  const texts = (selector) => [...page.querySelectorAll(selector)].map((e) => e.textContent);
  const isOutside = (e) => e.getBoundingClientRect().right > view.innerWidth + 1;
  document.getElementById("seen").textContent = JSON.stringify({{
    tiles: Object.fromEntries([...page.querySelectorAll(".tiles > div")].map(
      (tile) => [tile.querySelector("dt").textContent, tile.querySelector("dd").textContent])),
    classes: [...page.querySelectorAll(".classes tbody tr")].map(
      (row) => [...row.cells].map((cell) => cell.textContent)),
    bars: [...page.querySelectorAll(".bar span")].map((e) => e.getBoundingClientRect().width),
    columns: [...page.querySelectorAll(".histogram span")].map(
      (e) => e.getBoundingClientRect().height),
    names: [...page.querySelectorAll(".classes [scope], .rows td:first-child")].map(
      (e) => e.getBoundingClientRect().width),
    headings: texts("h2"), notes: texts(".note"), facts: texts(".facts dd"),
    verdict: texts(".verdict")[0],
    verdictColor: view.getComputedStyle(page.querySelector(".verdict")).color,
    behindColumns: [...page.querySelectorAll(".histogram div")].map((e) => [
      view.getComputedStyle(e).backgroundImage, view.getComputedStyle(e).backgroundColor]),
    rows: [...page.querySelectorAll("section:last-of-type tbody tr")].map(
      (row) => [...row.cells].map((cell) => cell.textContent)),
    outside: [...page.querySelectorAll("body *")].filter(isOutside).map((e) => e.outerHTML),
    loaded: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    background: view.getComputedStyle(page.body).backgroundColor,
    ink: view.getComputedStyle(page.body).color,
  }});
}};
</script></body></html>"""


class Browser:
    """A browser without a window."""

    def __init__(self, command: str, folder: Path) -> None:
        self._command, self._folder = command, folder

    def look_at(self, page: str, *, width: int = WIDE, is_dark: bool = False) -> dict[str, Any]:
        """Return what stands where on the page; fail where the browser complains of it."""
        place = self._folder / "page.html"
        place.write_text(FRAME.format(width=width, page=html.escape(page)), encoding="utf-8")
        command = [
            *(self._command, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-background-networking", "--no-first-run", "--enable-logging=stderr"),
            *(f"--user-data-dir={self._folder / 'profile'}", f"--window-size={WIDE + 50},3000"),
            *(f"--blink-settings=preferredColorScheme={0 if is_dark else 1}", "--dump-dom"),
            place.as_uri(),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        assert ":CONSOLE" not in done.stderr, done.stderr
        seen = re.search(r'<pre id="seen">(.+?)</pre>', done.stdout, re.DOTALL)
        assert seen, done.stdout
        return json.loads(html.unescape(seen[1]))


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """The browser of this machine."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if command := shutil.which(name):
            return Browser(command, tmp_path)
    return pytest.skip("report.html was NOT looked at: no chromium on this machine")


def doubtful(count: int) -> list[DoubtfulDocument]:
    """Return rows of a review list whose names and texts are as long as they get."""
    return [
        DoubtfulDocument(LONG_FILE, line, LONG_LABEL, 0.41, "Other", 0.4, 0.01, "My wages. " * 30)
        for line in range(1, count + 1)
    ]


def errors(count: int) -> list[ReportedError]:
    """Return rows of the list of errors."""
    return [ReportedError(LONG_FILE, line, "EmptyDocument", "no words") for line in range(count)]


def test_the_numbers_on_the_page_are_those_of_the_summary(browser: Browser) -> None:
    """Tiles, classes with shares, and columns as high as their counts; nothing is loaded for it."""
    seen = browser.look_at(report_page(SUMMARY, errors(15), doubtful(950)))
    assert seen["tiles"] == {
        "documents": "2,840",
        "answered": "2,840",
        "classified": "2,827",
        "not classified": "13",
        "lines not sent": "2",
        "blank lines": "3",
        "input files": "1,204",
        "mean confidence": "64.7%",
        "ml.g5.xlarge": "2 x",
        "billed": "1,612 s",
        "cost": "$0.63",
        "tokens": "1,234,567",
    }
    assert seen["classes"] == [
        ["Contract Dispute", "", "2,400", "84.5%", "0.71"],
        [LONG_LABEL, "", "405", "14.3%", "0.58"],
        ["Family <&> Heirs", "", "22", "0.8%", "0.40"],
    ]
    assert seen["bars"][1] / seen["bars"][0] == pytest.approx(405 / 2400, abs=0.01)
    heights = [column / max(seen["columns"]) for column in seen["columns"]]
    counts = [count / 1400 for count in SUMMARY["documents_by_confidence"]]
    assert heights == pytest.approx(counts, abs=0.01)
    assert (
        len(seen["rows"]),
        "The first 200 of 950; more are in review.csv." in seen["notes"],
    ) == (
        200,
        True,
    )
    assert seen["loaded"] == []


def test_the_page_says_when_and_by_what(browser: Browser) -> None:
    """Input, model, and times that mean the same wherever they are read; where all answers are."""
    seen = browser.look_at(report_page(SUMMARY, [], []))
    assert seen["facts"] == [
        "s3://legal-documents/input/2026-07/",
        "dispute-classifier-0123456789abcdef",
        "2026-11-21 01:15:27 UTC",
        "2026-11-21 01:42:19 UTC",
    ]
    never_ended = report_page(SUMMARY | {"ended_at": None}, [], [])
    assert browser.look_at(never_ended)["facts"][-1] == "unknown"


GREEN, AMBER, RED = "rgb(23, 105, 63)", "rgb(138, 83, 0)", "rgb(180, 35, 24)"
EXACTLY_ONCE = "Every packed document was answered exactly once"


@pytest.mark.parametrize(
    ("became", "color", "told"),
    [
        ({"answered": 2840, "left_out": {"EmptyDocument": 3}}, GREEN, f"{EXACTLY_ONCE}."),
        (
            {"answered": 0, "left_out": {}},
            AMBER,
            f"{EXACTLY_ONCE}; 2,840 documents got no class.",
        ),
        (
            {"answered": 2840, "left_out": {"EmptyDocument": 3, "DocumentTooLarge": 1}},
            AMBER,
            f"{EXACTLY_ONCE}; 1 line was never sent.",
        ),
        ({}, AMBER, f"{EXACTLY_ONCE}; 13 documents got no class, 2 lines were never sent."),
        (
            {"is_complete": False, "documents": 2000, "answered": 2000},
            RED,
            "Partial: 2,000 of 2,840 documents answered.",
        ),
    ],
)
def test_green_is_only_what_has_a_class_for_every_line_with_text(
    browser: Browser, became: dict[str, Any], color: str, told: str
) -> None:
    """A reader who sees the colour alone must not take errors for classes."""
    seen = browser.look_at(report_page(SUMMARY | became, [], []))
    assert (seen["verdict"], seen["verdictColor"]) == (told, color)


def test_both_kinds_of_lines_without_a_class_are_told_apart(browser: Browser) -> None:
    """Those that were answered with an error, those never sent, and the blank ones besides."""
    notes = browser.look_at(report_page(SUMMARY, errors(15), []))["notes"]
    told = "13 documents got no class; 2 lines were never sent. 3 blank lines not listed here."
    assert told in notes
    many = SUMMARY | {"answered": 2340, "left_out": {}}
    notes = browser.look_at(report_page(many, errors(200), []))["notes"]
    assert "500 documents got no class." in notes
    assert "The first 200 of 500; more are in errors.jsonl." in notes


def test_objects_that_are_no_input_are_named(browser: Browser) -> None:
    """One that was meant to be input is missed there, not in court."""
    left_out = {
        "empty file": {"count": 1, "first": [LONG_FILE]},
        "earlier output": {"count": 21, "first": ["a<b>.out"] * 20},
    }
    page = report_page(SUMMARY | {"objects_left_out": left_out}, [], [])
    seen = browser.look_at(page, width=PHONE)
    assert seen["headings"][-1] == "Not taken as input"
    assert seen["rows"] == [
        ["Empty file", "1", LONG_FILE],
        ["Earlier output", "21", ", ".join(["a<b>.out"] * 20) + ", …"],
    ]
    assert seen["outside"] == []


def test_a_lawyer_is_told_what_confidence_and_margin_are(browser: Browser) -> None:
    """In words, beside the figures."""
    notes = browser.look_at(report_page(SUMMARY, [], doubtful(1)))["notes"]
    assert any("How sure the model is" in note and "no proof" in note for note in notes)
    assert any("The margin is by how much" in note and "below 0.2" in note for note in notes)


def test_nothing_but_a_count_looks_like_a_column(browser: Browser) -> None:
    """Where there is no document the paper is blank; one of a million is still to be seen."""
    counts = [0] * 18 + [1, 1_000_000]
    seen = browser.look_at(report_page(SUMMARY | {"documents_by_confidence": counts}, [], []))
    assert seen["behindColumns"] == [["none", "rgba(0, 0, 0, 0)"]] * 20
    assert seen["columns"][:19] == [0] * 18 + [2]


def test_the_jobs_of_a_chain_stand_apart(browser: Browser) -> None:
    """The tiles hold their sums; what nobody can tell of an old job is unknown, not nothing."""
    known = {
        "job_name": "second",
        "documents": 40,
        "instance_type": "ml.g5.xlarge",
        "instance_count": 2,
        "billed_seconds": 1612,
        "dollars": 0.6304,
        "tokens": 1000,
    }
    unknown = dict.fromkeys(known) | {"job_name": "first", "documents": 2800}
    page = report_page(SUMMARY | {"jobs": [unknown, known], "dollars": None}, [], [])
    seen = browser.look_at(page)
    assert (seen["headings"][-1], seen["tiles"]["cost, 2 jobs"]) == ("Jobs", "unknown")
    assert seen["rows"] == [
        ["first", "2,800", "unknown", "unknown", "unknown", "unknown"],
        ["second", "40", "2 x ml.g5.xlarge", "1,612 s", "$0.63", "1,000"],
    ]


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("is_dark", [False, True])
def test_the_page_fits_its_screen_and_its_light(
    browser: Browser, width: int, is_dark: bool
) -> None:
    """Nothing stands over the edge, names have room for words, and the ink is not the paper."""
    page = report_page(SUMMARY, errors(15), doubtful(3))
    seen = browser.look_at(page, width=width, is_dark=is_dark)
    assert seen["outside"] == []
    assert min(seen["names"]) > 200
    paper, ink = (brightness(seen[part]) for part in ("background", "ink"))
    assert (paper < ink) == is_dark
    assert abs(paper - ink) > 150


def brightness(color: str) -> float:
    """Return how bright a computed `rgb(…)` is, from 0 to 255."""
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3


def test_a_section_stands_only_where_there_is_something_to_say(browser: Browser) -> None:
    """Without errors no list of them; a job without any answer has neither classes nor columns."""
    nothing = {
        "documents": 0,
        "answered": 0,
        "classes": {},
        "documents_by_confidence": [0] * 20,
        "mean_confidence": None,
        "dollars": None,
        "is_complete": False,
        "faults": dict.fromkeys(map(str, range(300)), f"shard-00000.jsonl ({LONG_FILE} line 1 …"),
    }
    assert browser.look_at(report_page(SUMMARY, [], []))["headings"] == [
        "Classes",
        "Confidence",
    ]
    seen = browser.look_at(report_page(SUMMARY | nothing, errors(200), []), width=PHONE)
    assert seen["headings"] == ["Not answered", "Not classified, or not sent"]
    assert (seen["verdict"], seen["outside"]) == ("Partial: 0 of 2,840 documents answered.", [])
    assert "The first 200 of 300; more are in summary.json." in seen["notes"]
    assert (seen["tiles"]["mean confidence"], seen["tiles"]["cost"]) == ("unknown", "unknown")


def test_a_mean_of_other_numbers_is_no_percentage(browser: Browser) -> None:
    """Scores outside 0 to 1 stand in no column, and their mean is written as the number it is."""
    amounts = {"documents_by_confidence": [0] * 20, "mean_confidence": 1234.5678}
    tiles = browser.look_at(report_page(SUMMARY | amounts, [], []))["tiles"]
    assert tiles["mean confidence"] == "1,234.57"
