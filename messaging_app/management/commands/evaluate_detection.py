"""`manage.py evaluate_detection`: precision, recall and F1 of the rules of need on labelled conversations."""

from __future__ import annotations

import gzip
import json
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from agents_app.models import Tenant
from messaging_app.detection import Detector, scoring
from messaging_app.detection.defaults import DEFAULT_RULES
from messaging_app.detection.model import Analyser, Behind, outcomes
from messaging_app.detection.rules import RuleRow, Rules, load

FIELDS = {"dataset", "conversation_id", "message_id", "sender_type", "content", "labels"}


class Command(BaseCommand):
    help = "Score the rules of need against labelled conversations (docs/detection.md says what the figures mean)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE", help="JSON Lines, plain or .gz, instead of --data")
        parser.add_argument("--data", metavar="DIR", help="a folder with the known datasets (docs/detection.md)")
        parser.add_argument("--tenant", metavar="SLUG", help="a tenant's rules in use, instead of the default rules")
        parser.add_argument("--analyser", action="store_true", help="ask the analyser, too, where no rule escalates")
        parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
        parser.add_argument("--predictions", metavar="DIR", help="also write DIR/<dataset>.jsonl for another scorer")

    def handle(self, *args: Any, **options: Any) -> None:
        detector = self._detector(options["tenant"], analyser=options["analyser"])
        before = outcomes.copy()
        scores: list[scoring.Score] = []
        rates: list[scoring.Rate] = []
        for path in self._paths(options["files"], options["data"]):
            lines = defaultdict(list)
            for line in _lines(path):
                lines[line["dataset"]].append(line)
            for dataset, dataset_lines in lines.items():
                judged = scoring.judge(detector, dataset_lines)
                scores += scoring.scores(dataset, judged)
                if dataset in scoring.WITHOUT_LABELS:
                    rates.append(scoring.rate(dataset, detector, judged))
                if options["predictions"]:
                    _write(Path(options["predictions"]), dataset, scoring.predictions(dataset, judged))
        if options["json"]:
            report = {"scores": [score.as_dict() for score in scores], "rates": [rate.as_dict() for rate in rates]}
            self.stdout.write(json.dumps(report, ensure_ascii=False, indent=2))
        else:
            self._print(scores, rates)
        if options["analyser"]:
            answers = ", ".join(f"{outcome}: {count}" for outcome, count in sorted((outcomes - before).items()))
            self.stderr.write(f"The analyser's answers: {answers or 'not one was asked for'}")

    def _detector(self, slug: str | None, *, analyser: bool) -> Detector:
        rows = DEFAULT_RULES
        if slug is not None:
            tenant = Tenant.objects.filter(slug=slug).first()
            if tenant is None:
                raise CommandError(f"There is no tenant {slug!r}.")
            rows = load(tenant.pk)
        elif analyser:
            rows = (*rows, RuleRow("model", "Analyser"))
        rules = Rules(rows)
        if not analyser:
            return rules
        if not settings.ANALYSER_URL:
            raise CommandError("There is no analyser: set ANALYSER_URL.")
        if rules.model is None:
            raise CommandError(f"The tenant {slug!r} has no rule of the kind 'model' in use.")
        return Behind(rules, Analyser(rules.model))

    def _paths(self, files: list[str], folder: str | None) -> list[Path]:
        if files:
            missing = [name for name in files if not Path(name).is_file()]
            if missing:
                raise CommandError(f"No such file: {', '.join(missing)}")
            return [Path(name) for name in files]
        if folder is None:
            raise CommandError("Name files of labelled conversations, or with --data a folder of them.")
        data = Path(folder)
        if not data.is_dir():
            raise CommandError(
                f"There is no folder {data} with labelled conversations. Name it with --data, or name files."
            )
        paths = [data / f"{dataset}{end}" for dataset in scoring.DATASETS for end in (".jsonl.gz", ".jsonl")]
        paths = [path for path in paths if path.is_file()]
        if not paths:
            raise CommandError(f"The folder {data} holds none of the known datasets: {', '.join(scoring.DATASETS)}.")
        return paths

    def _print(self, scores: list[scoring.Score], rates: list[scoring.Rate]) -> None:
        console = Console(file=self.stdout, width=None if self.stdout.isatty() else 150)  # type: ignore[arg-type]
        table = Table(title="Against labels")
        for heading in ("dataset", "question"):
            table.add_column(heading)
        for heading in ("lines", "true", "found", "precision", "recall", "F1", "macro-F1"):
            table.add_column(heading, justify="right")
        for score in scores:
            counts = (score.n, score.gold_positive, score.predicted_positive)
            figures = (score.precision, score.recall, score.f1, score.macro_f1)
            table.add_row(score.dataset, score.measure, *map(str, counts), *(f"{figure:.3f}" for figure in figures))
        console.print(table)
        table = Table(title="Without labels: how often the rules speak up")
        table.add_column("dataset")
        for heading in ("customer messages", "noticed ‰", "escalated ‰", "bot answers", "admit failure ‰", "failed"):
            table.add_column(heading, justify="right")
        table.add_column("by rule")
        for rate in rates:
            by_rule = ", ".join(f"{rule}: {count}" for rule, count in rate.by_rule.items())
            failed = f"{rate.conversations_failed} of {rate.conversations}" if rate.bot_answers else ""
            per_mille = f"{rate.noticed_per_1000:.1f}", f"{rate.escalated_per_1000:.1f}"
            bot = f"{rate.bot_answers}", f"{rate.admitted_per_1000:.1f}", failed
            table.add_row(rate.dataset, str(rate.customer_messages), *per_mille, *bot, by_rule)
        console.print(table)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    yield _line(text, f"{path}, line {number}")
    except (OSError, EOFError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error


def _line(text: str, place: str) -> dict[str, Any]:
    line = json.loads(text)
    if not isinstance(line, dict) or not line.keys() >= FIELDS:
        raise CommandError(f"{place}: a line is an object with {', '.join(sorted(FIELDS))}.")
    return line


def _write(folder: Path, dataset: str, predictions: list[dict[str, Any]]) -> None:
    if predictions:
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(prediction) + "\n" for prediction in predictions)
        (folder / f"{dataset}.jsonl").write_text(text, encoding="utf-8")
