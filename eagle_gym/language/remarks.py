# ruff: noqa: RUF001  # characters of other scripts are meant
"""Sentences with which a general model talks about its answer instead of giving it.

A chat model announces ("Sure, here is ..."), thinks aloud, refuses, asks back, reports ("The edit has been applied."),
or leaves a placeholder. None of these is a description or an edit, and none may become the state of an environment.
The patterns are anchored at the beginning of a sentence and require words about the task, because films and products
also "want", "need" and "cannot".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

Kind = Literal["announcement", "closing", "refusal", "question", "reasoning", "report", "placeholder"]

# Nouns of the task. The first are said of an answer only, the second also of films and products.
_META: Final = (
    r"(?:descriptions?|rewrites?|rewriting|revisions?|edits?|instructions?|answers?|responses?|outputs?|requests?|"
    r"suggestions?|proposals?|prompts?)"
)
_WORK: Final = (
    r"(?:texts?|versions?|paragraphs?|plots?|stor(?:y|ies)|synops[ie]s|summar(?:y|ies)|results?|changes?|blurbs?)"
)
_MADE: Final = (
    r"(?:rewr[io]t\w*|rewriting|revis(?:ed?|ing)|updat(?:ed?|ing)|edit(?:ed|ing)|modif(?:ied|ying)|appl(?:ied|ying)|"
    r"adjust(?:ed|ing)|incorporat(?:ed|ing)|rephras(?:ed|ing)|implement(?:ed|ing)|process(?:ed|ing)|chang(?:ed|ing)|"
    r"complet(?:ed|ing)|generat(?:ed|ing))"
)
_NEW: Final = (
    r"(?:rewritten|revised|updated|edited|modified|new|final|adjusted|changed|requested|original|adapted|full|complete)"
)
_AGREE: Final = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|gladly|no problem|understood|got it|ok(?:ay)?|al(?:l )?right|"
    r"done|definitely|(?:with|my) pleasure|noted|yep|happy to help)"
)
_CONTENT: Final = (
    r"(?:the setting|the tone|the genre|the rest|everything else|the original|only|"
    r"as (?:you )?(?:requested|asked|instructed))"
)
_HELP: Final = (
    r"(?:help|assist|comply|fulfil\w*|provide|complete|process|generate|create|rewrite|continue|do (?:that|this|it|so)|"
    r"make (?:that|this)|edit|change|modify|apply|answer|respond|write|produce|engage|discuss|support|proceed|"
    r"access|determine|offer|participate|accommodate|carry out|work with)"
)
_STRONG: Final = (
    r"(?:re-?write|rephrase|edit|apply|adjust|modify|preserve|incorporate|ensure|make sure|craft|mention|include|check|"
    r"respond|analy[sz]e|consider|output|start by|focus on|update|produce|summari[sz]e|think (?:about|through)|"
    r"double-check)"
)
_WEAK: Final = (
    r"(?:keep|change|write|think|remove|avoid|maintain|figure|follow|begin|replace|add|set|move|swap|provide|turn|"
    r"understand|read|find|create|generate|identify|look|decide|determine|note|remember|transform|make|do|only|just|"
    r"also|not|be|use|give|answer|shift|relocate|adapt)"
)
_FIRST: Final = (
    r"(?:i|we)(?:'ll| will|'m going to| am going to|'re going to| are going to| need to| should| must| have to| can|"
    r" could| want to| was asked to| am asked to| have been asked to| might|'d| would| shall)"
    r"(?: now| also| then| just| first| only| simply| probably)*"
)
_USER: Final = (
    r"(?:(?:the )?user (?:here |now |just )?(?:wants?|asks?|is asking|asked|has|requested|requests|would like|says?|"
    r"said|"
    r"gave|provided|needs?|requires?|expects?|wanted|specif\w+|tells?|mentions?|means|did)"
    r"|(?:the )?(?:prompt|instruction|requested edit|edit request|system prompt|system message|question|request|"
    r"edit)s? "
    r"(?:here )?(?:wants?|asks?|is asking|asked|says?|said|requires?|is to|is:|should|must|specif\w+|tells?|states?|"
    r"means)"
    rf"|(?:the )?task (?:is to|requires|asks|here is)(?: \w+)? ?(?:{_STRONG}|{_WEAK}))\b"
)

# What follows a label that texts use too: nothing, or a word that only a remark about the task has.
_OF_TASK: Final = (
    rf"(?:\s*[*_]*\s*$|.*\b(?:{_META}|users?|rewritten|(?:was|were|has been|have been) (?:kept|left|{_MADE}|moved|set|"
    r"replaced|removed|shifted|preserved|swapped)|i(?:'ve| have)? (?:kept|left|made|moved|set|replaced|removed|"
    r"changed))\b)"
)

_PATTERNS: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        "refusal": (
            r"(?:i'?m|i am|we're|we are) (?:(?:very|so|really|truly|terribly) )?(?:sorry|afraid)\b(?:[,.!;:—-]|"
            r" but\b| i\b| that\b| for\b|$)",
            rf"(?:sorry|apologies),? (?:but,? (?:i|we|this|that|your|it|there|as an?|no|my|the (?:\w+ )?{_META})\b|"
            rf"i\b|we\b|that\b|"
            r"for\b|about\b)|(?:sorry|apologies)[.!]*$",
            r"(?:my|our|i|please accept my) (?:sincere )?apolog",
            rf"(?:unfortunately|regrettably),? (?:(?:i|we)\b|(?:the|this|that|your|no) (?:\w+ )?{_META}\b)",
            r"(?:i|we)(?: really| simply)? (?:can(?:no|')t|can not|won't|will not|couldn't|could not|don't|"
            r"do not) (?:\w+ )?"
            rf"(?:{_HELP}|be able to|feel comfortable|have (?:enough|access|sufficient|the (?:ability|information|"
            r"description))|know what|understand (?:the|this|your|what))\b",
            r"(?:i|we)(?:'m| am|'re| are) (?:unable|not able|not allowed|not permitted|not comfortable|not designed|"
            r"unsure (?:what|how)|not sure (?:what|how)|incapable)\b",
            r"(?:i|we) (?:must |have to |respectfully |will have to )+(?:decline|refuse)\b|i (?:decline|"
            r"refuse) to\b|(?:i|we) (?:appreciate|understand|regret)\b.*\b(?:but|cannot|can't|unable)\b|"
            r"(?:that|this)(?:'s| is) not something (?:i|we)\b|(?:it|this|that)(?: is|'s| goes)? against my\b|"
            r"ich kann .*\bnicht\b",
            r"as an? (?:ai|artificial intelligence|large language model|language model)(?: (?:language )?(?:model|"
            r"assistant|system))*,? (?:i|my|it is|we)\b",
            r"(?:i'?m|i am) (?:just |only )?an? (?:ai|language model|large language|(?:virtual|helpful) assistant)\b",
            r"(?:this|that|the|your) (?:request|content|prompt|edit|message|instruction)s? .*\b(?:violat|against|"
            r"inappropriate|not (?:allowed|permitted)|declin|denied|polic|flagged|blocked|filtered)",
            r"(?:it is|it's|that is|that's|it would be|it isn't) (?:not |in)?(?:appropriate|possible|"
            r"ethical)\b.*\bfor me\b",
            r"(?:request|access|content) (?:denied|refused|blocked|filtered|removed|policy|filter)\b",
            r"i(?:'d| would) (?:prefer|rather) not\b|(?:cannot|can't|unable to|not able to) (?:assist|comply|help|"
            r"fulfil\w*|process|complete)\b",
            r"es tut mir leid|entschuldigung|leider (?:kann|ist)|désolée?\b|je (?:suis désolé|ne peux pas)|"
            r"lo siento|no puedo (?:ayudar|cumplir|realizar|completar|procesar|responder)|"
            r"non (?:posso|sono in grado di) (?:aiutar|soddisf|rispond|esegu|complet|fornir|elabor)|"
            r"n[ãa]o (?:posso|consigo) (?:ajud|atend|cumpr|realiz|complet|respond|fornec|process)|"
            r"je ne suis pas en mesure\b.*\b(?:répondre|aider|demande|traiter|modifier|réécrire|satisfaire|fournir)|"
            r"ich bin nicht in der lage\b.*(?:anfrage|helfen|bearbeit|beantwort|erfüll|umschreib|unterstütz|"
            r"beschreibung)|"
            r"я не (?:могу|в состоянии|буду) .*(?:выполн|помо|запрос|ответ|обработ|сделать)|"
            r"mi dispiace|desculpe|не могу|извините|к сожалению, я|抱歉|对不起|我(?:无法|不能)|申し訳|죄송",
        ),
        "question": (
            r"(?:could|can|would|will) you (?:please |kindly )?(?:provide|clarify|share|tell me|specify|give|paste|"
            r"confirm|explain|send|let me|elaborate|describe|say)\b",
            r"please (?:provide|share|specify|clarify|give me|paste|tell me|confirm|send|supply|enter|rephrase|"
            r"try again|note that)\b|please wait(?:[.!…]|$| (?:while|a|until)\b)|"
            rf"please find (?:\w+ )*(?:below|attached|{_META})\b",
            rf"(?:what|which|how|where) .*\b(?:{_META}|you (?:want|like|prefer|need) (?:me|to change|it|changed)|"
            r"(?:i|can i|may i) (?:help|assist|do for you))\b.*\?",
            rf"(?:do|would|did|are|should|shall|may|can|could|have) (?:you|i|we) .*\b(?:{_META}|me to|like me|"
            r"ask(?:ing)?|mean|proceed|keep it|go ahead|rewrite|change (?:it|the))\b.*\?",
            rf"(?:is|was|does|are) (?:this|that|there|it|the (?:{_META}|{_WORK})) .*\b(?:ok|okay|correct|right|"
            rf"what you|acceptable|anything else|{_META}|work for you|you (?:want|need|mean))\b.*\?",
            r"i (?:would |'d )?(?:need|require) (?:more|the|a|some|additional|further) (?:\w+ )?(?:information|"
            rf"details|context|clarification|{_META})\b",
            rf"i (?:don't|do not|didn't|can't|cannot) see (?:a|an|any|the|your) (?:\w+ )?(?:{_META}|text)\b|"
            rf"(?:there (?:is|was)|i see|you (?:gave|provided)) no (?:\w+ )?(?:{_META}|text)\b",
            r"it (?:seems|looks like|appears)(?: that| like)? (?:you|your|the (?:description|edit|text|message)|"
            r"there)\b|you (?:haven't|have not|didn't|did not) (?:provide|give|specif|includ)",
        ),
        "reasoning": (
            rf"(?:(?:{_AGREE}|great|right|well|h+m+|so|now|then|wait|first(?:ly)?|next|actually|oh|but|and|"
            rf"alternatively)[,.!:…—-]*\s+)*{_USER}",
            rf"(?:(?:{_AGREE}|great|right|well|h+m+|so|now|then|wait|first(?:ly)?|next|actually|oh|but|and|"
            r"alternatively)[,.!:…—-]*\s+)*"
            rf"{_FIRST} (?:{_STRONG}\b|{_WEAK}\b.*\b(?:{_META}|{_WORK}|user|setting|tone|genre|rest|original|"
            r"everything|sentence|paragraph|word|mood|era|place))",
            rf"(?:(?:{_AGREE}|right|well|so|now|then)[,.!:…—-]*\s+)*(?:i|we)(?:'ve| have|'re| are|'m| am| was|"
            r" were)?(?: been)? (?:given|asked|presented|instructed|told|looking at|need|have|to)(?: with|"
            rf" to)? .*\b(?:{_META}|rewrite|user)\b",
            rf"(?:(?:{_AGREE}|right|well|h+m+|so|now|then|wait|first|next|actually|but)[,.!:…—-]*\s+)*(?:let me|"
            r"let's|let us|lemme) (?:think|see|start|check|rewrite|apply|consider|analy[sz]e|look at|"
            r"break|try|begin|proceed|examine|first|now|work (?:through|on|out)|craft|draft|figure|re-?read|reason|"
            r"review|identify|parse|understand|tackle|make sure|make (?:the|this|that) (?:edit|change)|"
            r"also|recall|unpack|plan|revise|count|step|double|ensure|incorporate|write (?:it|this|the|a)|do (?:it|"
            r"this|that))\b",
            r"to (?:apply|rewrite|incorporate|implement|accomplish|achieve|fulfil\w*|do|make) (?:this|the|that|it|"
            rf"such|your)\b.*\b(?:{_META}|i|we)\b",
            r"(?:given|based on|looking at|considering|following|according to|starting (?:with|from)|in response to|"
            rf"from) (?:the|this|that|your|these) (?:\w+ )?{_META}\b",
            r"(?:thinking|reasoning|thoughts?|analysis|thought process|thinking process|chain of thought|"
            r"rationale|scratchpad)\s*(?:[:….—-]|$)",
            rf"(?:plan|approach|step (?:\d+|one))\s*(?:$|[:….—-](?:{_OF_TASK}|\s*(?:{_STRONG}|identify|understand)\b))",
            r"(?:[^\s,，、:]{1,12}[,，、:]\s*)?(?:l'utilisat(?:eur|rice) (?:veut|demande|souhaite|a demandé|voudrait|"
            r"me )|"
            r"der (?:be)?nutzer (?:möchte|will|wünscht|bittet|hat|fordert|verlangt)\b|"
            r"el usuario (?:quiere|pide|desea|solicita|ha pedido|me )|l'utente (?:vuole|chiede|desidera|ha chiesto)\b|"
            r"o usuário (?:quer|pede|deseja|pediu|solicit)|пользователь (?:хочет|просит|попросил|запросил|желает)|"
            r"用户(?:想|要|希望|请求|需要|让|的(?:要求|请求|指令))|我(?:需要|应该|得|要|来).{0,12}(?:用户|请求|要求|描述|改写)|"
            r"ユーザー.*(?:求|依頼|要求|希望|望|ほしい|指示)|사용자.*(?:원하|원합|요청|요구))",
            r"(?:je dois|ich (?:muss|soll|sollte|werde)|debo|tengo que|devo|мне нужно|я должен)\b.*\b(?:description|"
            r"beschreibung|anfrage|réécri|reescrib|descripci|riscriv|descriz|descriç|reescrev|описани|запрос)",
            r"my (?:thoughts?|thinking|reasoning|approach|interpretation|plan|goal|task|job)(?: here|"
            r" process)?(?: is| was| would be)?(?: to|:|,)",
            r"here(?:'s| is) (?:my|the|a) (?:thought|thinking|reasoning|chain of|analysis|step-by-step)",
            rf"thinking step by step\b|thinking (?:it|this) through\b|thinking (?:about|through)\b.*\b(?:{_META}|"
            rf"users?)\b|h+m+\b",
            rf"i (?:think|believe|guess|wonder|suppose|notice|see that|assume|just need|only need)\b.*\b(?:{_META}|"
            rf"user|rewrite|should (?:{_STRONG}|{_WEAK}))\b",
            r"(?:maybe|perhaps|alternatively,?) (?:i|we) (?:should|can|could|need)\b|(?:so|but),? (?:the |"
            rf"my )?(?:final |new |rewritten |revised )+(?:{_META}|{_WORK})\b",
            rf"the original (?:{_META}|text|version|plot|story|one)?\s*(?:is|was|has|says|mentions|describes|reads|"
            r"describe|states|setting|tone)\b(?!.*\b(?:19|20)\d\d\b)",
            rf"(?:i|we) (?:understand|see|know) (?:that )?(?:the|you|your) (?:user|want|need|{_META})",
            r"(?:constraints?|draft|key (?:points?|changes?)|changed \w+|what changes|requirements?|input)\b"
            r"[\w ]{0,20}:|original\s*:",
            rf"(?:goal|changes?|approach|context|user|system|human|task|original)\b[\w ]{{0,20}}:{_OF_TASK}",
            rf"original (?:{_META}|{_WORK})\s*:",
            rf"(?:just |only |also )+(?:(?:need to|must|should) (?:{_STRONG}|{_WEAK})\b|(?:{_STRONG}|{_WEAK})\b.*\b"
            rf"(?:{_META}|users?)\b)|(?:need|"
            rf"needs) to (?:{_STRONG}|{_WEAK})\b|maybe:|so the answer\b",
            r"[*(\[]\s*(?:think|reason|analy|ponder|consider)\w*[^*)\]\n]{0,40}[*)\]]",
            r"(?:okay|ok|alright), so\b.*\b(?:needs?|should|could|must|would|becomes?|has to|have to|means)\b|"
            r"so the (?:key|challenge here|main thing|idea is)\b",
        ),
        "report": (
            rf"(?:the|this|that|your|my|all|no|any|each|every) (?:{_NEW} )?{_META} (?:above |below |now |already |"
            r"itself |you gave |you provided |i gave )*"
            r"(?:is|are|was|were|has|have|had|should|must|needs?|says?|asks?|wants?|requires?|remains?|reads?|"
            r"stays?|will|would|can|contains?|does|keeps?|mentions?|now)\b",
            rf"(?:the|this|that|your|my|all) (?:{_NEW} )?(?:{_WORK}) (?:(?:has|have) (?:now |already |been )*been|"
            rf"(?:is|are|was|were) (?:now|already)|was|were)(?: successfully)? (?:{_MADE}|made|unchanged|moved|set|"
            r"shifted|applied)\b",
            rf"no (?:{_META}|changes?|{_WORK}) (?:is |are |was |were )?(?:needed|required|made|necessary|provided|"
            r"given|found|specified|possible)\b",
            rf"(?:{_META}|{_WORK}|setting) (?:successfully )?(?:applied|made|updated|changed|completed?|done|"
            r"rewritten|unchanged|provided|accepted|finished|successful\w*)\b",
            rf"(?:i|we)(?:'ve| have)?(?: just| now| only| also| successfully)* (?:{_MADE}|made|kept|set|moved|added|"
            r"replaced|removed|shifted|preserved|swapped|turned|put|relocated)\b"
            rf"(?:.*\b(?:{_META}|{_WORK}|{_CONTENT}|setting|tone|ending)\b|[.!]*$)",
            rf"(?:{_MADE}|made|done|all)(?: set)? (?:as|per) (?:you |your )?(?:request|ask|instruct|wish)\w*|(?:as|"
            r"per) (?:you )?(?:your )?(?:requested|asked|instructed|request|instructions?)(?:\s*[,.:;!—–]|$|"
            r" by the user\b)",
            r"(?:it|this|that|everything|all)(?:'s| is| has| was)? (?:been |now |already )*(?:done|updated|"
            r"rewritten|applied|unchanged|completed?|edited|ready|set|modified)(?: now| as requested|"
            r" successfully)?[.!]*$",
            r"(?:edits|modifications|explanations?|summary of changes|what (?:i )?changed|key changes|word count|"
            r"disclaimer|comments?|changes (?:made|applied|i made))(?: made| applied| i made)?\s*:",
            rf"(?:changes|notes?|reasons?)\s*:{_OF_TASK}",
            r"the \w+ has been (?:changed|replaced|moved|set|shifted|updated|relocated|swapped) (?:to|with|on|by|in|"
            r"for)\b",
            r"something went wrong|(?:one|just a|give me a) moment\b|(?:task|request|job|"
            r"edit) (?:completed?|done)\b|an error (?:has )?occurred\b",
            rf"(?:the|all) (?:{_WORK}|setting|rest) (?:remains?|stays?|is) (?:the same|unchanged|as it (?:is|was))\b|"
            r"the (?:key|main|only) change\b",
            r"my name is .{1,30} and i\b|i(?:'m| am) an? \w* ?assistant\b|you are an? (?:helpful|ai|assistant)\b|"
            r"you (?:rewrite|propose|write|judge) descriptions\b|apply the requested edit\b|"
            r"answer with the rewritten\b",
            r"(?:rewriting|applying|editing|updating|processing|generating|loading|working on|changing|modifying|"
            rf"thinking)\b(?:.*\b{_META}\b|.*(?:\.\.\.|…)$)",
            r"(?:(?:an? |the )?(?:internal|unknown|unexpected|api|server|runtime|fatal|type|value|key|http|upstream|"
            r"cuda|parse|syntax|json\w*) ?)*(?:error|exception)\b\s*(?:[:(!\[]|\d{3}\d*\s*(?:[:.!(—–-]|$|internal|bad|"
            r"service|gateway|not found|too many|"
            r"unauthori[sz]ed)|\.?$|occurred|code\b|has occurred|"
            r"generating)",
            r"(?:\w+error|traceback)\b\s*[:(]|http[ /]\d|(?:4\d\d|5\d\d) (?:bad|internal|service|too many|not found|"
            r"gateway|unauthori[sz]ed|forbidden)\b",
            r"your credit balance\b|you(?:'ve| have)? exceeded your\b.*\b(?:quota|limit|credits?)\b|"
            r"the (?:server|engine|model|service|api) (?:is|was) (?:currently |temporarily |now )*(?:overloaded|"
            r"unavailable|"
            r"not ready|at capacity)\b(?! (?:with|by)\b)|the (?:server|engine|api) (?:had|encountered|"
            r"returned) an (?:internal )?error\b|"
            r"(?:insufficient|not enough) (?:quota|credits?)\b|(?:incorrect|invalid|missing) api key\b",
            r"(?:internal server error|rate limit|too many requests|bad gateway|service unavailable|"
            r"gateway time-?out|request timed? ?out|context length|maximum context|quota exceeded|"
            r"connection (?:refused|reset|error|timed)|model (?:is )?(?:overloaded|not found|loading)|"
            r"invalid (?:request|api|json)|unauthori[sz]ed\b|cuda out of memory|out of memory[.:!]?$)",
        ),
        "announcement": (
            rf"{_AGREE}\s*(?:[.!:…—–-].*|$|,? (?:i|i'll|i'd|i've|here|here's|let me|let's|(?:the|this is the|"
            rf"your) (?:{_NEW} )*{_META})\b.*|,$)",
            r"(?:great|perfect|right|yes|thanks|excellent|wonderful|very well)(?:[.!…]*$|[,!.—–-]+ (?:i|i'll|i'd|"
            r"i've|here|here's|let me|let's|this is the|we|that's)\b.*)",
            rf"here(?:'s|s| is| are|, (?:is|are))(?: the| your| my| a| an| our| one| some)* (?:{_META}\b.*|"
            rf"(?:\w+ ){{0,3}}{_NEW} (?:\w+ )?(?:{_META}|{_WORK})\b.*|how (?:the|it|i|your)\b.*)",
            r"here(?:'s|s| is| are)\b.*(?::\s*$|\bas requested\b.*|\bwith the (?:requested )?(?:edit|change)s?\b.*)|"
            r"here (?:you|it|we) (?:go|are|is)\b.*|here(?:'s| is) (?:it|what i (?:came|wrote|have|got))\b.*",
            rf"(?:this|that) (?:is|would be) (?:the|your|my|a|an) (?:{_META}|{_NEW} (?:\w+ )?(?:{_META}|"
            rf"{_WORK}))\b.*|(?:below|following) (?:is|are|you)\b.*(?:{_META}|{_NEW}|{_WORK}|:).*|"
            rf"the following (?:is|are)\b.*(?:{_META}|{_WORK}|:).*",
            r"i(?:'ll| will| can| could|'d| would| am|'m)(?: certainly| definitely| gladly|"
            r" now)?(?: be)?(?: more than)? (?:help|love to (?:help|do)|happy|glad|do (?:that|this|it|my|so)|gladly|"
            r"delighted|pleased|ready|here to|assist|get (?:right )?(?:on|to))\b.*",
            rf"(?:the |your |my |a )?(?:{_NEW}[ -])+(?:{_META}|{_WORK})(?: \w+){{0,6}}\s*[:.]?$|(?:the |your |"
            rf"my )?(?:{_META}|{_WORK}|title|movie|film|product)\s*:?\s*$",
            r"(?:hello|hi|hey|greetings)\b.*\b(?:help|assist|assistant)\b.*|(?:hello|hi|hey|"
            r"greetings)(?: there)?[.!,]*$|how (?:can|may) i (?:help|assist)\b.*",
            r"(?:thanks|thank you)(?: (?:so|very) much)?(?:[.,!].*|$| for (?:your|the (?:request|description|edit)|"
            r"sharing|providing|asking|using)\b.*)|welcome\b.*\b(?:assist|help)\b.*|welcome[.!]",
            r"(?:that's|that is|what) an? (?:great|good|interesting|fun|nice|lovely|excellent) (?:idea|request|"
            r"question|edit|suggestion|prompt)\b.*|i(?:'ve| have) got (?:it|this)\b.*|i understand[.!,].*|(?:glad|"
            r"happy) to (?:help|assist|do)\b.*|i see[.!]*$|(?:interesting|great|good|nice) (?:idea|choice|"
            r"question)\b.*",
            r"(?:natürlich|gerne|selbstverständlich|bien sûr|claro(?: que sí)?|por supuesto|desde luego|certo|"
            r"com certeza|конечно)\s*[,.!:].*|"
            r"(?:hier ist|voici|aquí (?:está|tienes?|tiene)|ecco|aqui está|вот)\b.*(?:beschreibung|fassung|version|"
            r"versión|versione|descri\w+|text\w*|описани\w*|:\s*$).*",
            r"(?:当然|好的|没问题|はい|もちろん|承知(?:しました|いたしました)|네|물론(?:입니다|이죠)?)[，,。.！!：:、\s].*|(?:以下是|以下が|以下は).*",
        ),
        "closing": (
            r"(?:please )?(?:let me know|feel free|don't hesitate|do let me)\b.*",
            r"(?:i )?hope (?:this|that|it)\b.*\b(?:helps?|likes?|works?|meets?|captures?|satisf\w+|fits?|is (?:what|"
            r"useful|helpful|ok)|you)\b.*",
            r"if (?:you|there)(?:'d| would|'re| are|'s| is)? ?(?:need|want|like|have|prefer|wish|require|"
            r"not satisf\w*|anything)\b.*\b(?:me\b|any|changes?|further|more|other|additional|adjust\w*|edits?|"
            r"tweak\w*|modif\w*|let|questions?).*",
            r"(?:is|was) there anything else\b.*|would you like (?:me|any|another|more|further|to (?:change|adjust|"
            r"make))\b.*|anything else\b.*\?",
        ),
        "placeholder": (
            r"(?:n/?a|none|null|nil|nan|undefined|true|false|unknown|tbd|todo|empty|unchanged|blank|yes|no|ok|okay|"
            r"done|ready|continue|test|"
            r"no (?:output|answer|response|content|text|edits?|changes?)(?: (?:needed|given|made|provided|"
            r"available))?|same(?: as (?:above|before|the original))?|see above|"
            r"nothing|end|stop|eos|pass|not applicable|as above|etc|(?:insert|your|add|enter) .{0,40}\b(?:here|"
            r"description|text)|lorem ipsum.*|\w+ goes here)\s*[.!…]*$",
        ),
    }
)
_MARKUP: Final = re.compile(r"^[\s>*_#~`-]+")


@cache
def _pattern(kind: Kind) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS[kind]), re.IGNORECASE | re.DOTALL)


def kind_of(sentence: str) -> Kind | None:
    """What a sentence says about the answer, or None where it may be part of one."""
    plain = _MARKUP.sub("", sentence.replace("’", "'")).replace("**", "").strip()
    return next((kind for kind in _PATTERNS if _pattern(kind).match(plain)), None)
