"""The rules of need move to an engine that takes linear time (see `messaging_app.detection.expressions`).

Every tenant's rules are kept. The phrases of the default rules that looked ahead or back are replaced by ones that find
the same; what else the engine cannot express is named in `problem` and on the standard error, and a rule of which
nothing can be used is switched off.
"""

from __future__ import annotations

import sys
from typing import Any

from django.db import migrations, models
from django.utils import timezone

REPLACED = {
    (
        '/\\b(?:want|need|get(?: me)?|give me|prefer|like|send me|(?:can|could|may) (?:i|we) (?:'
        'have|get)) (?:(?:an|a|any|another|the|one of your|your|some|ur) ?)?(?:(?:real|live|liv'
        'ing|actual|human|proper|different|other|senior|sales|service|support|customer|bloody|d'
        'amn|goddamn|fucking|freaking) ){0,2}(?:humans?|human beings?|real one|agents?|represen'
        'tatives?|reps?|operators?|advis[eo]rs?|supervisors?|staff member|employee|real person|'
        'live person)\\b(?! hair)/'
    ): [
        (
            '/(?P<match>\\b(?:want|need|get(?: me)?|give me|prefer|like|send me|(?:can|could|may'
            ') (?:i|we) (?:have|get)) (?:(?:an|a|any|another|the|one of your|your|some|ur) ?)?('
            '?:(?:real|live|living|actual|human|proper|different|other|senior|sales|service|sup'
            'port|customer|bloody|damn|goddamn|fucking|freaking) ){0,2}(?:humans?|human beings?'
            '|real one|agents?|representatives?|reps?|operators?|advis[eo]rs?|supervisors?|staf'
            'f member|employee|real person|live person)\\b)(?:$|[^ ]| (?:$|[^h]|h(?:$|[^a]|a(?:$'
            '|[^i]|i(?:$|[^r])))))/'
        ),
    ],
    (
        '/\\b(?:real|live|actual) (?:humans?|persons?|people|agents?|representatives?|operators?'
        ')\\b(?! hair)/'
    ): [
        (
            '/(?P<match>\\b(?:real|live|actual) (?:humans?|persons?|people|agents?|representativ'
            'es?|operators?)\\b)(?:$|[^ ]| (?:$|[^h]|h(?:$|[^a]|a(?:$|[^i]|i(?:$|[^r])))))/'
        ),
    ],
    (
        '/(?<![^\\s,。.!?~、;:\\])])(?:人工|真人|活人|专人|專人)(?:客服|坐席|座席|服务|服務|专员|專員|接待)?(?:呢|啊|呀|吧|谢谢|謝謝)'
        '?(?![^\\s,。.!?~、;:\\[(])/'
    ): [
        (
            '/(?:^|[\\s,。.!?~、;:\\])])(?P<match>(?:人工|真人|活人|专人|專人)(?:客服|坐席|座席|服务|服務|专员|專員|接待)?(?:'
            '呢|啊|呀|吧|谢谢|謝謝)?)(?:$|[\\s,。.!?~、;:\\[(])/'
        ),
    ],
    (
        '/(?<![^\\s,。.!?~、;:\\])])(?:找|叫|呼叫|联系|聯繫|聯絡)(?:一下)?客服(?![^\\s,。.!?~、;:\\[(])/'
    ): [
        (
            '/(?:^|[\\s,。.!?~、;:\\])])(?P<match>(?:找|叫|呼叫|联系|聯繫|聯絡)(?:一下)?客服)(?:$|[\\s,。.!?~、;:\\[('
            '])/'
        ),
    ],
    (
        '/(?<![^\\s,。.!?~、;:\\])])(?:人工|真人|活人|专人|專人)(?:客服|坐席|座席|服务|服務|专员|專員|接待)?(?:吗|嗎|么)/'
    ): [
        (
            '/(?:^|[\\s,。.!?~、;:\\])])(?P<match>(?:人工|真人|活人|专人|專人)(?:客服|坐席|座席|服务|服務|专员|專員|接待)?(?:'
            '吗|嗎|么))/'
        ),
    ],
    (
        '/(?:不用|不需要|无需|無需|不必|别|別|不要|(?<!有)没有|(?<!有)沒有)(?:再)?(?:给我|給我|帮我|幫我)?(?:转|轉|接|找)?(?:接)?('
        '?:人工|真人|活人|专人|專人)/'
    ): [
        (
            '/(?:不用|不需要|无需|無需|不必|别|別|不要)(?:再)?(?:给我|給我|帮我|幫我)?(?:转|轉|接|找)?(?:接)?(?:人工|真人|活人|专人|'
            '專人)/'
        ),
        (
            '/(?:^|[^有])(?P<match>(?:没有|沒有)(?:再)?(?:给我|給我|帮我|幫我)?(?:转|轉|接|找)?(?:接)?(?:人工|真人|活人|'
            '专人|專人))/'
        ),
    ],
}
"""Phrases of the default rules as they were, and what stands for each now."""


def rewrite(apps: Any, schema_editor: Any) -> None:
    from messaging_app.detection import upkeep

    rules = apps.get_model("messaging_app", "NeedRule")._default_manager.order_by("pk")
    for rule in rules.iterator(200):
        phrases, exceptions = _rewritten(rule.phrases), _rewritten(rule.exceptions)
        if (phrases, exceptions) != (rule.phrases, rule.exceptions):
            rule.phrases, rule.exceptions, rule.changed_at = phrases, exceptions, timezone.now()
            rule.save(update_fields=["phrases", "exceptions", "changed_at"])
    for finding in list(upkeep.find(rules.iterator(200))):
        upkeep.keep(finding)
        sys.stderr.write(f"\nA rule of need cannot be used as it stands: {finding}\n")


def _rewritten(phrases: Any) -> Any:
    if not isinstance(phrases, list):
        return phrases
    return [new for phrase in phrases for new in (REPLACED.get(phrase, [phrase]) if isinstance(phrase, str) else [phrase])]


class Migration(migrations.Migration):
    dependencies = [("messaging_app", "0010_drafts")]

    operations = [
        migrations.AddField(
            model_name="needrule",
            name="changed_at",
            field=models.DateTimeField(auto_now=True, default=timezone.now, verbose_name="changed"),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="needrule",
            name="problem",
            field=models.TextField(blank=True, default="", editable=False, verbose_name="what cannot be used"),
            preserve_default=False,
        ),
        migrations.RunPython(rewrite, migrations.RunPython.noop, elidable=True),
    ]
