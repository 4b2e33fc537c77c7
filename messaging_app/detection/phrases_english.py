"""English phrases of the default rules. Written for this project; regular expressions stand between slashes.

The text they meet is lower case with single spaces and plain apostrophes.
"""

from __future__ import annotations

# --- Asking for a human ------------------------------------------------------------------------------------------
_SERVICE = r"(?:customer|client) ?(?:s[a-z]{3,8}|care|assistance|help)|help ?desk|service desk|tech(?:nical)? support"
_HUMAN = (
    r"humans?|human beings?|real one|agents?|representatives?|reps?|operators?|advis[eo]rs?|"
    r"supervisors?|staff member|employee"
)
_PERSON = rf"{_HUMAN}|persons?|people|assistants?|som{{1,2}}e? ?(?:one|body)|any ?(?:one|body)|staff|manager|specialist"
_WHICH = r"(?:(?:an|a|any|another|the|one of your|your|some|ur) ?)?"
_SORT = (
    r"(?:(?:real|live|living|actual|human|proper|different|other|senior|sales|service|support|customer|"
    r"bloody|damn|goddamn|fucking|freaking) ){0,2}"
)
_TO = r"(?: me| us)?(?: on| over)? ?(?:to|with) ?"  # "touchwith" and "tosomebody" are typed often enough
_SPEAK = r"(?:talk|speak|chat|connect|transfer|escalate|put through|get through|get in touch|be in touch|in contact)"
_SPEAKING = r"(?:talking|speaking|chatting|connecting|transferring|getting through|getting in touch)"
_CALL = r"(?:contact|reach|call|phone|ring|message)(?:ing)?"
_SOMEBODY = rf"{_WHICH}{_SORT}(?:{_PERSON}|{_SERVICE})"

# Not before " hair": human hair is something to buy.
_NOT_HAIR = r"(?:$|[^ ]| (?:$|[^h]|h(?:$|[^a]|a(?:$|[^i]|i(?:$|[^r])))))"

HUMAN = (
    rf"/\b(?:{_SPEAK}|{_SPEAKING}){_TO}{_SOMEBODY}\b/",
    rf"/\b(?:transferred|connected|forwarded|put (?:me )?(?:through|on)){_TO}{_SOMEBODY}\b/",
    rf"/\b{_CALL} {_SOMEBODY}\b/",
    rf"/\btalk {_WHICH}{_SORT}(?:{_HUMAN})\b/",
    (
        rf"/\b(?:deal|dealing|interact|escalate|escalated|hand|pass|forward|refer|switch|"
        rf"go)(?: (?:me|us|this|it|my case))?"
        rf"(?: over| on)? (?:to|with) {_WHICH}{_SORT}(?:{_HUMAN}|person|manager|{_SERVICE})\b/"
    ),
    (
        r"/\b(?:connect|transfer|put|forward|switch) (?:me|us)(?: through| over)? (?:to|with) (?:the |your |ur )?"
        r"(?:\w{1,12} )?(?:support|service|team|department|billing|sales|complaints)\b/"
    ),
    # Without a verb of speaking the noun must be plain: "I need someone in San Jose" asks for no colleague of ours.
    (
        rf"/(?P<match>\b(?:want|need|get(?: me)?|give me|prefer|like|send me|(?:can|could|may) (?:i|we) (?:have|get)) "
        rf"{_WHICH}{_SORT}(?:{_HUMAN}|real person|live person)\b){_NOT_HAIR}/"
    ),
    r"/\b(?:i|we|just) (?:want|need|would like|prefer|require) (?:a|an actual) (?:person|manager)\b/",
    r"/\b(?:get|give) (?:me|us) (?:a|the|your) (?:person|manager|boss)\b/",
    (
        r"/(?P<match>\b(?:real|live|actual) (?:humans?|persons?|people|agents?|representatives?|operators?)\b)"
        rf"{_NOT_HAIR}/"
    ),
    (
        rf"/\bis there (?:an? |any ){_SORT}(?:{_HUMAN}|person) (?:there|here|around|available|(?:that |"
        rf"who |whom )?i can|to)\b/"
    ),
    r"/\b(?:human|manual|live) customer (?:service|support|care)\b/",
    r"/\bhuman (?:assistance|help|support|intervention)\b/",
    (
        rf"/\b(?:can|could|would|have|let|get) (?:some ?(?:one|body)|an? {_SORT}(?:{_HUMAN}|person))"
        r"(?: please)?(?: to)? (?:call|phone|ring|contact|ring|get back to|speak to|talk to|message) (?:me|us)\b/"
    ),
    (
        r"/\b(?:some|any) ?(?:one|body)(?: (?:there|here|else|real|human|available)){0,2} (?:that |"
        r"who |whom )?(?:i|we) "
        r"(?:can|could|may) (?:talk|speak|chat)\b/"
    ),
    # The whole message or its last sentence: "agent please".
    rf"/(?:^\W?|[.!?,;] ){_WHICH}{_SORT}(?:{_HUMAN}|person|{_SERVICE})(?: (?:please|pls|plz|now|asap))?\W{{0,5}}$/",
    rf"/^(?:a |an )?(?:{_HUMAN}|person), please\W{{0,5}}$/",
    rf"/^please,? (?:a |an )?(?:{_HUMAN}|person)\W{{0,5}}$/",
    r"/^\W?(?:live|human) (?:chat|support|help|service)(?: agent)?(?:,? (?:please|pls|plz|now|asap))?\W{0,5}$/",
)

_THEM = (
    r"(?:humans|agents?|people|person|some ?one|some ?body|any ?one|any ?body|staff|operators?|representatives?|reps|"
    r"advis[eo]rs|assistants|customer (?:service|support|care)|support|service|team|desk|office|line|chat|you|u)"
)
HUMAN_EXCEPTIONS = (
    # When is somebody there? The answer is a time, not a person.
    r"/\b(?:what|which) (?:are |is )?(?:the |your )?(?:\w{1,12} )?(?:hours?|times?|days?)\b[^.?!;]{0,80}/",
    (
        rf"/\bwhen (?:do|does|are|is|will|can|could) [^.?!;,]{{0,20}}\b{_THEM}\b[^.?!;,]{{0,15}}"
        r"\b(?:open|close|start|begin|finish|end|works?|working|available|online|on duty)\b/"
    ),
    (
        rf"/\b(?:is|are) (?:(?:a|an|the|your|"
        rf"any) )?{_SORT}{_THEM} (?:\w{{1,12}} ){{0,2}}(?:available|open|online|working|there|on duty) "
        r"(?:at|on|in|during|after|before|until|till|all|24|over)\b/"
    ),
    r"/\b(?:opening|working|business|office|service|support|operating) hours\b[^.?!;,]{0,40}/",
    # Who am I talking to?
    rf"/\b(?:are|r|were) (?:you|u|ya) (?:\w{{1,12}} )?{_WHICH}{_SORT}(?:{_PERSON})\b/",
    rf"/\bam i (?:really |actually |now |still )?{_SPEAKING}{_TO}{_SOMEBODY}\b/",
    rf"/\b(?:is (?:this|that|it)|this is|you are|you're) (?:really |actually |just )?{_WHICH}{_SORT}(?:{_PERSON})\b/",
    # Not wanted, or over already.
    (
        rf"/\b(?:don'?t|do not|didn'?t|did not|won'?t|wouldn'?t|not|never|no) (?:want|need|wish|"
        rf"have|like|care|trying|going)"
        rf"(?: to| for)?(?: (?:{_SPEAK}|{_SPEAKING}|{_CALL}))?(?: to| with)? (?:(?:an?|any|the|"
        rf"your) )?{_SORT}(?:{_PERSON}|{_SERVICE})\b/"
    ),
    (
        rf"/\b(?:was|were|been|after|before|already|finished|done|just|enjoyed) (?:{_SPEAKING}|"
        rf"{_SPEAK}){_TO}{_SOMEBODY}\b/"
    ),
    rf"/\b(?:i'?ve|i have|already|just|was|had been|were|after|tried) {_CALL} {_SOMEBODY}\b/",
    rf"/\b(?:i|we)(?: will| shall|'?ll) {_CALL} {_SOMEBODY}\b/",
)

# --- Complaints --------------------------------------------------------------------------------------------------
COMPLAINTS = (
    (
        r"/\b(?:mak|fil|lodg|submitt?|rais|open|register|plac|leav|writ|send)(?:e|ing)? "
        r"(?:an? |my |the )?(?:\w{1,12} ){0,2}(?:complaints?|reclamations?|grievances?)\b/"
    ),
    r"/\b(?:mak|fil|lodg|submitt?|rais)(?:e|ing)? (?:an? |my )?(?:\w{1,12} )?(?:consumer|customer) ?(?:claims?)\b/",
    r"/\b(?:complaint|reclamation|grievance|claim) (?:against|about) (?:you|ur|the|this)/",
    r"/\b(?:want|wish|like|need|going|have) to complain\b/",
    "official complaint",
    "formal complaint",
    "consumer protection",
    "trading standards",
    "better business bureau",
    "small claims court",
    r"/\b(?:see you in|take (?:you|this|it) to|go to) (?:small claims )?court\b/",
    r"/\b(?:my|a) (?:lawyer|attorney|solicitor)\b/",
    r"/\b(?:sue|suing|report) (?:you|them|this company|your company)\b/",
)
COMPLAINT_EXCEPTIONS = (
    (
        r"/\b(?:no|not|never|without|can'?t|cannot|nothing) (?:an? |any |to |have )?(?:complain|"
        r"complaints?|grievances?)\b/"
    ),
    r"/\b(?:withdraw|cancel|close|drop)(?:ing)? (?:my |the |a )?complaint\b/",
)

# --- Anger -------------------------------------------------------------------------------------------------------
ANGER = (
    "worst",
    "horrible",
    "horrendous",
    "terrible",
    "awful",
    "atrocious",
    "appalling",
    "abysmal",
    "pathetic",
    "ridiculous",
    "unacceptable",
    "disgrace",
    "disgraceful",
    "disgusting",
    "disgusted",
    "outrageous",
    "shameful",
    "shame on you",
    "incompetent",
    "useless",
    "clueless",
    "garbage",
    "rubbish",
    "what a joke",
    "total joke",
    "furious",
    "fuming",
    "livid",
    "outraged",
    "angry",
    "pissed",
    "infuriating",
    "infuriated",
    "fed up",
    "had enough",
    "sick of",
    "sick and tired",
    "waste of time",
    "waste of money",
    "wasting my time",
    "wasted my time",
    "never again",
    "never buy",
    "never shop",
    "never use you",
    "scam",
    "scammed",
    "scammer",
    "scammers",
    "fraud",
    "frauds",
    "fraudsters",
    "criminals",
    "crooks",
    "thieves",
    "liar",
    "liars",
    "you lied",
    "rip off",
    "ripoff",
    "rip-off",
    "ripped off",
    "cheated",
    "idiot",
    "idiots",
    "idiotic",
    "stupid",
    "moron",
    "morons",
    "wtf",
    "what the hell",
    "bullshit",
    "crap",
    "crappy",
    "screw you",
    "sucks",
    "you suck",
    r"/\bf[u*]{1,5}c{0,3}k{1,3}(?:s|ed|ers?|ing?|off)?\b/",
    r"/\bshit(?:s|ty|tiest|show)?\b/",
    (
        r"/\b(?:very|extremely|so|really|deeply|beyond|utterly|absolutely) (?:disappointed|frustrated|"
        r"upset|unhappy|annoyed)\b/"
    ),
    r"/\b(?:still|again) (?:no|not)\b[^.?!]{0,40}!!/",
)
ANGER_EXCEPTIONS = (
    "worst case",
    r"/\bnot (?:angry|mad|upset|stupid|(?:that |so )?(?:terrible|awful|bad|useless))\b/",
    r"/\b(?:report|prevent|avoid|suspect|detect)(?:ed|ing|s)? (?:a |any )?(?:scam|fraud)\b/",
    r"/\bfraud (?:department|team|protection|alert|prevention|detection)\b/",
    r"/\bstupid question\b/",
    r"/\b(?:garbage|rubbish) (?:bags?|bins?|cans?|disposal|collection|chute)\b/",
)

# --- The bot does not help ---------------------------------------------------------------------------------------
UNHELPED = (
    r"/\bnot what i (?:asked|meant|said|wanted|want|am asking|need)\b/",
    (
        r"/\b(?:you(?: are|'re|r)?|u|ur|this|that|it|it's)(?: (?:is|was|are|do|does|did|can|could))?(?: ?not|n'?t| no) "
        r"(?:\w{1,10} )?(?:help(?:ing|ful|ed)?|listen(?:ing)?|understand(?:ing)?|answer(?:ing|ed)?|of any help)\b/"
    ),
    r"/\b(?:you )?(?:can'?t|cannot|don'?t|do not|didn'?t|did not) (?:even )?understand (?:me|you|what i)\b/",
    r"/\bi (?:already|have already|just) (?:told|said|explained|answered|gave) (?:you|that|this|it)\b/",
    r"/\b(?:as|like) i (?:already |just )?(?:said|told you|explained)\b/",
    r"/\b(?:you )?(?:keep|stop|are just) (?:repeating|saying the same|asking the same|sending me the same)\b/",
    r"/\b(?:you )?(?:are|r|'re|stupid|dumb|useless|just) (?:an? )?(?:stupid |dumb |useless )?(?:bot|robot)\b/",
    "unhelpful",
    "no help at all",
    "wrong answer",
    "makes no sense",
    "doesn't make sense",
    "read what i wrote",
)
UNHELPED_EXCEPTIONS = (r"/\b(?:are|r) (?:you|u) (?:just )?(?:an? )?(?:bot|robot)\b/",)

# --- What bots say when they are at a loss -----------------------------------------------------------------------
FAILURE = (
    (
        r"/\b(?:do not|don'?t|did not|didn'?t|could not|couldn'?t|cannot|can'?t|not able to|unable to|fail(?:ed)? to) "
        r"(?:\w{1,12} )?(?:understand|follow|get that|catch that|comprehend|make sense of|interpret)\b/"
    ),
    (
        r"/\b(?:not|n'?t) (?:quite |really |entirely )?(?:sure|certain) (?:i |that i |what you |how (?:to|i can) )"
        r"(?:understand|understood|follow|mean|help|answer|want|need|respond)/"
    ),
    (
        r"/\b(?:can'?t|cannot|can not|couldn'?t|could not|unable to|not able to) (?:\w{1,12} )?"
        r"(?:help(?: you)?(?: with| on)? (?:that|this|your)|answer (?:that|this|your)|"
        r"assist(?: you)?(?: with)? (?:that|this|your)"
        r"|process (?:that|this|your)|handle (?:that|this|your))\b/"
    ),
    r"/\b(?:do not|don'?t) (?:\w{1,12} )?have (?:an|the|any) (?:answer|information (?:on|about) (?:that|this|your))\b/",
    r"/\b(?:do not|don'?t) know (?:the answer|how to (?:help|answer|respond))\b/",
    r"/\b(?:could|can|would) you (?:please )?(?:rephrase|reword|say that again|put (?:that|it) another way)\b/",
    r"/\b(?:please |try )(?:to )?(?:rephras|reword)(?:e|ing)\b/",
    r"/\bbeyond (?:my|what i)\b/",
    r"/\bnot (?:something i|able to (?:help|assist|answer))\b/",
    r"/\bsomething went wrong\b/",
    r"/\b(?:technical|system) (?:issue|difficult(?:y|ies)|error|glitch)\b/",
)
FAILURE_EXCEPTIONS = (
    r"/\b(?:if|in case|when|whether) you (?:do not|don'?t|did not|didn'?t|cannot|can'?t)\b[^.?!]{0,40}/",
    r"/\b(?:customer|user|they|he|she|you) (?:do not|don'?t|did not|didn'?t|does not|doesn'?t) understand\b/",
)
