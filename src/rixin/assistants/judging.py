"""Whether passages answer a question, as the model itself sees it, before it answers.

Small models take whatever is near a question for its answer: asked plainly, one of 1.5B told answerable questions from
others no better than chance (AUROC 0.45). After examples that show what is not enough, the probability of its "yes"
does (0.76 on 76 questions of law). Judgement and answer are one turn of the model, so that the passages are read once.
"""

import math
from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec

from rixin.engines import ChatPrompt, Delta, GenerateEvent, GenerateRequest, Message, Sampling, TokenLogprob

Generate = Callable[[GenerateRequest], AsyncGenerator[GenerateEvent]]

EXAMPLES = {
    "zh": """
先写“判断：”，说明资料里有没有写出问题所问的内容。资料必须写明所问的那个地方、那件事的数字、期限、条件或结论；只提到相近的话题、由别的机关另行规定，或者说的是别的国家和地区，都算没有。再写“回答：”。

例一
<passage 1 | 水法>取用水资源应当缴纳水资源费。征收管理的具体办法由国务院规定。</passage 1>
问题：成都自来水一吨多少钱
判断：没有

例二
<passage 1 | 商标法>注册商标的有效期为十年，自核准注册之日起计算。</passage 1>
问题：商标注册下来能用几年
判断：有
回答：能用十年，从核准注册之日起算[1]。

例三
<passage 1 | 道路交通安全法>饮酒后驾驶机动车的，处暂扣六个月机动车驾驶证。</passage 1>
问题：在德国酒驾扣几分
判断：没有

例四
<passage 1 | 档案法>单位和个人将其形成的档案存入国家档案馆后，享有优先利用的权利。</passage 1>
问题：我妈退休二十年了，单位说她的档案早丢了，现在想补，复印一份要交几百块？
判断：没有

例五
<passage 1 | 海商法>旅客的自带行李发生灭失的，承运人有过失的应当负责赔偿。</passage 1>
问题：上个月坐轮渡，船员搬行李时把我的箱子掉进海里，公司说船票上写着概不负责，我还能要他们赔吗？
判断：有
回答：能。承运人有过失的，应当赔偿自带行李的灭失[1]。""",
    "en": """
First write "Judgement:", whether the documents hold what is asked: the number, period, condition or conclusion of that
very thing and place. A nearby topic, a rule that leaves it to others, or another country is not enough. Then write
"Answer:".

Example 1
<passage 1 | Water Act>Whoever takes water pays a fee. The government sets its amount.</passage 1>
Question: How much is a cubic metre of tap water in Leeds?
Judgement: no

Example 2
<passage 1 | Trademark Act>A registered mark is valid for ten years from the date of registration.</passage 1>
Question: How long does a trademark last?
Judgement: yes
Answer: Ten years from the date of registration [1].

Example 3
<passage 1 | Road Act>Drunk drivers lose their licence for six months.</passage 1>
Question: How many points does drunk driving cost in Germany?
Judgement: no

Example 4
<passage 1 | Shipping Act>A carrier at fault pays for the loss of a passenger's luggage.</passage 1>
Question: The crew dropped my suitcase into the sea, and the ticket says they owe nothing. Must they pay?
Judgement: yes
Answer: Yes. A carrier at fault pays for lost luggage [1].""",
}
_OPEN = {"zh": "判断：", "en": "Judgement:"}
_ANSWER = {"zh": "判断：有\n回答：", "en": "Judgement: yes\nAnswer:"}
_NOTHING = {"zh": "判断：没有", "en": "Judgement: no"}
_YES = {"zh": ("有",), "en": ("yes",)}
_NO = {"zh": ("没", "無", "无"), "en": ("no",)}
ALTERNATIVES = 20


def opened(messages: Sequence[Message], language: str) -> tuple[Message, ...]:
    """The prompt, so that the model goes on with its answer, as if it had found that there is one."""
    return (*messages, Message(role="assistant", content=_ANSWER[language]))


def verdict(language: str, answer: str | None) -> str:
    """The model's whole turn, as the conversation has it: its answer, or None where it found that there is none."""
    return _NOTHING[language] if answer is None else _ANSWER[language] + answer


def unjudged(messages: Sequence[Message], language: str) -> tuple[Message, ...]:
    """The prompt without what teaches to judge first: a model that may call tools would say its judgement aloud."""
    examples = EXAMPLES[language].strip()
    return tuple(
        msgspec.structs.replace(one, content=one.content.replace(f"\n\n{examples}", ""))
        if one.role == "system"
        else one
        for one in messages
    )


async def likely_answered(generate: Generate, messages: Sequence[Message], language: str, request_id: str) -> float:
    """The model's probability that the passages answer, of the two words that it may say; 1 where it says neither."""
    text = ""
    for most in (1, 2):  # a space before the word may be a token of its own
        request = GenerateRequest(
            id=f"{request_id}-judge-{most}",
            prompt=ChatPrompt(
                messages=(*messages, Message(role="assistant", content=_OPEN[language])), continue_final=True
            ),
            sampling=Sampling(max_tokens=most, temperature=0.0, logprobs=ALTERNATIVES),
        )
        said = [event async for event in generate(request) if isinstance(event, Delta)]
        for one in [one for event in said for one in event.logprobs or ()]:
            yes, no = _share(one, _YES[language]), _share(one, _NO[language])
            if yes + no > 0:
                return yes / (yes + no)
        text = "".join(event.text for event in said).strip()
        if text:
            break
    # An engine without log-probabilities says it in words only.
    return 0.0 if text.casefold().startswith(_NO[language]) else 1.0


def _share(one: TokenLogprob, words: tuple[str, ...]) -> float:
    """The probability, among the likeliest tokens, of those that begin with one of the words."""
    said = ((other.token.decode("utf-8", "ignore").strip().casefold(), other.logprob) for other in one.top)
    return sum(math.exp(logprob) for word, logprob in said if word.startswith(words))
