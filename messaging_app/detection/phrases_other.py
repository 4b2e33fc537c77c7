"""Spanish, Japanese, Thai and Vietnamese: asking for a human, and a bot at a loss. Written for this project."""

from __future__ import annotations

# --- Spanish -----------------------------------------------------------------------------------------------------
_ES_PERSON = (
    r"(?:(?:un|una|algún|algun|alguna|el|la|su|tu|otro|otra) )?(?:ser )?(?:humano|humana|persona|"
    r"alguien|agente|asesora?|"
    r"operadora?|representante|ejecutiv[oa]|encargad[oa]|gerente|supervisora?|atención al cliente|atencion al cliente|"
    r"servicio al cliente|soporte)"
)
SPANISH_HUMAN = (
    (
        rf"/\b(?:hablar|chatear|comunicar(?:me|se)?|contactar(?:me)?|conectar(?:me)?)(?: directamente)?"
        rf"(?: con| a)? {_ES_PERSON}\b/"
    ),
    (
        rf"/\b(?:p[aá]s(?:e|a|ar)me|transfi[eé]r[ae]me|com[uú]n[ií](?:que|ca)me|"
        rf"con[eé]ct[ae]me)(?: (?:con|a))? {_ES_PERSON}\b/"
    ),
    rf"/\b(?:quiero|necesito|prefiero|deseo|dame|deme) (?:a )?{_ES_PERSON}\b/",
    rf"/\bayuda (?:de|con) {_ES_PERSON}\b/",
    rf"/^\W?con {_ES_PERSON}(?: por favor)?\W{{0,5}}$/",
    r"/\b(?:persona|agente) (?:real|human[oa]|de verdad)\b/",
    r"/^\W?(?:humano|agente|asesora?|operadora?|representante|atención al cliente)(?: por favor)?\W{0,5}$/",
)
SPANISH_EXCEPTIONS = (
    r"/\b(?:a qué hora|a que hora|cuándo|cuando|qué horario|que horario|horario|qué días|que dias)\b[^.?!;]{0,60}/",
    rf"/\b(?:eres|es|estoy hablando con|hablo con)(?: usted)? {_ES_PERSON}(?: (?:real|de verdad|humano))?/",
    rf"/\bno (?:quiero|necesito|hace falta|deseo)(?: (?:hablar|chatear|contactar))?(?: con| a)? {_ES_PERSON}\b/",
    r"/\b(?:ya|ayer) (?:hablé|hable|contacté|he hablado)\b[^.?!;,]{0,30}/",
)

# --- Japanese ----------------------------------------------------------------------------------------------------
JAPANESE_HUMAN = (
    (
        r"/(?:オペレーター|オペレータ|担当者|担当の方|人間|有人|スタッフ|係の人|係の方|店員|責任者|上司)(?:の方|さん)?"
        r"(?:と|に|へ|を|による)(?:直接)?(?:話|はな|つな|繋|代わ|替わ|変わ|かわ|チャット|対応|呼|出し|お願い|問い合わせ|相談|連絡)/"
    ),
    r"/(?:有人|人間の)(?:対応|オペレーター|チャット|サポート|スタッフ)(?:に|を|で|へ|希望|お願い|して|が(?:いい|良い|よい))/",
    r"/(?:人|誰か)(?:と|に)(?:直接)?(?:話したい|話がしたい|話させて|話せ|代わって|替わって|相談したい|つないで|繋いで)/",
    r"/^\W?(?:オペレーター|有人(?:対応|チャット)?|担当者)(?:お願いします|をお願いします|希望)?\W{0,5}$/",
)
JAPANESE_EXCEPTIONS = (
    r"/(?:何時|いつ|何曜日|営業時間|受付時間|対応時間)[^。?!]{0,40}/",
    r"/(?:オペレーター|担当者|有人(?:対応|チャット)?)[^。?!]{0,20}(?:何時|いつから|いつまで|時間は|営業時間|受付時間)/",
    r"/(?:あなた|君|これ|そちら)は[^。?!]{0,6}(?:人間|有人)[^。?!]{0,6}/",
    r"/(?:話|つな|繋)[^。?!]{0,6}(?:たくない|必要はない|必要はありません|なくていい)/",
)

# --- Thai --------------------------------------------------------------------------------------------------------
_TH_PERSON = r"(?:เจ้าหน้าที่|พนักงาน|แอดมิน|คนจริง|คนจริงๆ|มนุษย์|ผู้จัดการ|หัวหน้า|คนตอบ)"
THAI_HUMAN = (
    (
        rf"/(?:คุย|พูด|สนทนา|ติดต่อ|แชท|โอนสาย|โอน|เรียก|สอบถาม|ตาม)(?:สาย)?(?: ?(?:กับ|ไปที่|ไปหา|หา|"
        rf"ให้|ถึง))? ?(?:คุณ)?{_TH_PERSON}/"
    ),
    rf"/(?:ขอ|ต้องการ|อยากได้|อยากให้|ให้)(?:สาย)? ?{_TH_PERSON}/",
    r"/(?:คุย|พูด)กับคน/",
)
THAI_EXCEPTIONS = (
    rf"/{_TH_PERSON}[^?!]{{0,30}}(?:กี่โมง|เมื่อไหร่|เมื่อไร|ตอนไหน|วันไหน|เวลาทำการ|เวลาทำงาน)/",
    r"/(?:กี่โมง|เมื่อไหร่|เมื่อไร|ตอนไหน|เวลาทำการ)[^?!]{0,30}/",
    rf"/ไม่(?:ต้องการ|อยาก|ต้อง)(?:คุย|พูด|ติดต่อ)?(?:กับ)?{_TH_PERSON}?/",
    rf"/(?:คุณ|นี่)?(?:เป็น|คือ){_TH_PERSON}(?:หรือ|ไหม|มั้ย|รึ)/",
)

# --- Vietnamese, with and without its marks ----------------------------------------------------------------------
_VI_PERSON = (
    r"(?:(?:một|1|mot|người|nguoi|anh|chị|chi|bạn|ban) )?(?:nhân viên|nhan vien|nv|người thật|nguoi that|tư vấn viên|"
    r"tu van vien|tổng đài viên|tong dai vien|quản lý|quan ly|con người|con nguoi|chăm sóc khách hàng|cskh|admin)"
)
VIETNAMESE_HUMAN = (
    (
        rf"/\b(?:gặp|gap|nói chuyện|noi chuyen|trao đổi|trao doi|chat|liên hệ|lien he|kết nối|"
        rf"ket noi|chuyển|chuyen|nối máy|"
        rf"noi may|tư vấn|tu van)(?: (?:máy|may|cho tôi|cho toi|mình|tôi|toi|em))?"
        rf"(?: (?:trực tiếp|truc tiep))?(?: (?:với|voi|đến|den|tới|toi|cho|sang))? {_VI_PERSON}\b/"
    ),
    rf"/\b(?:cần|can|muốn|muon|cho tôi|cho toi|cho mình|cho em|gọi|goi) (?:gặp |gap )?{_VI_PERSON}\b/",
)
VIETNAMESE_EXCEPTIONS = (
    r"/\b(?:mấy giờ|may gio|khi nào|khi nao|lúc nào|luc nao|bao giờ|bao gio|giờ làm việc|gio lam viec)\b[^.?!]{0,50}/",
    (
        rf"/\b{_VI_PERSON} [^.?!]{{0,40}}\b(?:mấy giờ|may gio|khi nào|khi nao|lúc nào|luc nao|"
        rf"giờ làm việc|gio lam viec)\b/"
    ),
    rf"/\b(?:có phải|co phai|bạn là|ban la|đây là|day la) (?:là |la )?{_VI_PERSON}/",
    (
        rf"/\b(?:không|khong|ko|k) (?:cần|can|muốn|muon)(?: (?:gặp|gap|nói chuyện|"
        rf"noi chuyen))?(?: (?:với|voi))? {_VI_PERSON}/"
    ),
)

# --- What bots say when they are at a loss -----------------------------------------------------------------------
FAILURE = (
    (
        r"/\bno (?:te |le |lo |logro |pude |puedo |he )?(?:entiendo|entendí|entendi|entender|entendido|"
        r"comprendo|comprender)\b/"
    ),
    r"/\bno (?:puedo|pude|podemos) (?:ayudarte|ayudarle|responder|ayudarlo)\b/",
    "理解できません",
    "理解できませんでした",
    "わかりかねます",
    "分かりかねます",
    "お答えできません",
    "回答できません",
    "ไม่เข้าใจ",
    "ไม่สามารถตอบ",
    "ไม่สามารถช่วย",
    "chưa hiểu",
    "không hiểu",
    "không thể trả lời",
    "không thể hỗ trợ",
)
