"""A small rule bot for the try-it page. It works as an outside program would: as an API client, by the verbs.

It answers where the outcome gives it the turn, names the epoch it was given, and gives up when the turn has moved.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import uuid4

from agents_app.actors import Actor, client_actor
from agents_app.models import ApiClient, Tenant
from messaging_app.detection import defaults
from messaging_app.models import Controller
from messaging_app.thread import NewMessage
from sessions_app.actions import lifecycle, messages
from sessions_app.core.locked_conversation import Outcome
from sessions_app.errors import StaleEpoch
from sessions_app.models import ChatSession
from sessions_app.states import TaskType

NAME = "try-it bot"


class Rule(NamedTuple):
    pattern: re.Pattern[str]
    answer: str


def _rule(pattern: str, answer: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), answer)


RULES = (
    _rule(
        r"(discount|cheaper|lower|best price|deal)",
        "I can take 5% off if you order today: that makes it 85.50. Shall I note it down?",
    ),
    _rule(r"(便宜|优惠|打折|折扣|少一点)", "今天下单可以优惠5%，到手价85.50元。需要我帮您记下来吗？"),
    _rule(r"(price|cost|how much)", "The blue kettle is 90.00, delivery included."),
    _rule(r"(价格|多少钱|价钱)", "蓝色水壶90元，包邮。"),
    _rule(
        r"(deliver|shipping|ship|arrive|track|when will)",
        "Orders placed before 16:00 leave the same day and arrive within two working days.",
    ),
    _rule(r"(发货|快递|物流|送货|几天到|什么时候到)", "16点前下单当天发货，一般两个工作日送达。"),
    _rule(r"(return|refund|exchange)", "You may send anything back within 30 days, unused. Returns cost nothing."),
    _rule(r"(退货|退款|换货)", "30天内未使用可免费退换。"),
    _rule(r"(colou?r|size|stock)", "It comes in blue, white and sand, and all three are in stock."),
    _rule(r"(颜色|尺寸|有货|现货)", "有蓝色、白色和沙色，三种都有现货。"),
    _rule(r"(thank|cheers|\bok\b|okay|great)", "You are welcome. Is there anything else?"),
    _rule(r"(谢谢|多谢|好的)", "不客气，还有什么可以帮您？"),
    _rule(
        r"(\bhello\b|\bhi\b|\bhey\b|good (morning|afternoon|evening))",
        "Hello! I am the shop’s bot. Ask me about price, delivery, returns or colours.",
    ),
    _rule(r"(你好|您好|在吗|嗨)", "您好！我是店铺机器人，可以问我价格、发货、退换和颜色。"),
)
FALLBACK = "Sorry, I did not understand. I know about price, delivery, returns and colours."
FALLBACK_CHINESE = "抱歉，我没有理解您的意思。我可以回答价格、发货、退换和颜色的问题。"
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def answer_to(text: str) -> str:
    """The answer of the first rule that fits, else that the bot did not understand, in Chinese for a Chinese text."""
    for rule in RULES:
        if rule.pattern.search(text):
            return rule.answer
    return FALLBACK_CHINESE if _CHINESE.search(text) else FALLBACK


def answer_customer(tenant: Tenant, outcome: Outcome, text: str) -> bool:
    """Answer a customer's message, of which `outcome` is the result, where a bot may. True when the bot has spoken."""
    if outcome.controller not in (Controller.NONE, Controller.BOT):
        return False
    bot = client_actor(_client(tenant))
    if outcome.controller == Controller.NONE:
        task = TaskType.NEGOTIATION if re.search(r"discount|cheaper|便宜|优惠", text) else TaskType.CONSULTATION
        outcome = lifecycle.open_session(actor=bot, conversation_id=outcome.conversation_id, robot=True, task=task)
    if outcome.controller != Controller.BOT or not _is_ours(bot, outcome.session_id):
        return False
    reply = NewMessage(content=answer_to(text), message_id=f"rule-bot-{uuid4().hex}")
    try:
        messages.post_message(actor=bot, conversation_id=outcome.conversation_id, words=reply, epoch=outcome.epoch)
    except StaleEpoch:
        return False  # somebody else has the turn by now: the reply is dropped
    return True


def _is_ours(bot: Actor, session_id: int | None) -> bool:
    return ChatSession.objects.filter(pk=session_id or 0, bot_id=bot.id).exists()


def _client(tenant: Tenant) -> ApiClient:
    """The bot's own API client. Creating it also installs the default rules that detect when a human is needed."""
    client, is_new = ApiClient.objects.get_or_create(tenant=tenant, name=NAME, defaults={"kind": ApiClient.Kind.BOT})
    if is_new:
        defaults.install(tenant)
    return client
