import { SyncOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { Link, useLocation } from "wouter";
import { startCycle, useCycles } from "../api/cycles";
import type { CycleInfo } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import cards from "../look/Cards.module.css";
import entries from "../look/Entries.module.css";
import { Loaded } from "../look/Loaded";
import { Page } from "../look/Page";
import { useConfirm } from "../look/useConfirm";
import { durationText } from "./duration";
import { StatusTag } from "./StatusTag";
import { useSentence } from "./sentence";

/** Every Cycle, the newest first, and the way to start one; for administrators. */
export default function CyclesPage() {
  const texts = useTexts();
  const [, navigate] = useLocation();
  const confirm = useConfirm();
  const cycles = useCycles();
  const start = () =>
    confirm({
      title: texts.cycles.startTitle,
      text: texts.cycles.startText,
      label: texts.cycles.start,
      action: async () => navigate(`/cycles/${(await startCycle()).id}`),
    });
  return (
    <Page
      title={texts.cycles.title}
      lead={texts.cycles.lead}
      actions={
        <Button type="primary" icon={<SyncOutlined aria-hidden />} onClick={start}>
          {texts.cycles.start}
        </Button>
      }
    >
      <Loaded query={cycles}>
        {(all) =>
          all.length === 0 ? (
            <div className={cards.empty}>
              <p>{texts.cycles.none}</p>
              <p className={cards.quiet}>{texts.cycles.noneLead}</p>
            </div>
          ) : (
            <ul className={entries.list}>
              {all.map((cycle) => (
                <Entry key={cycle.id} cycle={cycle} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Page>
  );
}

function Entry({ cycle }: { cycle: CycleInfo }) {
  const texts = useTexts();
  const { date, number } = useFormats();
  const say = useSentence();
  const seconds = cycle.steps.reduce((sum, step) => sum + step.seconds, 0);
  const reason = cycle.reason && { said: cycle.reason, said_zh: cycle.reason_zh ?? "" };
  const said = reason || cycle.steps.findLast((step) => step.said !== "");
  const about = [
    texts.cycles.began(date(cycle.created_at)),
    ...(seconds > 0 ? [texts.cycles.took(durationText(seconds, texts, number))] : []),
    ...(cycle.step !== null && cycle.outcome === null ? [texts.cycles.steps[cycle.step]] : []),
  ];
  return (
    <li className={entries.entry}>
      <div className={entries.main}>
        <div className={entries.name}>
          <Link
            href={`/cycles/${encodeURIComponent(cycle.id)}`}
          >{`${cycle.alias} · ${say({ said: cycle.why, said_zh: cycle.why_zh })}`}</Link>
          <StatusTag cycle={cycle} />
        </div>
        {said && <div>{say(said)}</div>}
        <div className={entries.about}>{about.join(" · ")}</div>
      </div>
    </li>
  );
}
