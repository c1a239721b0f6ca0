"""
report.html: a job's results on one page that needs nothing but a browser.

Knows the summary and the lists; draws with HTML and CSS alone, in light and dark. Holds a
document's text only where the rows it is given do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from batch_transform.prices import written_out
from batch_transform.report_style import STYLE
from batch_transform.review_list import DoubtfulDocument
from batch_transform.wording import counted

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
        _review(summary, doubtful),
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
    verdict = (
        '<p class="verdict good">Every packed document was answered exactly once.</p>'
        if summary["is_complete"]
        else f'<p class="verdict bad">Partial: {summary["documents"]:,} of '
        f"{counted(summary['documents_packed'], 'document')} answered.</p>"
    )
    return (
        f"<header><p class=kind>Batch transform</p><h1>{escape(summary['job_name'])}</h1>"
        f"<p class=place>{escape(summary['input'])}</p>{verdict}</header>"
    )


def _tiles(summary: dict[str, Any]) -> str:
    left_out = sum(summary["left_out"].values())
    all_jobs = f", {len(summary['jobs'])} jobs" if len(summary["jobs"]) > 1 else ""
    tiles = {
        "documents": f"{summary['documents']:,}",
        "classified": f"{summary['answered']:,}",
        "not classified": f"{sum(summary['errors'].values()):,}",
        "lines left out": f"{left_out:,}",
        "mean confidence": _mean_confidence(summary),
        summary["instance_type"]: f"{summary['instance_count']} x",
        f"billed{all_jobs}": _or_unknown(summary["billed_seconds"], "{:,} s"),
        f"cost{all_jobs}": written_out(summary["dollars"]),
        f"tokens{all_jobs}": _or_unknown(summary["tokens"], "{:,}"),
    }
    cells = (
        f"<div><dd>{escape(value)}</dd><dt>{escape(name)}</dt></div>"
        for name, value in tiles.items()
    )
    return f"<dl class=tiles>{''.join(cells)}</dl>"


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
        f'<td class=bar><span style="width:{found["documents"] / most:.2%}"></span></td>'
        f"<td class=number>{found['documents']:,}</td>"
        f"<td class=number>{found['documents'] / summary['documents']:.1%}</td>"
        f"<td class=number>{found['mean_confidence']:.2f}</td></tr>"
        for label, found in summary["classes"].items()
    )
    head = "<th>Class</th><th></th><th>Documents</th><th>Share</th><th>Confidence</th>"
    table = f"<table class=classes><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"<section><h2>Classes</h2><div class=scroll>{table}</table></div></section>"


def _confidence(summary: dict[str, Any]) -> str:
    counts = summary["documents_by_confidence"]
    if not any(counts):
        return ""
    most, width = max(counts), 1 / len(counts)
    columns = (
        f'<div title="{index * width:.2f} to {(index + 1) * width:.2f}: '
        f'{counted(count, "document")}">'
        f'<span style="height:{count / most:.2%}"></span></div>'
        for index, count in enumerate(counts)
    )
    marks = "".join(f"<span>{mark}</span>" for mark in ("0", "0.25", "0.5", "0.75", "1"))
    return (
        f"<section><h2>Confidence of the best class</h2><p class=note>Documents by score; the "
        f"highest column is {most:,}.</p><div class=histogram>{''.join(columns)}</div>"
        f"<div class=axis>{marks}</div></section>"
    )


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
    note = _shown(len(shown), len(faults))
    return f"<section><h2>Not answered</h2>{note}<ul>{rows}</ul></section>"


def _errors(summary: dict[str, Any], errors: list[ReportedError]) -> str:
    if not errors:
        return ""
    total = sum(summary["errors"].values()) + sum(
        count for code, count in summary["left_out"].items() if code != "EmptyDocument"
    )
    rows = (
        (escape(error.source), str(error.line), escape(error.code), escape(error.message))
        for error in errors
    )
    table = _table(("File", "Line", "Code", "Reason"), rows)
    note = _shown(len(errors), total)
    return f"<section><h2>Not classified, or left out</h2>{note}{table}</section>"


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
    note = _shown(len(shown), summary["review"]["documents"])
    below = f"<p class=note>Two classes lie closer than {summary['review']['below']}.</p>"
    return f"<section><h2>Read these first</h2>{below}{note}{_table(headings, rows)}</section>"


def _table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table whose cells know their headings: on a phone there is no room for columns."""
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(map(_cell, headings, cells))}</tr>\n" for cells in rows)
    table = f"<table class=rows><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class=scroll>{table}</div>"


def _cell(heading: str, content: str) -> str:
    return f'<td data-name="{heading}">{content}</td>'


def _shown(shown: int, total: int) -> str:
    if shown >= total:
        return ""
    return f"<p class=note>The first {shown:,} of {total:,}.</p>"


def _or_unknown(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)
