"""The words of which `renewal_clauses` makes contract clauses: one set for the circle, another that is held out.

No name, subject, sentence or date form of money in words is in both sets' lists (a test says so); roles are, where both
have the kind of contract, since a role is what a clause calls a party and not what is to be learned by heart.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contract:
    """A kind of contract: two roles, what the second pays the first for, and what each has to do.

    Every duty is a phrase that stands in the clause as it is. The first party's come first.
    """

    kind: str
    roles: tuple[str, str]
    payments: tuple[str, ...]
    duties: tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Wordings:
    """Everything that differs between the two sets. `{a}` and `{b}` are the parties, `{ra}` and `{rb}` their roles.

    `{who}` owes something to `{other}`: `{what}`, by `{date}`, `{money}`.
    """

    contracts: tuple[Contract, ...]
    companies: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    people: tuple[str, ...]
    years: tuple[int, ...]
    openings: tuple[str, ...]
    openings_with_date: tuple[str, ...]
    closings: tuple[str, ...]
    payments: tuple[str, ...]
    payments_without_date: tuple[str, ...]
    deeds: tuple[str, ...]
    deeds_with_date: tuple[str, ...]
    asides: tuple[str, ...]


CIRCLE = Wordings(
    contracts=(
        Contract(
            "sale",
            ("卖方", "买方"),
            ("货款", "设备款", "预付款"),
            (
                ("交付全部货物", "开具增值税发票", "提供产品合格证", "安装调试设备", "更换不合格品"),
                ("验收货物", "提供卸货场地", "签署收货单"),
            ),
        ),
        Contract(
            "lease",
            ("出租人", "承租人"),
            ("租金", "押金", "首期租金"),
            (
                ("交付房屋钥匙", "维修房屋主体", "保证房屋可正常使用"),
                ("按约定用途使用房屋", "缴纳水电费", "腾空房屋", "爱护室内设施"),
            ),
        ),
        Contract(
            "service",
            ("受托方", "委托方"),
            ("服务费", "咨询费", "年度服务费"),
            (
                ("提交咨询报告", "派驻两名工程师", "提供技术培训", "每月提交工作简报"),
                ("提供所需资料", "指定项目联系人", "审核工作成果"),
            ),
        ),
        Contract(
            "loan",
            ("借款人", "出借人"),
            ("借款本金", "首笔借款"),
            (
                ("偿还全部本息", "按月支付利息", "提供房产抵押", "如实说明借款用途"),
                ("发放借款", "出具收款凭证", "注销抵押登记"),
            ),
        ),
        Contract(
            "employment",
            ("劳动者", "用人单位"),
            ("月工资", "年终奖金", "安家费"),
            (
                ("到岗报到", "遵守考勤制度", "提交体检报告", "完成岗位任务"),
                ("缴纳社会保险", "提供劳动保护", "安排岗前培训"),
            ),
        ),
        Contract(
            "construction",
            ("承包人", "发包人"),
            ("工程款", "进度款", "工程预付款"),
            (
                ("完成主体施工", "提交竣工图纸", "清理施工现场", "购买工程保险"),
                ("组织竣工验收", "提供施工图纸", "办理施工许可证"),
            ),
        ),
        Contract(
            "nda",
            ("接收方", "披露方"),
            ("保密补偿金",),
            (
                ("保守商业秘密", "销毁全部复制件", "归还涉密资料", "限制知情人员范围"),
                ("标明保密等级", "提供保密资料清单"),
            ),
        ),
        Contract(
            "transport",
            ("承运人", "托运人"),
            ("运费", "首程运费"),
            (("将货物运抵目的地", "办理运输保险", "配备冷藏车辆"), ("如实申报货物", "妥善包装货物", "提供装车便利")),
        ),
    ),
    companies=(
        ("江城", "海宁", "北川", "云山", "青岭", "东湖", "金沙", "南桥"),
        ("恒达", "瑞丰", "博远", "华信", "天成", "中科", "新盛", "百川"),
        ("机械有限公司", "贸易有限公司", "科技有限公司", "实业集团", "物流有限公司", "建设工程有限公司"),
    ),
    people=("王建国", "李秀兰", "张伟民", "刘芳", "陈志强", "赵敏", "孙立军", "周玉梅", "吴磊", "郑海涛"),
    years=(2018, 2019, 2020, 2021),
    openings=(
        "{a}（以下简称“{ra}”）与{b}（以下简称“{rb}”）经协商约定如下：",
        "{ra}：{a}；{rb}：{b}。",
        "本合同由{ra}{a}与{rb}{b}签订。",
        "{a}作为{ra}，{b}作为{rb}，双方达成以下条款。",
        "{rb}为{b}，{ra}为{a}，双方共同遵守本条。",
    ),
    openings_with_date=(
        "{date}，{ra}{a}与{rb}{b}签订本合同。",
        "{a}（{ra}）和{b}（{rb}）于{date}订立本协议。",
    ),
    closings=("以上条款由{ra}{a}和{rb}{b}确认。", "{ra}（签章）：{a}，{rb}（签章）：{b}。"),
    payments=(
        "{who}应于{date}前{what}{money}。",
        "{who}须在{date}之前向{other}{what}，金额为{money}。",
        "{who}同意在{date}一次性{what}{money}。",
        "{what}由{who}负责，数额{money}，最迟{date}付清。",
    ),
    payments_without_date=(
        "{who}应{what}{money}。",
        "{who}须向{other}{what}，共计{money}。",
        "{who}承担{what}的义务，总额{money}。",
    ),
    deeds=("{who}应{what}。", "{who}负责{what}。", "{who}有义务{what}。", "{who}须按要求{what}。"),
    deeds_with_date=(
        "{who}应于{date}前{what}。",
        "{who}须在{date}之前{what}。",
        "{who}保证在{date}以前{what}。",
        "{what}由{who}负责，截止日期为{date}。",
    ),
    asides=(
        "本合同一式两份，双方各执一份。",
        "未尽事宜由双方协商解决。",
        "争议提交合同签订地人民法院管辖。",
        "逾期的，每日按万分之五计算违约金。",
        "任何一方变更联系方式，应在3日内书面通知对方。",
        "本条自双方签字之日起生效。",
        "因不可抗力不能履行的，部分或全部免责。",
    ),
)

HELD_OUT = Wordings(
    contracts=(
        Contract(
            "sale",
            ("卖方", "买方"),
            ("尾款", "定金", "原料款"),
            (("发运首批原料", "出具检验报告", "承担退换运费"), ("清点到货数量", "反馈质量异议", "退还包装箱")),
        ),
        Contract(
            "lease",
            ("出租人", "承租人"),
            ("季度租费", "保证金"),
            (("修缮屋顶", "移交门禁卡", "消除安全隐患"), ("归还商铺", "投保财产险", "保持消防通道畅通")),
        ),
        Contract(
            "loan",
            ("借款人", "出借人"),
            ("首批贷款", "借贷资金"),
            (("结清剩余欠款", "报送财务报表", "落实保证担保"), ("划转贷款资金", "解除股权质押")),
        ),
        Contract(
            "employment",
            ("劳动者", "用人单位"),
            ("绩效奖励", "竞业补偿"),
            (("交接手头工作", "考取上岗证书", "服从轮岗安排"), ("出具离职证明", "改善作业环境", "购买意外险")),
        ),
        Contract(
            "construction",
            ("承包人", "发包人"),
            ("结算款", "安全文明施工费"),
            (("修复墙面裂缝", "拆除临时围挡", "报送施工方案"), ("接通施工用水", "批复设计变更", "移交场地")),
        ),
        Contract(
            "nda",
            ("接收方", "披露方"),
            ("信息使用费",),
            (("删除电子副本", "签署保密承诺书", "上报泄密事件"), ("列明秘密事项", "移交技术文档")),
        ),
        Contract(
            "warehousing",
            ("保管人", "存货人"),
            ("仓储费", "装卸费"),
            (("分区堆放货品", "记录库内温度", "签发仓单"), ("说明货品特性", "提走到期货品")),
        ),
        Contract(
            "agency",
            ("代理商", "供应商"),
            ("代理佣金", "市场推广费"),
            (("完成销售指标", "上报库存数据", "维护品牌形象"), ("发放授权证书", "供应促销物料")),
        ),
        Contract(
            "licence",
            ("许可方", "被许可方"),
            ("许可使用费", "入门费"),
            (("交付源代码", "维持专利有效", "指导产品试制"), ("标注权利人名称", "报告年度产量")),
        ),
    ),
    companies=(
        ("临江", "西岭", "宁州", "渝北", "泉山", "银川湾", "长乐"),
        ("永兴", "伟业", "正泰和", "腾跃", "嘉禾", "启明"),
        ("电子股份有限公司", "食品有限责任公司", "医药有限公司", "置业有限公司", "文化传媒有限公司"),
    ),
    people=("钱文博", "冯雅琴", "沈国栋", "韩雪", "杨振华", "朱丽萍", "许志明", "何晓燕"),
    years=(2024, 2026, 2027),
    openings=(
        "立约双方：{a}（下称{ra}）、{b}（下称{rb}）。",
        "经友好协商，{ra}{a}、{rb}{b}自愿订立本条款：",
        "根据约定，{ra}系{a}，{rb}系{b}。",
        "{b}以{rb}身份、{a}以{ra}身份参与本次交易。",
    ),
    openings_with_date=(
        "本协议于{date}在双方之间生效，其中{ra}是{a}，{rb}是{b}。",
        "签约日：{date}。签约人：{a}（{ra}）、{b}（{rb}）。",
    ),
    closings=("落款：{ra}{a}；{rb}{b}。", "特此约定，立约人{a}（{ra}）、{b}（{rb}）。"),
    payments=(
        "不迟于{date}，{who}向{other}{what}{money}。",
        "{money}为本次应付数，{who}承诺{date}当日或之前{what}。",
        "双方商定{who}在{date}以转账方式{what}，计{money}。",
    ),
    payments_without_date=(
        "经核算，{who}还要{what}{money}。",
        "{who}应当足额{what}，即{money}。",
    ),
    deeds=("{who}还应当{what}。", "{what}属于{who}的责任。", "此外，{who}必须{what}。"),
    deeds_with_date=(
        "不晚于{date}，{who}要{what}。",
        "{who}承诺最晚于{date}{what}。",
        "{date}到来之前，{who}必须{what}。",
    ),
    asides=(
        "附件与正文具有同等效力。",
        "合同文本共4页，涂改无效。",
        "如有分歧，先行调解，调解不成再申请仲裁。",
        "违约一方按未履行部分的百分之十赔偿。",
        "通知送达后5个工作日内未答复的，视为同意。",
        "双方联系人以附件二所列为准。",
    ),
)
