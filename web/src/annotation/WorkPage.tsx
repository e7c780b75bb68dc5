import { useQueryClient } from "@tanstack/react-query";
import { Button, Progress, Result } from "antd";
import { useState } from "react";
import { annotationKeys, useAnnotationItem, useAnnotationTasks } from "../api/annotation";
import { ApiError } from "../api/http";
import type { AnnotationTask } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import cards from "../look/Cards.module.css";
import { Loaded } from "../look/Loaded";
import { Page } from "../look/Page";
import styles from "./Annotation.module.css";
import { percentOf, settledOf, totalOf } from "./counts";
import { Work } from "./Work";

/** One annotation: a row at a time, until there is none left. */
export default function WorkPage({ id }: { id: string }) {
  const texts = useTexts();
  const tasks = useAnnotationTasks();
  const task = tasks.data?.find((one) => one.id === id);
  return (
    <Page
      title={task?.title ?? ""}
      meanwhile={texts.annotate.title}
      back={{ to: "/annotate", label: texts.annotate.all }}
    >
      <Loaded query={tasks}>
        {() =>
          task === undefined ? <Result icon={null} title={texts.annotate.gone} /> : <Rows task={task} />
        }
      </Loaded>
    </Page>
  );
}

function Rows({ task }: { task: AnnotationTask }) {
  const texts = useTexts();
  const { number } = useFormats();
  const client = useQueryClient();
  const query = useAnnotationItem(task.id);
  const [mine, setMine] = useState(0);
  const { counts } = task;
  const onward = async () => {
    await query.refetch();
    await client.invalidateQueries({ queryKey: annotationKeys.tasks });
  };
  return (
    <>
      <details className={styles.instructions} open={counts.done === 0}>
        <summary>{texts.annotate.instructions}</summary>
        <p>{task.instructions}</p>
      </details>
      <div className={styles.progress}>
        <Progress
          percent={percentOf(counts)}
          showInfo={false}
          size="small"
          aria-label={texts.annotate.progress}
        />
        <p className={styles.about}>
          {texts.annotate.progressText(number(settledOf(counts)), number(totalOf(counts)))}
          {mine > 0 && ` · ${texts.annotate.yours(mine)}`}
        </p>
      </div>
      <Loaded
        query={query}
        refused={(error) =>
          error instanceof ApiError &&
          error.status === 404 && <Result icon={null} title={texts.annotate.gone} />
        }
      >
        {(item) =>
          item === null ? (
            <div className={cards.empty}>
              <p>{texts.annotate.finished}</p>
              <p className={cards.quiet}>{texts.annotate.finishedLead}</p>
              <Button className={styles.again} loading={query.isFetching} onClick={onward}>
                {texts.annotate.lookAgain}
              </Button>
            </div>
          ) : (
            <Work
              key={item.line}
              task={task}
              item={item}
              waiting={query.isFetching}
              onDone={async (answered) => {
                if (answered) setMine((held) => held + 1);
                await onward();
              }}
            />
          )
        }
      </Loaded>
    </>
  );
}
