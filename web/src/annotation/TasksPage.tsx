import { Progress, Tag } from "antd";
import { Link } from "wouter";
import { useAnnotationTasks } from "../api/annotation";
import type { AnnotationTask } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import cards from "../look/Cards.module.css";
import { Loaded } from "../look/Loaded";
import { Page } from "../look/Page";
import styles from "./Annotation.module.css";
import { percentOf } from "./counts";

/** The annotations that one may work on, those that wait for people first. */
export default function TasksPage() {
  const texts = useTexts();
  const tasks = useAnnotationTasks();
  return (
    <Page title={texts.annotate.title} lead={texts.annotate.lead}>
      <Loaded query={tasks}>
        {(all) =>
          all.length === 0 ? (
            <div className={cards.empty}>
              <p>{texts.annotate.none}</p>
              <p className={cards.quiet}>{texts.annotate.noneLead}</p>
            </div>
          ) : (
            <ul className={cards.cards}>
              {all.toSorted(byWaiting).map((task) => (
                <Card key={task.id} task={task} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Page>
  );
}

/** What people are asked now, and what they may be asked later. */
const toDo = ({ status, counts }: AnnotationTask) =>
  status === "open" ? counts.queued + counts.disputed : 0;
const later = ({ status, counts }: AnnotationTask) => (status === "open" ? counts.waiting : 0);
const byWaiting = (one: AnnotationTask, other: AnnotationTask) =>
  toDo(other) - toDo(one) || later(other) - later(one);

function Card({ task }: { task: AnnotationTask }) {
  const texts = useTexts();
  const { number } = useFormats();
  const { counts } = task;
  const about = [
    texts.annotate.doneCount(number(counts.done)),
    texts.annotate.passedCount(number(counts.passed)),
    ...(counts.disputed === 0 ? [] : [texts.annotate.disputedCount(number(counts.disputed))]),
    ...(task.agreement === null ? [] : [texts.annotate.agreement(number(task.agreement, 2))]),
  ];
  return (
    <li>
      <Link href={`/annotate/${encodeURIComponent(task.id)}`} className={cards.card}>
        <span className={cards.title}>
          {task.title}
          <Tag className={cards.tag}>{texts.annotate.kinds[task.kind]}</Tag>
          {task.status === "closed" && <Tag className={cards.tag}>{texts.annotate.closed}</Tag>}
        </span>
        <span className={styles.brief}>{task.instructions}</span>
        <span className={styles.waiting}>
          {[
            ...(toDo(task) > 0 || later(task) === 0
              ? [texts.annotate.toDo(toDo(task), number(toDo(task)))]
              : []),
            ...(later(task) > 0 ? [texts.annotate.notYet(number(later(task)))] : []),
          ].join(" · ")}
        </span>
        <Progress percent={percentOf(counts)} size="small" aria-label={texts.annotate.progress} />
        <span className={styles.about}>{about.join(" · ")}</span>
      </Link>
    </li>
  );
}
