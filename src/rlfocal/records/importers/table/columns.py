"""What the columns of somebody's table mean: given by name, found by synonyms, said where guessed.

Long form has one row per query and member; wide form has one row per query and a column, or several
(`gpt-4_response`, `gpt-4_cost`), for each model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlfocal.errors import RecordError, nearest
from rlfocal.records.importers.table.cells.values import is_score
from rlfocal.records.importers.table.files import Sheet
from rlfocal.records.importers.table.fitting import unfit
from rlfocal.records.importers.table.options import option_columns
from rlfocal.records.importers.table.roles import (
    ASIDE,
    LABELS,
    NO_MODELS,
    REPEAT,
    are_answers,
    are_numbers,
    companion,
    do_answers_reply,
    holds_data,
    is_judgement,
    last_part,
    role_of,
    role_of_bare,
)
from rlfocal.records.importers.table.told import COUNTS
from rlfocal.records.schema import is_signal
from rlfocal.records.synonyms import SYNONYMS, is_pairwise, spelled

__all__ = ["Layout", "find_layout"]


@dataclass
class Layout:
    """What the columns of one table mean.

    Attributes:
        roles: role → column, of what all rows (long) or all models (wide) have.
        options: columns that hold one option each, in order.
        members: wide form: member → role → column. Empty in long form.
        notes: what was guessed, and what is ignored.
        named: roles whose columns the user named.
    """

    roles: dict[str, str]
    options: list[str] = field(default_factory=list)
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    named: frozenset[str] = frozenset()


def find_layout(
    sheet: Sheet, given: Mapping[str, str], members: Sequence[str] | None, scale: float = 1.0
) -> Layout:
    """Decide what each column of a sheet means.

    Args:
        sheet: the table.
        given: role → column, as `parse_columns` reads them.
        members: models that have columns of their own; None: found out.
        scale: the best score there is; other than 1, it was given.

    Raises:
        RecordError: a named column is not there, two columns could be one thing, or what is needed
            is nowhere; the message names --column.
    """
    return _Finder(sheet, given, members, scale).layout()


class _Finder:
    def __init__(
        self,
        sheet: Sheet,
        given: Mapping[str, str],
        members: Sequence[str] | None,
        scale: float,
    ) -> None:
        self._scale = scale
        self._sheet, self._given, self._members = sheet, given, members
        self._names = list(sheet.columns)
        self._notes: list[str] = []
        self._guessed: dict[str, str] = {}
        self._unfit: dict[str, str | None] = {}
        self._roles = {role: self._existing(role, name) for role, name in given.items() if name}

    def layout(self) -> Layout:
        self._refuse_pairs()
        own = {} if self._members is None else self._named_members(self._members)
        taken = {column for columns in own.values() for column in columns.values()}
        self._guess(taken)
        options = self._options(taken)
        if self._members is None and "member" not in self._roles:
            own = self._found_members(options)
            taken = {column for columns in own.values() for column in columns.values()}
        self._find_label(bool(own))
        self._read_bare(own)
        self._find_score(own)
        self._check(own)
        used = {*self._roles.values(), *options, *taken}
        self._say(own, options, [n for n in self._names if n not in used])
        return Layout(self._roles, options, own, self._notes, frozenset(self._given))

    def _existing(self, role: str, column: str) -> str:
        if column in self._sheet.columns:
            return column
        alike = [name for name in self._names if spelled(name) == spelled(column)]
        if len(alike) != 1:
            raise RecordError(
                f"{self._sheet.path}: --column {role}={column}: no such column; "
                f"{nearest(column, self._names)}"
            )
        return alike[0]

    # Refusals -------------------------------------------------------------------------------------

    def _refuse_pairs(self) -> None:
        if is_pairwise(self._names) and "member" not in self._given:
            raise RecordError(
                f"{self._sheet.path}: one row compares two models; who was preferred says nothing "
                "of who was right, so pairwise tables cannot be read; give one row per query and "
                "model with its answer or score"
            )

    def _check(self, own: Mapping[str, Mapping[str, str]]) -> None:
        path, found = self._sheet.path, ", ".join(self._names[:12])
        roles = self._roles
        if "prompt" not in roles and "query_id" not in roles:
            raise RecordError(
                f"{path}: no column for the question; name it: --column prompt=COLUMN. Columns "
                f"found: {found}"
            )
        columns = set(roles).union(*own.values())
        if not columns & {"answer", "text", "score", "samples"}:
            raise RecordError(
                f"{path}: no column for what members answered; name it: --column text=COLUMN "
                "(whole replies), --column answer=COLUMN or --column score=COLUMN, or name the "
                f"columns of models: --members A,B. Columns found: {found}"
            )
        if not columns & {"label", "score"}:
            cells = [
                v
                for name in {c for columns_of in own.values() for c in columns_of.values()}
                for v in self._sheet.columns[name]
                if v is not None
            ]
            hint = "; scores up to N need --score-scale N" if are_numbers(cells) else ""
            raise RecordError(
                f"{path}: no column for the right answer, and none for scores; name one: --column "
                f"label=COLUMN or --column score=COLUMN{hint}. Columns found: {found}"
            )

    # One column a role ----------------------------------------------------------------------------

    def _guess(self, taken: Collection[str]) -> None:
        candidates = self._candidates(taken)
        answers = candidates.get("answer", [])
        if len(answers) > 1 and "label" not in {*self._given, *candidates}:
            # beside a prediction, what is called `answer` is the right one
            candidates["label"] = [n for n in answers if spelled(n) == "answer"]
            candidates["answer"] = [n for n in answers if spelled(n) != "answer"]
        for role, names in candidates.items():
            if names:
                self._roles[role] = self._best(role, names)
                if self._roles[role] != role:
                    self._guessed[role] = self._roles[role]

    def _candidates(self, taken: Collection[str]) -> dict[str, list[str]]:
        """Role → the columns that could be it by their names."""
        found: dict[str, list[str]] = {}
        inner: dict[str, list[str]] = {}
        used = {*self._roles.values(), *taken}
        answers_reply = do_answers_reply(self._names, self._given)
        for name in self._names:
            role, is_inner = role_of(name, answers_reply=answers_reply)
            if name in used or role is None or role in self._given or not self._fits(role, name):
                continue
            (inner if is_inner else found).setdefault(role, []).append(name)
        for role, names in inner.items():
            if len(names) == 1:  # more of a kind are of several models
                found.setdefault(role, names)
        if "latency_ms" in self._given:
            found.pop("latency_s", None)
        return found

    def _fits(self, role: str, name: str) -> bool:
        values = [v for v in self._sheet.columns[name] if v is not None]
        if not values:
            return False
        if role == "score" and name != "score":  # a column `correct` may hold the right letter
            return isinstance(values[0], (bool, int, float)) or is_judgement(values[:50])
        return self._is_fit(role, name)

    def _is_fit(self, role: str, name: str) -> bool:
        if name not in self._unfit:
            self._unfit[name] = unfit(self._sheet, role, name)
        return self._unfit[name] is None

    def _best(self, role: str, names: list[str]) -> str:
        exact = [n for n in names if spelled(n) == role]
        if len(names) == 1 or len(exact) == 1:
            return (exact or names)[0]
        if role in ASIDE or role == "repeat" or self._say_the_same(role, names):
            order = SYNONYMS.get(role, REPEAT)
            return min(names, key=lambda n: order.index(spelled(n)) if spelled(n) in order else 99)
        listed = " and ".join(f"'{n}'" for n in names)
        raise RecordError(
            f"{self._sheet.path}: columns {listed} could each be the {role}; say which: "
            f"--column {role}={names[0]}"
        )

    def _say_the_same(self, role: str, names: Sequence[str]) -> bool:
        """Whether columns are equal, or divide the rows alike as a model's name and number do."""
        first, *others = ([str(v) for v in self._sheet.columns[n]] for n in names)
        if role != "member":
            return all(other == first for other in others)
        kinds = len(set(first))
        return all(len(set(o)) == kinds == len(set(zip(first, o, strict=True))) for o in others)

    def _find_label(self, wide: bool) -> None:
        """Where no column is the label, one called `answer` may be: there is one for each query."""
        roles = self._roles
        if "label" in self._given or "label" in roles:
            return
        if self._score_is_label():
            roles["label"] = self._guessed["label"] = roles.pop("score")
            self._guessed.pop("score", None)
            return
        if "answer" in roles and "answer" not in self._given:
            if wide or ("text" in roles and self._is_of_the_query(roles["answer"])):
                roles["label"] = self._guessed["label"] = roles.pop("answer")
                self._guessed.pop("answer", None)
            return
        used = set(roles.values())
        for name in self._names:
            if spelled(name) in LABELS and name not in used and "score" not in roles:
                roles["label"] = self._guessed["label"] = name
                return

    def _score_is_label(self) -> bool:
        """Whether a column `correct` holds yes and no because these are the right answers."""
        column = self._roles.get("score", "")
        replies = self._roles.get("answer") or self._roles.get("text")
        if spelled(column) not in LABELS or "score" in self._given or replies is None:
            return False
        cells = [v for v in self._sheet.columns[column] if isinstance(v, str)]
        given = self._sheet.columns[replies]
        return bool(cells) and are_answers(cells, given) and self._is_of_the_query(column)

    def _find_score(self, own: Mapping[str, Mapping[str, str]]) -> None:
        """Where nothing was answered, a column `label` of 0 and 1 says what was right."""
        roles = self._roles
        there = set(roles).union(*own.values())
        if there & {"answer", "text", "score", "samples"} or "label" not in roles:
            return
        values = [v for v in self._sheet.columns[roles["label"]] if v is not None]
        if "label" not in self._given and values and all(map(is_score, values)):
            roles["score"] = self._guessed["score"] = roles.pop("label")
            self._guessed.pop("label", None)

    def _is_of_the_query(self, column: str) -> bool:
        """Whether all rows of one query agree in this column."""
        key = self._roles.get("query_id") or self._roles.get("prompt")
        if key is None:
            return False
        seen: dict[str, Any] = {}
        rows = zip(self._sheet.columns[key], self._sheet.columns[column], strict=True)
        return all(seen.setdefault(str(query), value) == value for query, value in rows)

    # Options, one a column ------------------------------------------------------------------------

    def _options(self, taken: Collection[str]) -> list[str]:
        if "choices" in self._roles or "choices" in self._given:
            return []
        free = [n for n in self._names if n not in {*self._roles.values(), *taken}]
        found = option_columns(free)
        others = set(free) - set(found) - {n for n in free if self._is_no_model(n)}
        if not others and not {"member", "text"} & set(self._roles):
            # so they may as well be models called A and B, unless right answers are such letters
            column = self._roles.get("label") or self._roles.get("answer") or ""
            right = self._sheet.columns.get(column, ())
            letters = {str(v).strip().lower() for v in right if v is not None}
            names = {n.strip().lower() for n in found if len(n.strip()) == 1}
            if names and not (letters and letters <= names):
                return []
        return found

    # Wide form ------------------------------------------------------------------------------------

    def _named_members(self, members: Sequence[str]) -> dict[str, dict[str, str]]:
        own: dict[str, dict[str, str]] = {}
        for name in members:
            found = {role: c for c, (m, role) in self._companions().items() if m == name}
            columns = {role: c for role, c in found.items() if self._is_fit(role, c)}
            if name in self._sheet.columns:
                columns["bare"] = name
            if not columns:
                raise RecordError(
                    f"{self._sheet.path}: --members: no column of '{name}'; "
                    f"{nearest(name, self._names)}"
                )
            own[name] = columns
        return own

    def _found_members(self, options: Sequence[str]) -> dict[str, dict[str, str]]:
        """Models that have columns; none where the table is of one model, in long form."""
        used = {*self._roles.values(), *options}
        rest = [n for n in self._names if n not in used and not self._is_no_model(n)]
        own: dict[str, dict[str, str]] = {}
        for column, (member, role) in self._companions().items():
            is_free = column in rest or (role in COUNTS and column not in used)
            if not (is_free and (member in rest or self._is_shared(column, role))):
                continue
            if self._is_fit(role, column):
                own.setdefault(member, {})[role] = column
        rest = [n for n in rest if self._unfit.get(n) is None]
        if own:
            for member in own:
                if member in rest:
                    own[member]["bare"] = member
            return {last_part(m, list(own)): columns for m, columns in own.items()}
        if {"text", "score", "samples"} & set(self._roles) or not rest:
            return {}
        if "answer" in self._roles and ("label" in self._roles or len(rest) < 2):
            return {}
        return {last_part(n, rest): {"bare": n} for n in rest}

    def _companions(self) -> dict[str, tuple[str, str]]:
        found = {name: companion(name) for name in self._names}
        return {name: pair for name, pair in found.items() if pair is not None}

    def _is_shared(self, column: str, role: str) -> bool:
        """Whether other models have the same kind of column."""
        return sum(r == role for _, r in self._companions().values()) > 1

    def _is_no_model(self, name: str) -> bool:
        own = spelled(name)
        empty = all(v is None or isinstance(v, bytes) for v in self._sheet.columns[name])
        if empty or own in NO_MODELS or own.startswith("unnamed") or is_signal(name):
            return True
        if self._unfit.get(name) is not None:
            return True
        # a second id, task or split is none either, nor is a number of the question's
        return role_of(name)[0] in ASIDE or holds_data(name, self._sheet.columns[name])

    def _read_bare(self, own: Mapping[str, dict[str, str]]) -> None:
        """Say what the columns hold that are called like a model and nothing else."""
        bare = [columns["bare"] for columns in own.values() if "bare" in columns]
        if not bare:
            return
        label = self._roles.get("label")
        labels = [] if label is None else self._sheet.columns[label]
        others = {role for columns in own.values() for role in columns} | {*self._roles} & {"score"}
        cells = [self._sheet.columns[name] for name in bare]
        role = role_of_bare(cells, labels, others, self._scale)
        for columns in own.values():
            if "bare" in columns:
                columns[role] = columns.pop("bare")

    # What was decided -----------------------------------------------------------------------------

    def _say(
        self, own: Mapping[str, Mapping[str, str]], options: Sequence[str], ignored: Sequence[str]
    ) -> None:
        name = self._sheet.path.name
        if self._guessed:
            listed = ", ".join(f"{role}={column}" for role, column in self._guessed.items())
            self._notes.append(f"{name}: columns found by their names: {listed} (--column changes)")
        if options:
            self._notes.append(f"{name}: options are the columns {', '.join(options)}")
        if own:
            roles = dict.fromkeys(role for columns in own.values() for role in columns)
            what = "named" if self._members is not None else "taken for models (--members changes)"
            self._notes.append(
                f"{name}: one column per model, {what}: {_some(list(own))}; read as "
                + ", ".join(roles)
            )
        unfit_ones = {n: why for n in ignored if (why := self._unfit.get(n)) is not None}
        self._notes += unfit_ones.values()
        data = [n for n in ignored if own and holds_data(n, self._sheet.columns[n])]
        ignored = [n for n in ignored if n not in data and n not in unfit_ones]
        if data:
            self._notes.append(
                f"{name}: numbers named like data, not like models, are ignored: {_some(data)} "
                "(--members names those that are models)"
            )
        if ignored:
            self._notes.append(f"{name}: columns ignored: {_some(ignored)}")


def _some(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
