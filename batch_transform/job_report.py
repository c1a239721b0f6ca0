"""
report.html: a job's results on one page that needs nothing but a browser.

Knows the summary and the lists; draws with HTML and CSS alone, in light and dark. Holds a
document's text only where the rows it is given do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from batch_transform.prices import written_out
from batch_transform.report_style import STYLE
from batch_transform.result_counts import ResultCounts, Verdict
from batch_transform.review_list import DoubtfulDocument
from batch_transform.wording import counted, in_utc

_ROWS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ReportedError:
    """A document that got no class."""

    source: str
    line: int
    code: str
    message: str


def report_page(
    summary: dict[str, Any], errors: list[ReportedError], doubtful: list[DoubtfulDocument]
) -> str:
    """Return the whole page."""
    sections = [
        _header(summary),
        _tiles(summary),
        _faults(summary),
        _classes(summary),
        _confidence(summary),
        _jobs(summary),
        _errors(summary, errors),
        _objects_left_out(summary),
        _review(summary, doubtful),
        f"<footer>All answers: {escape(summary['predictions'])}</footer>",
    ]
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(summary['job_name'])}</title><style>\n{STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(filter(None, sections))}\n</main></body></html>\n"
    )


def _header(summary: dict[str, Any]) -> str:
    facts = {
        "Input": summary["input"],
        "Model": summary["model_name"],
        "Created": _time(summary["created_at"]),
        "Ended": _time(summary["ended_at"]),
    }
    told = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items()
    )
    verdict = Verdict.on(summary)
    return (
        f"<header><p class=kind>Batch transform</p><h1>{escape(summary['job_name'])}</h1>"
        f"<dl class=facts>{told}</dl>"
        f'<p class="verdict {verdict.rank}">{escape(verdict.sentence)}</p></header>'
    )


def _time(moment: str | None) -> str:
    return in_utc(datetime.fromisoformat(moment)) if moment else "unknown"


def _tiles(summary: dict[str, Any]) -> str:
    """Return two rows of figures: what became of the input, and what that brought and took."""
    counts = ResultCounts.of(summary)
    of_all_jobs = f", {len(summary['jobs'])} jobs" if len(summary["jobs"]) > 1 else ""
    became = {
        "documents": counts.packed,
        "answered": counts.answered,
        "classified": counts.classified,
        "not classified": counts.unclassified,
        "lines not sent": counts.not_sent,
        "blank lines": counts.blank,
    }
    took = {
        "input files": f"{summary['input_files']:,}",
        "mean confidence": _mean_confidence(summary),
        summary["instance_type"]: f"{summary['instance_count']} x",
        f"billed{of_all_jobs}": _or_unknown(summary["billed_seconds"], "{:,} s"),
        f"cost{of_all_jobs}": written_out(summary["dollars"]),
        f"tokens{of_all_jobs}": _or_unknown(summary["tokens"], "{:,}"),
    }
    counted_tiles = (
        _tile(f"{count:,}", name, _look(name, count)) for name, count in became.items()
    )
    other_tiles = (_tile(value, name) for name, value in took.items())
    return f"{_row_of_tiles(counted_tiles)}\n{_row_of_tiles(other_tiles)}"


def _look(name: str, count: int) -> str:
    """Return how a count looks: pale where there is nothing, bright where a person should look."""
    if not count:
        return "none"
    return "reserved" if name in {"not classified", "lines not sent"} else "some"


def _tile(value: str, name: str, look: str = "some") -> str:
    return f"<div><dd class={look}>{escape(value)}</dd><dt>{escape(name)}</dt></div>"


def _row_of_tiles(tiles: Iterable[str]) -> str:
    return f"<dl class=tiles>{''.join(tiles)}</dl>"


def _mean_confidence(summary: dict[str, Any]) -> str:
    """Return a percentage where every score was a probability, else the plain mean."""
    are_probabilities = sum(summary["documents_by_confidence"]) == summary["answered"]
    return _or_unknown(summary["mean_confidence"], "{:.1%}" if are_probabilities else "{:,.2f}")


def _classes(summary: dict[str, Any]) -> str:
    if not summary["classes"]:
        return ""
    most = max(found["documents"] for found in summary["classes"].values())
    rows = (
        f"<tr><th scope=row>{escape(label)}</th>"
        f'<td class=bar><span style="width:{_length(found["documents"], most)}"></span></td>'
        f"<td class=number>{found['documents']:,}</td>"
        f"<td class=number>{found['documents'] / summary['documents']:.1%}</td>"
        f"<td class=number>{found['mean_confidence']:.2f}</td></tr>"
        for label, found in summary["classes"].items()
    )
    head = "<th>Class</th><th></th><th>Documents</th><th>Share</th><th>Mean confidence</th>"
    table = f"<table class=classes><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    note = (
        f"<p class=note>Shares are of the {counted(summary['documents'], 'document')} answered.</p>"
    )
    return f"<section><h2>Classes</h2>{note}<div class=scroll>{table}</table></div></section>"


def _confidence(summary: dict[str, Any]) -> str:
    counts = summary["documents_by_confidence"]
    if not any(counts):
        return ""
    most, width = max(counts), 1 / len(counts)
    columns = (
        f'<div title="{index * width:.2f} to {(index + 1) * width:.2f}: '
        f'{counted(count, "document")}">'
        f'<span style="height:{_length(count, most)}"></span></div>'
        for index, count in enumerate(counts)
    )
    marks = "".join(f"<span>{mark}</span>" for mark in ("0", "0.25", "0.5", "0.75", "1"))
    return (
        f"<section><h2>Confidence</h2><p class=note>How sure the model is of the class that it "
        "chose, from 0 (not at all) to 1 (entirely). This is its own estimate and no proof: it can "
        "be sure and wrong. The columns count documents; the highest stands for "
        f"{most:,}.</p><div class=histogram>{''.join(columns)}</div>"
        f"<div class=axis>{marks}</div></section>"
    )


def _length(count: int, most: int) -> str:
    """Return the length of a bar, which is seen even where it stands for one document of many."""
    return f"max({count / most:.2%}, 2px)" if count else "0"


def _jobs(summary: dict[str, Any]) -> str:
    """Tell the jobs of a chain apart: which answered what, and what each was billed."""
    if len(summary["jobs"]) == 1:
        return ""
    rows = (
        (
            escape(job["job_name"]),
            f"{job['documents']:,}",
            _machines(job),
            _or_unknown(job["billed_seconds"], "{:,} s"),
            written_out(job["dollars"]),
            _or_unknown(job["tokens"], "{:,}"),
        )
        for job in summary["jobs"]
    )
    table = _table(("Job", "Documents", "Machines", "Billed", "Cost", "Tokens"), rows)
    return f"<section><h2>Jobs</h2>{table}</section>"


def _machines(job: dict[str, Any]) -> str:
    if job["instance_type"] is None:
        return "unknown"
    return escape(f"{job['instance_count']} x {job['instance_type']}")


def _faults(summary: dict[str, Any]) -> str:
    if not summary["faults"]:
        return ""
    faults = list(summary["faults"].values())
    shown = faults[:_ROWS_SHOWN]
    rows = "".join(f"<li>{escape(fault)}</li>" for fault in shown)
    note = _shown(len(shown), len(faults), "summary.json")
    return f"<section><h2>Not answered</h2>{note}<ul>{rows}</ul></section>"


def _errors(summary: dict[str, Any], errors: list[ReportedError]) -> str:
    if not errors:
        return ""
    counts = ResultCounts.of(summary)
    rows = (
        (escape(error.source), str(error.line), escape(error.code), escape(error.message))
        for error in errors
    )
    table = _table(("File", "Line", "Code", "Reason"), rows)
    told = "; ".join(counts.without_class())
    blank = f" {counted(counts.blank, 'blank line')} not listed here." if counts.blank else ""
    shown = _shown(len(errors), counts.unclassified + counts.not_sent, "errors.jsonl")
    note = f"<p class=note>{told}.{blank}</p>{shown}"
    return f"<section><h2>Not classified, or not sent</h2>{note}{table}</section>"


def _objects_left_out(summary: dict[str, Any]) -> str:
    """Name what lies under the input's prefix and is none, lest it is missed."""
    if not summary["objects_left_out"]:
        return ""
    rows = (
        (
            escape(kind.capitalize()),
            f"{found['count']:,}",
            escape(", ".join(found["first"]))
            + (", …" if found["count"] > len(found["first"]) else ""),
        )
        for kind, found in summary["objects_left_out"].items()
    )
    table = _table(("Kind", "Count", "Name"), rows)
    note = "<p class=note>These lie under the input's prefix and were not read.</p>"
    return f"<section><h2>Not taken as input</h2>{note}{table}</section>"


def _review(summary: dict[str, Any], doubtful: list[DoubtfulDocument]) -> str:
    if not doubtful:
        return ""
    shown = doubtful[:_ROWS_SHOWN]
    has_text = any(row.text for row in shown)
    rows = (
        (
            escape(row.source),
            str(row.line),
            f"{escape(row.predicted_class)} <small>{row.score:.2f}</small>",
            f"{escape(row.second_class)} <small>{row.second_score:.2f}</small>",
            f"{row.margin:.3f}",
            *([escape(row.text)] if has_text else []),
        )
        for row in shown
    )
    headings = ("File", "Line", "Best", "Second", "Margin", *(["Text"] if has_text else []))
    note = (
        "<p class=note>The margin is by how much the best class leads the second in confidence: "
        "the smaller it is, the less sure is the choice between the two. Documents with a margin "
        f"below {summary['review']['below']} stand here for a person to read, closest first.</p>"
        + _shown(len(shown), summary["review"]["documents"], "review.csv")
    )
    return f"<section><h2>Read these first</h2>{note}{_table(headings, rows)}</section>"


def _table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table whose cells know their headings: on a phone there is no room for columns."""
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(map(_cell, headings, cells))}</tr>\n" for cells in rows)
    table = f"<table class=rows><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class=scroll>{table}</div>"


def _cell(heading: str, content: str) -> str:
    return f'<td data-name="{heading}">{content}</td>'


def _shown(shown: int, total: int, file: str) -> str:
    if shown >= total:
        return ""
    return f"<p class=note>The first {shown:,} of {total:,}; more are in {file}.</p>"


def _or_unknown(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)
