"""Which problem the label columns of a table pose, and the label of each row.

Several columns hold 0 or 1: multi-label. One column holds lists: multi-label. One column holds
numbers, any of them with a fraction: regression. Anything else: classes. Knows cells and their
refusal; does not know texts or which classes a model can learn.
"""

import ast
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence

from fine_tuning.errors import FineTuningError
from fine_tuning.problem_types import Label, MultiLabel, Regression, SingleLabel
from fine_tuning.table_files import Row, Table

_YES = {"1", "1.0", "true"}
_NO = {"0", "0.0", "false"}
_CORRECT_CLASSES = f"Correct it, or give --problem-type {SingleLabel.name} if these are classes."
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")


def problem_posed_by(table: Table, columns: Sequence[str]) -> str:
    """The name of the problem type that these label columns look like."""
    if len(columns) > 1:
        return MultiLabel.name
    cells = [row.cells.get(columns[0]) for row in table.rows]
    # Most of them, not all: a slip in a column of lists or numbers is refused with its row.
    if _are_most(map(_looks_like_list, cells)):
        return MultiLabel.name
    fractions = [_has_fraction(cell) or _has_decimal_comma(cell) for cell in cells]
    if _are_most(fractions) or (any(fractions) and all(map(is_number, cells))):
        return Regression.name
    return SingleLabel.name


def is_number(cell: object) -> bool:
    """Whether a regression could learn it; true and false are classes."""
    return _parsed_number(cell) is not None


def read_labels(table: Table, columns: Sequence[str], problem_type: str) -> list[Label]:
    """The label of every row; FineTuningError names the first row that has none."""
    if len(columns) > 1 and problem_type != MultiLabel.name:
        raise FineTuningError(
            f"{table.path}: {len(columns)} label columns are named, expected one for "
            f"{problem_type}. Give --label-column once."
        )
    return [_READERS[problem_type](table, row, columns) for row in table.rows]


def _class(table: Table, row: Row, columns: Sequence[str]) -> str:
    cell = row.cells.get(columns[0])
    if cell is None or not str(cell).strip():
        raise FineTuningError(
            f"{table.path}, row {row.number}: the column {columns[0]!r} is empty. "
            "Fill it in or remove the row."
        )
    if isinstance(cell, list | dict):
        raise FineTuningError(
            f"{table.path}, row {row.number}: the column {columns[0]!r} holds {cell!r}, expected "
            f"one class. Correct it, or give --problem-type {MultiLabel.name} and a list in "
            "every row."
        )
    return str(cell)


def _applying_labels(table: Table, row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    if len(columns) > 1:
        return tuple(column for column in columns if _is_yes(table, row, column))
    cell = row.cells.get(columns[0])
    labels = _parsed_list(cell)
    if labels is None:
        raise FineTuningError(
            f"{table.path}, row {row.number}: the column {columns[0]!r} holds {cell!r}, "
            f'expected a list of labels such as ["delivery", "refund"]. {_CORRECT_CLASSES}'
        )
    names = ["" if label is None else str(label) for label in labels]
    if not all(name.strip() for name in names):
        raise FineTuningError(
            f"{table.path}, row {row.number}: the column {columns[0]!r} holds {cell!r}, in which a "
            "label is empty. Correct it."
        )
    return tuple(dict.fromkeys(names))


def _is_yes(table: Table, row: Row, column: str) -> bool:
    cell = str(row.cells.get(column)).strip().lower()
    if cell not in _YES | _NO:
        raise FineTuningError(
            f"{table.path}, row {row.number}: the column {column!r} holds "
            f"{row.cells.get(column)!r}, expected 0 or 1, as each of several label columns does."
        )
    return cell in _YES


def _number(table: Table, row: Row, columns: Sequence[str]) -> float:
    cell = row.cells.get(columns[0])
    number = _parsed_number(cell)
    if number is None:
        raise FineTuningError(
            f"{table.path}, row {row.number}: the column {columns[0]!r} holds {cell!r}, expected "
            f"a finite number, written as 1234.5. {_CORRECT_CLASSES}"
        )
    return number


def _parsed_number(cell: object) -> float | None:
    if isinstance(cell, bool):
        return None
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _has_fraction(cell: object) -> bool:
    return is_number(cell) and (isinstance(cell, float) or not set(str(cell)).isdisjoint(".eE"))


def _has_decimal_comma(cell: object) -> bool:
    return isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell) is not None


def _looks_like_list(cell: object) -> bool:
    if isinstance(cell, str):
        return cell.strip().startswith("[") and cell.strip().endswith("]")
    return isinstance(cell, list)


def _parsed_list(cell: object) -> list[object] | None:
    """A list as it is, as JSON writes it, or as Python does, and pandas with it."""
    if isinstance(cell, str):
        for parsed in (json.loads, _as_python_writes_it):
            try:
                cell = parsed(cell)
                break
            except (ValueError, SyntaxError):
                continue
    return cell if isinstance(cell, list) else None


def _as_python_writes_it(cell: str) -> object:
    """ValueError where Python would write it otherwise: it reads ['a' 'b'] as one word."""
    value = ast.literal_eval(cell.strip())
    if repr(value) != cell.strip():
        raise ValueError(cell)
    return value


def _are_most(answers: Iterable[bool]) -> bool:
    answers = list(answers)
    return sum(answers) * 2 > len(answers)


_READERS: dict[str, Callable[[Table, Row, Sequence[str]], Label]] = {
    SingleLabel.name: _class,
    MultiLabel.name: _applying_labels,
    Regression.name: _number,
}
