"""The sentences of a Story, in English and in Chinese, for somebody who reads no figures."""

from rixin.renewal.cycle import Cycle
from rixin.renewal.story import Learned, ScoreChange, Sentence, Story

STEP_WORDS = {
    "collect": ("collecting feedback", "收集反馈"),
    "clean": ("cleaning it", "清洗数据"),
    "annotate": ("checking corrections", "核对更正"),
    "dataset": ("building the dataset", "构建数据集"),
    "train": ("training", "训练"),
    "export": ("trying the new version", "试运行新版本"),
    "evaluate": ("testing both versions", "测试新旧版本"),
    "gate": ("deciding", "判定"),
    "canary": ("trying it on a share of conversations", "小范围试用"),
    "promote": ("promoting", "上线"),
}
REASON_WORDS = {
    "wrong": ("wrong", "内容错误"),
    "incomplete": ("incomplete", "不完整"),
    "not_followed": ("instructions not followed", "没按要求做"),
    "wrong_source": ("wrong source", "出处不对"),
    "outdated": ("out of date", "已过时"),
    "too_long": ("too long", "太啰嗦"),
    "style": ("style or format", "语气或格式不对"),
    "refused": ("refused without need", "不该拒答"),
    "unsafe": ("unsafe", "不安全"),
}


def headline(cycle: Cycle) -> Sentence:
    """What came of the Cycle, in one sentence."""
    alias = cycle.alias
    if cycle.status == "failed":
        error = str((cycle.error or {}).get("message", ""))
        return _both(f"This Cycle stopped with an error. {error}", f"本轮因错误停止。{error}")
    if cycle.status == "cancelled":
        return _both("This Cycle was cancelled; nothing was changed.", "本轮已取消，没有任何改动。")
    if cycle.status == "paused":
        return _both("This Cycle is paused; nothing has been changed yet.", "本轮已暂停，尚无任何改动。")
    if cycle.status != "finished":
        doing, doing_zh = STEP_WORDS.get(cycle.step or "", ("waiting to begin", "等待开始"))
        return _both(f"This Cycle is under way: {doing}.", f"本轮正在进行：{doing_zh}。")
    if cycle.outcome == "promoted":
        return _both(
            f"{alias} has become better: the new version answers everybody now.",
            f"{alias} 变得更好了：新版本已面向所有人。",
        )
    if cycle.outcome == "kept":
        return _both(
            f"{alias} stays as it was: the new version was not proven better.",
            f"{alias} 保持不变：没有证据表明新版本更好。",
        )
    if cycle.outcome == "rolled_back":
        return _both(
            f"{alias} stays as it was: the new version did worse in use and was rolled back.",
            f"{alias} 保持不变：新版本在实际使用中表现更差，已退回。",
        )
    return _both(f"{alias} had nothing new to learn.", f"{alias} 这次没有新的内容可学。")


def summary(story: Story) -> tuple[Sentence, ...]:
    """The Cycle in a few sentences: what people said, what was learned, what came of it, what it took."""
    found: list[Sentence] = []
    said = story.complaints
    if said is not None:
        found.append(
            _both(
                f"{_count(said.people, 'person', 'people')} judged {_count(said.items, 'answer')}: "
                f"{said.corrections} corrected, {said.disliked} disliked, {said.liked} liked, "
                f"{said.preferences} compared.{_most(story, 0)}",
                f"{said.people} 人评价了 {said.items} 个回答：更正 {said.corrections} 个，不满意 {said.disliked} 个，"
                f"满意 {said.liked} 个，两两比较 {said.preferences} 次。{_most(story, 1)}",
            )
        )
    if story.learned is not None and story.learned.datasets:
        found.append(_taught(story.learned))
    best = next((one for one in story.scores if one.role == "primary"), None)
    if best is not None:
        found.append(_changed(best))
    if story.gate is not None:
        guards = [one for one in story.gate.checks if one.kind != "primary"]
        held = sum(one.passed for one in guards)
        if guards and held == len(guards):
            found.append(
                _both(
                    f"Nothing else became worse: all {held} guards hold.", f"其他能力没有变差：{held} 项底线全部守住。"
                )
            )
        elif guards:
            broken = len(guards) - held
            found.append(
                _both(f"{broken} of {len(guards)} guards failed.", f"{len(guards)} 项底线中有 {broken} 项未守住。")
            )
    if story.canary is not None and story.canary.said:
        share = f"{story.canary.share:.0%}"
        found.append(
            _both(
                f"On {share} of the conversations: {story.canary.said}",
                f"在 {share} 的对话中试用：{story.canary.said_zh}",
            )
        )
    if story.cost.seconds:
        cost = story.cost
        price, price_zh = (f", at a price of {cost.price:.2f}", f"，费用 {cost.price:.2f}") if cost.price else ("", "")
        energy = energy_of(cost.kilowatt_hours)
        found.append(
            _both(
                f"It took {duration_of(cost.seconds, 0)}, {cost.core_hours:.1f} core-hours, about {energy}{price}.",
                f"用时 {duration_of(cost.seconds, 1)}，{cost.core_hours:.1f} 核时，约 {energy}{price_zh}。",
            )
        )
    return tuple(found)


def next_steps(story: Story, cycle: Cycle) -> tuple[Sentence, ...]:
    """What a person may do now."""
    found: list[Sentence] = []
    if story.learned is not None:
        found += [
            _both(
                f"Talk with {one.name}: {one.doubted} of {one.corrections} corrections contradict everybody else's.",
                f"与 {one.name} 核实：{one.corrections} 条更正中有 {one.doubted} 条与其他人的相矛盾。",
            )
            for one in story.learned.doubted
        ]
        if story.learned.queued:
            found.append(
                _both(
                    f"{_count(story.learned.queued, 'correction')} wait on the annotation page for somebody to decide.",
                    f"有 {story.learned.queued} 条更正在标注页等待人工判断。",
                )
            )
    if story.status == "failed":
        fix = str((cycle.error or {}).get("fix") or "")
        found.append(
            _both(
                f"{fix} Then `rixin renew resume {story.id}` goes on where it stopped.".strip(),
                f"{fix} 之后用 `rixin renew resume {story.id}` 从中断处继续。".strip(),
            )
        )
    elif story.status == "paused":
        found.append(_both(f"`rixin renew resume {story.id}` goes on.", f"用 `rixin renew resume {story.id}` 继续。"))
    elif story.outcome == "promoted":
        found.append(
            _both(
                f"If anything is amiss, `rixin rollback {story.alias}` brings the old version back at once.",
                f"如有问题，`rixin rollback {story.alias}` 可立即恢复旧版本。",
            )
        )
    elif story.outcome == "kept":
        found.append(
            _both(
                "Nothing needs to be done. More corrections of the same kind make a difference easier to prove.",
                "无需处理。同类更正越多，越容易证明新版本更好。",
            )
        )
    elif story.outcome == "rolled_back":
        found.append(
            _both(
                "Read what people disliked in the new version's answers before the next Cycle.",
                "在下一轮之前，请看看大家不满意新版本的哪些回答。",
            )
        )
    elif story.outcome == "nothing":
        found.append(
            _both(
                f"A Cycle needs {_count(cycle.plan.needs, 'new item')} of feedback: ask people to rate and correct.",
                f"有 {cycle.plan.needs} 条新反馈即可开始一轮：请大家多评价、多更正。",
            )
        )
    return tuple(found)


def duration_of(seconds: float, language: int) -> str:
    """Seconds for a person; `language` 0 is English, 1 Chinese."""
    if seconds < 90:
        return (f"{seconds:.0f} seconds", f"{seconds:.0f} 秒")[language]
    minutes = seconds / 60
    if minutes < 90:
        return (f"{minutes:.0f} minutes", f"{minutes:.0f} 分钟")[language]
    return (f"{minutes / 60:.1f} hours", f"{minutes / 60:.1f} 小时")[language]


def energy_of(kilowatt_hours: float) -> str:
    return f"{kilowatt_hours * 1000:.2g} Wh" if kilowatt_hours < 1 else f"{kilowatt_hours:.2f} kWh"


def _taught(learned: Learned) -> Sentence:
    rows = sum(one.rows for one in learned.datasets)
    dropped = sum(one.count for one in learned.dropped)
    left, left_zh = (f"; {dropped} were left out", f"；剔除 {dropped} 条") if dropped else ("", "")
    mixed, mixed_zh = "", ""
    if learned.earlier or learned.replay:
        mixed, mixed_zh = ", with older lessons repeated against forgetting", "，并重复旧课以防遗忘"
    return _both(
        f"The new version learned from {_count(rows, 'example')}{mixed}{left}.",
        f"新版本学习了 {rows} 条样本{mixed_zh}{left_zh}。",
    )


def _changed(best: ScoreChange) -> Sentence:
    points = f"{100 * best.difference:+.1f}".replace("-", "−")
    before, after = f"{100 * best.before:.1f}%", f"{100 * best.after:.1f}%"
    return _both(
        f"On {_count(best.items, 'question')} that it had never seen: {before} before, {after} now ({points} points).",
        f"在 {best.items} 道从未见过的题上：之前 {before}，现在 {after}（{points} 分）。",
    )


def _most(story: Story, language: int) -> str:
    """What people complained of most."""
    if story.complaints is None or not story.complaints.reasons:
        return ""
    names = [
        f"{REASON_WORDS.get(one.reason, (one.reason, one.reason))[language]} ({one.count})"
        for one in story.complaints.reasons[:3]
    ]
    return (f" Most often: {', '.join(names)}.", f"最多的是：{'、'.join(names)}。")[language]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"


def _both(english: str, chinese: str) -> Sentence:
    return Sentence(said=english, said_zh=chinese)
