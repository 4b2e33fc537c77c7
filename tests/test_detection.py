"""Does somebody need a human? The rules, the default phrases, their figures."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from agents_app.models import Tenant
from config.errors import Malformed
from messaging_app.detection import detector_for, patterns, scoring
from messaging_app.detection.defaults import DEFAULT_RULES, install
from messaging_app.detection.rules import ORDER, SEVERITIES, Need, RuleRow, Rules, validate_phrases
from messaging_app.models import NeedRule

DEFAULTS = Rules(DEFAULT_RULES)


def said(text: str, *rows: RuleRow, is_vip: bool = False) -> Need | None:
    return (Rules(rows) if rows else DEFAULTS).customer_said(text, is_vip=is_vip)


def keyword(*phrases: str, exceptions: tuple[str, ...] = (), **fields: Any) -> RuleRow:
    return RuleRow(**{"kind": "keyword", "name": "words", "phrases": phrases, "exceptions": exceptions} | fields)


# --- The default rules, by language ------------------------------------------------------------------------------
REQUESTS = [
    "I want to talk to a human",
    "can I speak with a real person please?",
    "Connect me to an agent, my parcel is lost",
    "transfer me to your supervisor",
    "how do i get in touch with customer support",
    "I don't know how to reach somebody",
    "I don't want a bot, I want a human",
    "agent!!",
    "REPRESENTATIVE PLEASE",
    "live chat",
    "Could someone call me back? I mean, can someone call me",
    "is there anyone here I can talk to",
    "What time is it? Never mind. Let me talk to an agent.",
    "please escalate this to a human",
    "I would rather deal with a real person",
    "connect me with support",
    "No bots. Human.",
    "is there a human I can talk to?",
    "get me your manager",
    "我要转人工",
    "找你們主管",
    "我要跟人说话",
    "轉接真人客服",
    "人工",
    "你好 人工客服 我的订单没到",
    "有没有人工客服",
    "帮我找个人工",
    "麻煩幫我轉客服",
    "怎么联系人工客服",
    "叫你们经理来处理",
    "我要和真人说话",
    "不要机器人",
    "人工几点上班?算了,直接转人工吧",
    "Quiero hablar con una persona",
    "¿Me puede comunicar con un asesor?",
    "pásame con un agente",
    "agente por favor",
    "オペレーターにつないでください",
    "担当者と話したいです",
    "人と話したい",
    "有人対応お願いします",
    "ขอคุยกับเจ้าหน้าที่",
    "ติดต่อแอดมินยังไงคะ",
    "อยากคุยกับคนจริงๆ",
    "cho tôi gặp nhân viên tư vấn",
    "toi muon noi chuyen voi nguoi that",
    "kết nối với tổng đài viên giúp mình",
]
NO_REQUESTS = [
    "when do your agents start work?",
    "What time can I call customer service?",
    "what are the opening hours of customer support",
    "are your agents available on Sundays?",
    "are you a human?",
    "am I talking to a real person or to a bot",
    "is this a person?",
    "I don't want to talk to an agent",
    "no need to contact customer service",
    "I was talking to an agent yesterday and the line dropped",
    "i already called customer service",
    "If it breaks, I will contact customer care.",
    "a table for one person at eight",
    "I need someone in San Jose who repairs bikes",
    "is there live music?",
    "my travel agent booked this",
    "thank you for your support",
    "Our agency needs ten chairs",
    "wigs of real human hair",
    "扫地的不要机器人套餐",
    "人工几点上班",
    "人工客服什么时候在线？",
    "客服的工作时间是",
    "幾點有真人客服",
    "是人工吗",
    "你是机器人还是人工",
    "不用转人工,谢谢",
    "这个是人工智能吗",
    "要人工费吗",
    "有真人照片吗",
    "客服昨天说会退款",
    "¿A qué hora puedo hablar con un agente?",
    "¿eres una persona?",
    "no quiero hablar con un agente",
    "オペレーターの受付時間は何時までですか",
    "あなたは人間ですか",
    "เจ้าหน้าที่ทำงานกี่โมง",
    "nhân viên làm việc từ mấy giờ",
    "bạn là người thật à",
    "",
    "   ",
    "👍",
]


@pytest.mark.parametrize("text", REQUESTS)
def test_asking_for_a_human_escalates(text: str) -> None:
    need = said(text)
    assert need is not None, text
    assert (need.effect, need.severity, need.kind) == ("escalate", "high", "keyword")
    assert need.rule.startswith("Asks for a human")
    assert need.evidence


@pytest.mark.parametrize("text", NO_REQUESTS)
def test_what_only_sounds_like_a_request_does_not_count(text: str) -> None:
    assert said(text) is None


@pytest.mark.parametrize(
    ("text", "rule", "effect"),
    [
        ("I wish to file a formal complaint", "Complaint (English)", "flag"),
        ("You will hear from my lawyer", "Complaint (English)", "flag"),
        ("我要投诉你们", "Complaint (Chinese)", "flag"),
        ("再不退款就打12315", "Complaint (Chinese)", "flag"),
        ("我要去消保會投訴", "Complaint (Chinese)", "flag"),
        ("that is not what I asked", "Says the answers do not help (English)", "flag"),
        ("答非所問", "Says the answers do not help (Chinese)", "flag"),
        ("this is ridiculous", "Anger (English)", "flag"),
        ("what a SCAM, you thieves", "Strong anger (English)", "escalate"),
        ("气死我了", "Anger (Chinese)", "flag"),
        ("垃圾店鋪,騙子!", "Strong anger (Chinese)", "escalate"),
    ],
)
def test_complaints_and_anger_are_noticed_and_strong_anger_escalates(text: str, rule: str, effect: str) -> None:
    need = said(text)
    assert need is not None
    assert (need.rule, need.effect) == (rule, effect)


@pytest.mark.parametrize(
    "text",
    [
        "I have nothing to complain about",
        "不投诉了,谢谢",
        "我没有生气",
        "请问垃圾桶有货吗",
        "给妈妈的礼物",
        "I want to report fraud on my card",
        "maybe a stupid question, but how do I pay?",
        "my code is 123156",
        "he lives in Scunthorpe",
    ],
)
def test_words_that_look_angry_in_another_sense_do_not_count(text: str) -> None:
    assert said(text) is None


@pytest.mark.parametrize(
    "answer",
    [
        "Sorry, I didn't quite understand that.",
        "I'm not sure I follow. Could you rephrase?",
        "I am unable to answer that question.",
        "抱歉，我没有理解您的意思",
        "很抱歉,暂时无法为您解答",
        "请您换个问法试试",
        "對不起，我聽不懂",
        "Lo siento, no te entiendo",
        "申し訳ありません、理解できませんでした",
        "ขออภัย ฉันไม่เข้าใจ",
        "Xin lỗi, tôi chưa hiểu ý bạn",
    ],
)
def test_a_bot_that_admits_failure_is_understood(answer: str) -> None:
    assert DEFAULTS.admits_failure(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Your parcel arrives on Monday.",
        "Sorry, there is no table free at eight. Shall I look at nine?",
        "I'm sorry, that model is sold out.",
        "If you do not understand the invoice, open the help page.",
        "抱歉,这款没有货了",
        "如果您有不明白的地方可以继续问我",
    ],
)
def test_an_answer_that_says_no_is_no_failure(answer: str) -> None:
    assert not DEFAULTS.admits_failure(answer)


def test_every_default_phrase_passes_the_admins_own_check() -> None:
    for row in DEFAULT_RULES:
        validate_phrases(list(row.phrases))
        validate_phrases(list(row.exceptions))


def test_the_order_and_the_severities_are_those_of_the_model() -> None:
    assert list(ORDER) == NeedRule.Kind.values
    assert sorted(SEVERITIES) == sorted(NeedRule.Severity.values)


# --- Phrases -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "Human Agent",
        "HUMAN   AGENT now",
        "human\n\tagent",
        "Ｈｕｍａｎ　Ａｇｅｎｔ",  # full width
        "hu\u00adman agent",  # soft hyphen
        "human\u00a0agent",
        "我要human agent谢谢",  # no space around Latin words in Chinese
        "(human agent)",
    ],
)
def test_case_width_and_white_space_do_not_matter(text: str) -> None:
    assert said(text, keyword("human agent"))


@pytest.mark.parametrize("text", ["humane agent", "human agents", "superhuman agent", "human-agent"])
def test_a_literal_phrase_is_whole_words(text: str) -> None:
    assert said(text, keyword("human agent")) is None


@pytest.mark.parametrize("text", ["我要转人工客服", "转 人工", "转人 工", "轉到?转人工!"])
def test_a_chinese_phrase_is_found_anywhere_and_over_spaces(text: str) -> None:
    assert said(text, keyword("转人工"))


@pytest.mark.parametrize("text", ["don't", "dont", "don’t", "DON´T"])
def test_an_apostrophe_may_be_of_any_kind_or_missing(text: str) -> None:
    assert said(text, keyword("don't"))


def test_phrases_are_normalised_like_the_text() -> None:
    assert said("straße", keyword("STRASSE"))
    assert said("ＡＢＣ", keyword("ａｂｃ"))
    assert said("น้ำ", keyword("/น้ำ/"))  # its last vowel is taken apart by NFKC
    assert said("really?", keyword("/really？/"))  # a full-width question mark is a question mark, not syntax


def test_what_regular_expressions_mean_is_literal_in_a_literal_phrase() -> None:
    assert said("a+b (c)", keyword("a+b (c)"))
    assert said("aab c", keyword("a+b (c)")) is None


def test_only_the_beginning_of_a_long_message_is_looked_at() -> None:
    assert said("x " * 1_900 + "agent", keyword("agent"))
    assert said("x " * 2_100 + "agent", keyword("agent")) is None
    assert said("ﷺ" * 4_000 + "agent", keyword("agent")) is None  # NFKC makes eighteen characters of one


def test_the_evidence_is_what_matched_and_short() -> None:
    need = said("Please, a HUMAN agent", keyword("human agent"))
    assert need is not None
    assert need.evidence == "human agent"
    need = said("a" * 500, keyword("/a{300,400}/"))
    assert need is not None
    assert need.evidence == "a" * 80
    assert need.as_dict() == {
        "effect": "escalate",
        "severity": "medium",
        "kind": "keyword",
        "rule": "words",
        "evidence": "a" * 80,
    }


# --- Exceptions --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("agent", True),
        ("agent hours", False),  # inside
        ("the agent hours of the agent", True),  # one inside, one not
        ("my agent hours", False),  # overlapping: the exception begins within "my agent"
        ("agent hours agent hours", False),
    ],
)
def test_a_match_that_touches_an_exception_does_not_count(text: str, counts: bool) -> None:
    assert bool(said(text, keyword("agent", "my agent", exceptions=("agent hours",)))) is counts


def test_exceptions_that_overlap_each_other_both_count() -> None:
    row = keyword("agent", exceptions=("when does an", "does an agent start"))
    assert said("when does an agent start", row) is None


def test_an_expression_does_not_reach_over_an_exception() -> None:
    row = keyword("/call.{0,30}me/", exceptions=("do not",))
    assert said("call, do not wait, me", row) is None
    assert said("call, do not wait, me. call me", row)


def test_an_exception_counts_for_its_own_rule_only() -> None:
    rows = keyword("agent", exceptions=("agent hours",)), keyword("hours", name="other", effect="flag")
    need = said("agent hours", *rows)
    assert need is not None
    assert need.rule == "other"


# --- The order of the rules --------------------------------------------------------------------------------------
VIP = RuleRow("vip", "VIP", effect="flag")
ANGER = RuleRow("sentiment", "anger", ("bad", "awful"), threshold=1, effect="flag", severity="low")


def test_vip_comes_before_keyword_before_sentiment() -> None:
    word = keyword("bad", effect="flag")
    for rows in ((ANGER, word, VIP), (VIP, word, ANGER)):
        assert said("bad", *rows, is_vip=True).kind == "vip"  # type: ignore[union-attr]
        assert said("bad", *rows, is_vip=False).kind == "keyword"  # type: ignore[union-attr]
        assert said("awful", *rows).kind == "sentiment"  # type: ignore[union-attr]
    assert said("fine", VIP, ANGER, is_vip=True) == Need("flag", "medium", "vip", "VIP", "")
    assert said("fine", VIP, ANGER) is None


def test_an_escalation_outranks_an_earlier_flag() -> None:
    need = said("a human please", VIP, keyword("human"), is_vip=True)
    assert need is not None
    assert (need.kind, need.effect) == ("keyword", "escalate")


def test_within_a_kind_the_graver_rule_comes_first() -> None:
    rows = [keyword("x", name=severity, effect="flag", severity=severity) for severity in ("low", "high", "medium")]
    assert said("x", *rows).rule == "high"  # type: ignore[union-attr]


def test_rules_of_an_analyser_and_of_bots_do_not_hear_customers() -> None:
    rows = RuleRow("model", "analyser", ("human",)), RuleRow("failure", "lost", ("sorry",))
    assert said("sorry, human", *rows) is None


# --- Thresholds --------------------------------------------------------------------------------------------------
def test_anger_needs_as_many_hits_as_its_threshold() -> None:
    strong = replace(ANGER, name="strong", threshold=2, effect="escalate")
    assert said("bad", ANGER, strong).effect == "flag"  # type: ignore[union-attr]
    need = said("bad, awful", ANGER, strong)
    assert need == Need("escalate", "low", "sentiment", "strong", "bad, awful")
    assert said("bad bad", ANGER, strong).effect == "escalate"  # type: ignore[union-attr]


def test_phrases_that_overlap_are_one_hit() -> None:
    assert said("so bad", RuleRow("sentiment", "anger", ("bad", "/so bad/"), threshold=2)) is None


def test_failed_answers_in_a_row_ask_for_a_human_from_the_threshold_on() -> None:
    rules = Rules([RuleRow("failure", "lost", ("sorry",), threshold=3, severity="high")])
    assert rules.failed(0) is None
    assert rules.failed(2) is None
    assert rules.failed(3) == Need("escalate", "high", "failure", "lost", "3")
    assert rules.failed(7).evidence == "7"  # type: ignore[union-attr]
    assert Rules([]).failed(99) is None


def test_the_default_threshold_of_failed_answers_comes_from_the_settings(settings: Any) -> None:
    limit = settings.TANDEM["FAILED_ANSWERS"]
    assert DEFAULTS.failed(limit - 1) is None
    assert DEFAULTS.failed(limit).effect == "escalate"  # type: ignore[union-attr]


# --- What the admin refuses --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("phrases", "message"),
    [
        ("转人工", "list"),
        ([3], "3"),
        (["good", " "], "visible"),
        (["\u200b"], "visible"),
        (["/(unclosed/"], r"/\(unclosed/"),
        (["/a**/"], r"/a\*\*/"),
        (["/x*/"], "nothing is said"),
        (["/human(?! hair)/"], r"ahead or back.*: /human"),
        (["/(?<!no )agent/"], "ahead or back"),
        (["/(?=(?:a+)+b)a/"], "ahead or back"),
        (["/(?P<x>a)(?P=x)/"], "back to a group"),
        (["/(a*)\\1\\1b/"], "back to a group"),
        (["/(a)?(?(1)b|c)/"], "back to a group"),
        (["/a++b/"], "possessive"),
        (["/(?>a+)b/"], "atomic"),
        (["/(?a)\\w+b/"], "ASCII"),
        (["/(?a:\\w)b/"], "ASCII"),
        (["/a{2000}/"], "1000 times"),
        (["/(?:a{1,100}){1,100}b/"], "1000 times"),
        (["/(?:.{0,900}agent)/"], "too large"),
        (["/(?:[^.]{0,300}x)/"] * 10, "divide them|Divide them"),
        (["x" * 3_000], "2000 characters"),
        (["x"] * 501, "500 phrases"),
    ],
)
def test_a_phrase_that_is_wrong_or_not_linear_is_refused_by_name(phrases: object, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        validate_phrases(phrases)


@pytest.mark.parametrize(
    "phrase",
    [
        "24/7", "/", "//", "/a/", "/(?:real |live ){0,2}agent/", "/order.{0,40}late/", "/\\d+/",
        "/(a+)+$/", "/(a|a)*b/", "/(?:a?){30}a/", "/(?:\\w+\\s?)*!/", "/.*please.*agent/", "/order.{0,200}late/",
    ],
)  # fmt: skip
def test_harmless_phrases_are_accepted(phrase: str) -> None:
    validate_phrases([phrase])


def test_a_broken_phrase_that_came_another_way_stops_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    need = said("agent", keyword("/(unclosed/", "agent", exceptions=("/[/",)))
    assert need is not None
    assert "unclosed" in caplog.text


@pytest.mark.parametrize(
    ("phrase", "text", "evidence"),
    [
        (r"/\bđến\b/", "anh đến chưa", "đến"),
        (r"/\bđến\b/", "anh đếnn", None),
        (r"/\bđ/", "nđ", None),
        (r"/\b人工\b/", "转 人工", "人工"),
        (r"/\b人工\b/", "转人工", None),
        (r"/\bagent/", "我要agent", None),  # to Python both are letters of one word
        (r"/\w+工/", "转人工x", "转人工"),
        (r"/[^\W\d]{2,}/", "7 éà", "éà"),
        (r"/[à-ü]+/", "oÉÀ", "éà"),
        (r"/[^,。]{1,3}工/", "好。转人工", "转人工"),
        (r"/\d{3}/", "٣٤٥", "٣٤٥"),
        (r"/\D\d/", "a٣", "a٣"),
        (r"/\W工/", "人工", None),
        (r"/ĐẾN|STRASSE/", "đến", "đến"),
        (r"/a.b/", "a\U0001f600b", "a\U0001f600b"),
        (r"/(?:^|[ ,])(?P<match>agent)(?:$|[ ,])/", "no agent, please", "agent"),
        (r"/(?:^|[ ,])(?P<match>agent)(?:$|[ ,])/", "agents agent.", None),
    ],
)
def test_classes_and_boundaries_mean_what_they_mean_to_python_in_every_language(
    phrase: str, text: str, evidence: str | None
) -> None:
    need = said(text, keyword(phrase))
    assert (need and need.evidence) == evidence


def test_what_stands_around_the_named_part_may_be_shared_or_masked() -> None:
    alone = RuleRow("sentiment", "words", ("/(?:^| )(?P<match>bad)(?:$| )/",), ("so",), threshold=2)
    assert said("bad bad", alone)
    assert said("so bad bad", alone)
    assert said("bad", alone) is None


def test_half_a_surrogate_pair_hurts_nothing() -> None:
    assert said("\ud800 agent", keyword("agent"))


def test_normalised_text_is_bounded_and_has_no_line_breaks() -> None:
    text = patterns.normalised("A\r\nB\u2028C\x00 " * 2_000)
    assert text.startswith("a b c\x00")
    assert len(text) <= patterns.MAX_TEXT
    assert "\n" not in text


# --- In the database ---------------------------------------------------------------------------------------------
@pytest.fixture
def tenant(db: None) -> Tenant:
    return Tenant.objects.create(slug="shop", name="Shop")


def test_installing_twice_adds_nothing(tenant: Tenant) -> None:
    assert install(tenant) == len(DEFAULT_RULES)
    assert install(tenant) == 0
    assert NeedRule.objects.filter(tenant=tenant).count() == len(DEFAULT_RULES)


def test_installing_never_overwrites_an_edit(tenant: Tenant) -> None:
    install(tenant)
    rule = NeedRule.objects.filter(kind="vip").get()
    rule.effect, rule.is_enabled = "escalate", False
    rule.save()
    NeedRule.objects.filter(kind="failure").delete()
    assert install(tenant) == 1
    rule.refresh_from_db()
    assert (rule.effect, rule.is_enabled) == ("escalate", False)


def test_what_was_installed_does_what_the_defaults_do(tenant: Tenant) -> None:
    install(tenant)
    detector = detector_for(tenant.pk)
    for text in (*REQUESTS, *NO_REQUESTS):
        assert detector.customer_said(text, is_vip=False) == said(text)
    assert detector.customer_said("hello", is_vip=True).kind == "vip"  # type: ignore[union-attr]


def test_an_edit_counts_at_once(tenant: Tenant) -> None:
    rule = NeedRule.objects.create(tenant=tenant, kind="keyword", name="words", phrases=["agent"])
    assert detector_for(tenant.pk).customer_said("agent", is_vip=False)
    rule.phrases = ["captain"]
    rule.save()
    assert detector_for(tenant.pk).customer_said("agent", is_vip=False) is None
    assert detector_for(tenant.pk).customer_said("captain", is_vip=False)
    rule.is_enabled = False
    rule.save()
    assert detector_for(tenant.pk).customer_said("captain", is_vip=False) is None


def test_rules_of_another_tenant_do_not_count(tenant: Tenant) -> None:
    other = Tenant.objects.create(slug="other", name="Other")
    NeedRule.objects.create(tenant=other, kind="keyword", name="words", phrases=["agent"])
    assert detector_for(tenant.pk).customer_said("agent", is_vip=False) is None


def test_a_tenants_rules_cost_one_query(tenant: Tenant, django_assert_num_queries: Any) -> None:
    install(tenant)
    detector_for(tenant.pk)
    with django_assert_num_queries(1):
        detector_for(tenant.pk).customer_said("hello", is_vip=True)


def test_phrases_that_are_no_list_of_texts_stop_nothing(tenant: Tenant) -> None:
    for number, phrases in enumerate(("agent", {"agent": 1}, [["agent"], 3, None])):
        NeedRule.objects.create(tenant=tenant, kind="keyword", name=str(number), phrases=phrases)
    assert detector_for(tenant.pk).customer_said("agent a", is_vip=False) is None


# --- Figures -----------------------------------------------------------------------------------------------------
def lines(dataset: str, *rows: tuple[str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "dataset": dataset,
            "conversation_id": "c",
            "message_id": f"{dataset}:{number}",
            "sender_type": sender,
            "content": content,
            "labels": labels,
        }
        for number, (sender, content, labels) in enumerate(rows)
    ]


OWN = [
    *lines(
        "bitext",
        ("customer", "let me talk to a human", {"intent": "contact_human_agent"}),
        ("customer", "somebody with a pulse, if you can", {"intent": "contact_human_agent"}),
        ("customer", "which hours can I call customer service", {"intent": "contact_customer_service"}),
        ("customer", "put me through to an agent", {"intent": "track_order"}),
        ("customer", "where is my parcel", {"intent": "track_order"}),
        ("customer", "I want to make a complaint", {"intent": "complaint"}),
    ),
    *lines(
        "uss_sgd",
        ("customer", "a table please", {"satisfaction": [3, 3, 4]}),
        ("bot", "Sorry, I don't understand.", {}),
        ("customer", "that is not what I asked", {"satisfaction": [2, 3]}),  # a tie: the lower rating counts
        ("bot", "Could you rephrase that?", {}),
        ("customer", "a table!", {"satisfaction": [1, 2, 3, 3]}),
        ("bot", "I am unable to help with that.", {}),
        ("customer", "bye", {}),
    ),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    with gzip.open(folder / "bitext.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in OWN[:6])
    (folder / "uss_sgd.jsonl").write_text("\n".join(map(json.dumps, OWN[6:])), encoding="utf-8")
    return folder


def evaluate(*arguments: str) -> str:
    out = StringIO()
    call_command("evaluate_detection", *arguments, stdout=out)
    return out.getvalue()


def test_precision_recall_and_f1_are_those_of_the_truth() -> None:
    pairs = [(True, True)] * 6 + [(True, False)] * 2 + [(False, True)] * 3 + [(False, False)] * 9
    figures = scoring.score("d", "m", pairs)
    assert (figures.n, figures.gold_positive, figures.predicted_positive) == (20, 8, 9)
    assert figures.precision == pytest.approx(6 / 9)
    assert figures.recall == pytest.approx(6 / 8)
    assert figures.f1 == pytest.approx(12 / 17)
    assert figures.macro_f1 == pytest.approx((12 / 17 + 18 / 23) / 2)
    assert figures.accuracy == pytest.approx(15 / 20)
    assert scoring.score("d", "m", []).f1 == 0


def test_the_command_scores_the_files_of_a_folder(data: Path, tmp_path: Path) -> None:
    report = json.loads(evaluate("--data", str(data), "--json", "--predictions", str(tmp_path / "out")))
    figures = {one["measure"]: one for one in report["scores"]}
    everybody = figures["contacts people, hours included"]
    assert (everybody["n"], everybody["gold_positive"], everybody["predicted_positive"]) == (6, 3, 2)
    assert everybody["precision"] == pytest.approx(1 / 2)
    assert everybody["recall"] == pytest.approx(1 / 3)
    assert figures["contacts people, hours left out"]["recall"] == pytest.approx(1 / 2)
    assert figures["complains"]["recall"] == 1
    assert figures["dissatisfied"]["n"] == 3
    assert figures["dissatisfied"]["gold_positive"] == 1
    assert figures["dissatisfied"]["precision"] == 1

    (rate,) = report["rates"]
    assert (rate["dataset"], rate["customer_messages"], rate["bot_answers"]) == ("uss_sgd", 4, 3)
    assert rate["noticed_per_1000"] == pytest.approx(250)
    assert rate["escalated_per_1000"] == 0
    assert (rate["conversations"], rate["conversations_failed"]) == (1, 1)

    written = (tmp_path / "out" / "bitext.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["handoff"] for line in written] == [1, 0, 0, 1, 0, 0]
    assert len((tmp_path / "out" / "uss_sgd.jsonl").read_text(encoding="utf-8").splitlines()) == 4


def test_the_command_prints_tables_for_named_files(data: Path) -> None:
    printed = evaluate(str(data / "uss_sgd.jsonl"))
    assert "dissatisfied" in printed
    assert "1 of 1" in printed
    assert "bitext" not in printed


def test_the_command_scores_a_tenants_own_rules(data: Path, tenant: Tenant) -> None:
    NeedRule.objects.create(tenant=tenant, kind="keyword", name="pulse", phrases=["pulse"])
    report = json.loads(evaluate("--data", str(data), "--json", "--tenant", "shop"))
    assert report["scores"][0]["predicted_positive"] == 1
    assert report["scores"][0]["precision"] == 1


def test_the_command_says_what_is_missing(data: Path, tmp_path: Path, db: None) -> None:
    for arguments, message in (
        (("--data", str(tmp_path / "nowhere")), "no folder"),
        (("--data", str(tmp_path)), "none of the known datasets"),
        ((str(tmp_path / "nowhere.jsonl"),), "No such file"),
        (("--data", str(data), "--tenant", "nobody"), "no tenant"),
    ):
        with pytest.raises(CommandError, match=message):
            evaluate(*arguments)


@pytest.mark.parametrize("text", ["{", "[]", '{"dataset": "bitext"}'])
def test_the_command_names_a_file_it_cannot_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CommandError, match="broken"):
        evaluate(str(path))
