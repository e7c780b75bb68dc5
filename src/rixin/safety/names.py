"""People's names where the text says that one follows; nothing is guessed elsewhere."""

import re
from collections.abc import Iterator

from rixin.safety.found import Found, found

# The surnames of 96% of Chinese people. Source: the seventh census, 2020.
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
    "姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
    "常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季"
    "裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦"
    "戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻"
    "苑迟邝"
)
_COMPOUND = "欧阳|上官|司马|诸葛|司徒|东方|皇甫|尉迟|公孙|慕容|令狐|端木|夏侯|长孙|宇文"
_GIVEN = r"[一-鿿]"
_NAME = rf"(?:(?:{_COMPOUND}){_GIVEN}{{1,2}}|[{_SURNAMES}]{_GIVEN}{{1,2}}(?:·{_GIVEN}{{1,8}})?)"
_ENDS = (
    r"(?=$|[\s,.;:!?、。)\]】(/|\"”'’]|的|先生|女士|小姐|同志|今年|是|住|电话|手机|身份证|性别"
    r"|男|女|来自|在|和|与|因|于|现|患|为|曾|已|想|要|有)"
)
_CHINESE = (
    re.compile(
        r"(?:姓名|联系人|收件人|收货人|法定代表人|法人代表|经办人|委托代理人|患者|签字人|签收人)(?:为|是)? ?: ?"
        rf"(?P<value>{_NAME}){_ENDS}"
    ),
    re.compile(rf"(?:我叫|本人叫|我的名字叫|我的名字是)(?P<value>{_NAME}){_ENDS}"),
    re.compile(rf"我叫(?P<value>[{_SURNAMES}]{_GIVEN}{{2}})"),
)
_CAPITAL = r"(?:[OD]['’])?[A-Z][a-zà-öø-ÿ]{1,20}(?:['’-][A-Z]?[a-zà-öø-ÿ]{1,20})?"
_ROLES = (
    r"(?:President|Chairman|Chairwoman|Chair|Speaker|Justice|Secretary|Minister|Ambassador|Mayor|Governor|Senator|Judge"
    r"|Prime|Vice|Chief|Director|The|And|Or|Of)\b"
)
_FULL = rf"(?P<value>(?!{_ROLES}){_CAPITAL}(?: (?:[A-Z]\. )?{_CAPITAL}){{0,3}})(?![0-9A-Za-z_]|-\d)"
_HAS_WORDS = re.compile("[A-Z][a-z]")
_ENGLISH = (
    re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\b\.? {_FULL}"),
    re.compile(
        r"(?:\b[Mm]y name is|\bI am called|\b(?:Full [Nn]ame|Name|Contact [Pp]erson|Patient|Attn)\.? ?:) {1,2}" + _FULL
    ),
)


def names(text: str) -> Iterator[Found]:
    """Every name that is introduced as one; spans may overlap."""
    for pattern in (*_CHINESE, *(_ENGLISH if _HAS_WORDS.search(text) else ())):
        for match in pattern.finditer(text):
            yield found("name", match, "value")
