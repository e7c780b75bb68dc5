import { CheckCircleOutlined, CloseCircleOutlined } from "@ant-design/icons";
import { Result, Tag } from "antd";
import { useCycle } from "../api/cycles";
import { ApiError } from "../api/http";
import type { Story } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import { Loaded } from "../look/Loaded";
import { Page } from "../look/Page";
import { Actions } from "./Actions";
import { Canary } from "./Canary";
import { Circle } from "./Circle";
import { Complaints } from "./Complaints";
import styles from "./Cycle.module.css";
import { durationText } from "./duration";
import { Learned } from "./Learned";
import { Facts, Part, Sentence } from "./parts";
import { Scores } from "./Scores";
import { StatusTag } from "./StatusTag";
import { Steps } from "./Steps";
import { useSentence } from "./sentence";

/** The story of one Cycle, so that who did not watch it can judge it. */
export default function CyclePage({ id }: { id: string }) {
  const texts = useTexts();
  const { date } = useFormats();
  const say = useSentence();
  const query = useCycle(id);
  const story = query.data;
  return (
    <Page
      title={story ? texts.cycles.of(story.alias) : ""}
      meanwhile={texts.cycles.title}
      back={{ to: "/cycles", label: texts.cycles.all }}
      actions={story && <Actions story={story} />}
      lead={
        story && (
          <>
            <StatusTag cycle={story} />
            <span>{`${say({ said: story.why, said_zh: story.why_zh })} · ${texts.cycles.began(date(story.created_at))}`}</span>
          </>
        )
      }
    >
      <Loaded
        query={query}
        refused={(error) =>
          error instanceof ApiError &&
          error.status === 404 && <Result icon={null} title={texts.cycles.gone} />
        }
      >
        {(known) => <Told story={known} />}
      </Loaded>
    </Page>
  );
}

function Told({ story }: { story: Story }) {
  const texts = useTexts();
  const say = useSentence();
  const { number } = useFormats();
  const { cost } = story;
  return (
    <>
      <p className={styles.headline}>{say(story.headline)}</p>
      {story.summary.length > 0 && <p className={styles.summary}>{say(...story.summary)}</p>}
      {story.next.length > 0 && (
        <div className={styles.next}>
          <strong>{texts.cycles.next}</strong>
          <ul className={styles.plain}>
            {story.next.map((sentence) => (
              <li key={sentence.said}>
                <Sentence text={say(sentence)} />
              </li>
            ))}
          </ul>
        </div>
      )}
      <div className={styles.round}>
        <Circle story={story} />
        <Steps story={story} />
      </div>
      {story.complaints && (
        <Part title={texts.cycles.complaints}>
          <Complaints complaints={story.complaints} />
        </Part>
      )}
      {story.learned && (
        <Part title={texts.cycles.learned}>
          <Learned learned={story.learned} />
        </Part>
      )}
      {story.scores.length > 0 && (
        <Part title={texts.cycles.better}>
          <Scores scores={story.scores} />
        </Part>
      )}
      {story.gate && (
        <Part title={texts.cycles.gate}>
          <Gate gate={story.gate} />
        </Part>
      )}
      {story.canary && (
        <Part title={texts.cycles.canary}>
          <Canary canary={story.canary} />
        </Part>
      )}
      {cost.seconds > 0 && (
        <Part title={texts.cycles.cost}>
          <Facts
            facts={[
              [texts.cycles.clock, durationText(cost.seconds, texts, number)],
              [texts.cycles.coreHours, number(cost.core_hours, 2)],
              [texts.cycles.energy, `${number(cost.kilowatt_hours, 3)} kWh`],
              [texts.cycles.price, cost.price === null ? null : number(cost.price, 2)],
            ]}
          />
        </Part>
      )}
      {story.versions.length > 0 && (
        <Part title={texts.cycles.versions}>
          <ul className={styles.plain}>
            {story.versions.map(({ role, id, title, model, current }) => (
              <li key={role}>
                {`${texts.cycles.role[role]}: ${title || model} `}
                <code className={styles.code}>{id}</code>{" "}
                {current && <Tag className={styles.good}>{texts.cycles.current}</Tag>}
              </li>
            ))}
          </ul>
        </Part>
      )}
    </>
  );
}

function Gate({ gate }: { gate: NonNullable<Story["gate"]> }) {
  const texts = useTexts();
  const say = useSentence();
  return (
    <>
      <p className={styles.sentence}>{say(gate)}</p>
      <ul className={styles.checks}>
        {gate.checks.map((check) => (
          <li key={`${check.suite} ${check.kind} ${check.name}`}>
            {check.passed ? (
              <CheckCircleOutlined className={styles.sure} aria-label={texts.cycles.passed} role="img" />
            ) : (
              <CloseCircleOutlined className={styles.worse} aria-label={texts.cycles.failed} role="img" />
            )}
            <span>{say(check)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
