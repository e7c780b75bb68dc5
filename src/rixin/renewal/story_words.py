"""What the page of a Story says beside the Story's own sentences: pairs of English and Chinese."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]

WORDS: Mapping[str, tuple[str, str]] = {
    "story": ("The story of a Cycle", "一轮日新的经过"),
    "circle": ("The circle", "日新之环"),
    "complaints": ("What people complained of", "大家不满意什么"),
    "learned": ("What was learned", "学到了什么"),
    "better": ("What got better, and by how much", "好了多少"),
    "gate": ("What the gate decided", "门禁的决定"),
    "canary": ("The trial on a share of conversations", "小范围试用"),
    "cost": ("What it cost", "花费"),
    "versions": ("The versions", "版本"),
    "next": ("What to do now", "接下来做什么"),
    "summary": ("In short", "概要"),
    "began": ("began", "开始"),
    "ended": ("ended", "结束"),
    "why": ("because", "起因"),
    "judged": ("answers judged", "被评价的回答"),
    "people": ("people", "参与人数"),
    "corrections": ("corrected", "更正"),
    "disliked": ("disliked", "不满意"),
    "liked": ("liked", "满意"),
    "preferences": ("compared", "两两比较"),
    "reasons": ("Reasons", "原因"),
    "examples": ("A few of them (personal data is masked)", "举例（个人信息已遮盖）"),
    "question": ("Asked", "提问"),
    "answer": ("Answered", "回答"),
    "correction": ("Corrected to", "更正为"),
    "rows": ("examples learned", "学习样本"),
    "earlier": ("older lessons repeated", "重复的旧课"),
    "held_out": ("kept for the test", "留作考题"),
    "dropped": ("Left out", "剔除的"),
    "replay": ("General material mixed in against forgetting", "为防遗忘混入的通用材料"),
    "doubted": ("Accounts whose corrections were not believed", "更正存疑的账号"),
    "account": ("account", "账号"),
    "contradict": ("contradict others", "与他人矛盾"),
    "chance": ("likely by chance", "偶然的可能性"),
    "of": ("of", "共"),
    "primary": ("Had to get better", "必须变好"),
    "guard": ("Must not get worse", "不得变差"),
    "floor": ("Has to reach a floor", "必须达到下限"),
    "shown": ("Also measured", "其他测量"),
    "what": ("what", "项目"),
    "before": ("before", "之前"),
    "after": ("now", "现在"),
    "difference": ("change (95% interval)", "变化（95% 区间）"),
    "p": ("p", "p 值"),
    "items": ("questions", "题数"),
    "gained": ("gained, lost", "变对、变错"),
    "points": ("points", "分"),
    "version": ("version", "版本"),
    "answers": ("answers", "回答"),
    "judged_answers": ("judged", "有评价"),
    "score": ("liked", "满意度"),
    "failed": ("failed", "失败"),
    "first_token": ("wait for the first word", "首字等待"),
    "speed": ("tokens a second", "每秒词元"),
    "old": ("old version", "旧版本"),
    "new": ("new version", "新版本"),
    "time": ("time", "用时"),
    "core_hours": ("core-hours", "核时"),
    "energy": ("energy, about", "能耗约"),
    "price": ("price", "费用"),
    "current": ("answers now", "当前使用"),
    "removed": ("removed since", "已删除"),
    "reports": ("reports", "报告"),
    "made": ("Written by Rixin from what this Cycle kept. Cycle", "由日新根据本轮记录生成。轮次"),
}
STEP_NAMES: Mapping[str, tuple[str, str]] = {
    "collect": ("Collect", "收集"),
    "clean": ("Clean", "清洗"),
    "annotate": ("Annotate", "核对"),
    "dataset": ("Dataset", "数据集"),
    "train": ("Train", "训练"),
    "export": ("Export", "导出"),
    "evaluate": ("Evaluate", "评测"),
    "gate": ("Gate", "门禁"),
    "canary": ("Canary", "试用"),
    "promote": ("Promote", "上线"),
}
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "promoted": ("promoted", "已投入使用"),
    "kept": ("kept the old one", "保留原版本"),
    "nothing": ("nothing to learn", "没有可学的"),
    "rolled_back": ("rolled back", "已退回"),
    "failed": ("failed", "出错"),
    "cancelled": ("cancelled", "已取消"),
    "paused": ("paused", "已暂停"),
    "running": ("under way", "进行中"),
    "queued": ("waiting", "等待中"),
}
CANARY_OUTCOMES: Mapping[str, tuple[str, str]] = {
    "promoted": ("promoted", "已上线"),
    "rolled_back": ("rolled back", "已退回"),
    "ended": ("ended", "已结束"),
}
DROPPED: Mapping[str, tuple[str, str]] = {
    "nothing_to_learn": ("nothing to learn", "没有可学的内容"),
    "unreadable": ("unreadable", "无法读取"),
    "language": ("other language", "语言不符"),
    "not_text": ("no text", "不是文字"),
    "repetitive": ("repetitive", "重复啰嗦"),
    "duplicate": ("twice there", "重复"),
    "near_duplicate": ("nearly the same", "近似重复"),
    "contaminated": ("asked in a test", "与考题重合"),
}


def word(table: Mapping[str, tuple[str, str]], key: str, language: Language) -> str:
    """What the table has for it; an id that it does not know stays as it is."""
    found = table.get(key)
    return key if found is None else found[language == "zh"]
