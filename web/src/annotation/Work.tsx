import { Alert, App, Button } from "antd";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { answerItem, skipItem, type Value } from "../api/annotation";
import { ApiError } from "../api/http";
import type { AnnotationItem, AnnotationTask } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import styles from "./Annotation.module.css";
import { Answer, firstValue, KEYS } from "./answers";
import { useTimeSpent } from "./useTimeSpent";

interface WorkProps {
  task: AnnotationTask;
  item: AnnotationItem;
  /** Whether the next row is on its way. */
  waiting: boolean;
  /** Go on to the next row; whether this one was answered. */
  onDone: (answered: boolean) => Promise<void>;
}

/** One row, what is said of it, and the way on. Its keys work while the focus is in it and not in a text. */
export function Work({ task, item, waiting, onDone }: WorkProps) {
  const texts = useTexts();
  const { number } = useFormats();
  const { message } = App.useApp();
  const place = useRef<HTMLElement>(null);
  const spent = useTimeSpent(`${item.task_id}:${item.line}`);
  const [value, setValue] = useState<Value | null>(() => firstValue(task, item));
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const busy = sending || waiting;
  const options = task.kind === "rate" ? texts.annotate.ratings.length : (task.labels?.length ?? 0);

  // The next row begins at its beginning, also after a long form; the first one leaves the page where it is.
  useEffect(() => {
    place.current?.focus({ preventScroll: true });
    if ((place.current?.getBoundingClientRect().top ?? 0) < 0) place.current?.scrollIntoView();
  }, []);

  const send = async (action: Promise<void>, answered: boolean) => {
    setSending(true);
    setProblem(null);
    try {
      await action;
    } catch (error) {
      setSending(false);
      if (!(error instanceof ApiError) || error.status !== 409) {
        setProblem(errorText(texts, error));
        return;
      }
      message.info(texts.annotate.expired);
      await onDone(false);
      return;
    }
    await onDone(answered);
    setSending(false);
  };
  const submit = () => {
    if (value !== null && !busy) void send(answerItem(item, value, spent()), true);
  };
  const skip = () => {
    if (!busy) void send(skipItem(item), false);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const option = chipOf(event.currentTarget, event.key);
    if (option !== null) option.click();
    else if (event.key === "s" || event.key === "S") skip();
    else if (event.key === "Enter" && event.target === event.currentTarget) submit();
  };
  return (
    <section
      ref={place}
      className={styles.work}
      tabIndex={-1}
      aria-label={texts.annotate.item(number(item.line))}
      onKeyDown={onKeyDown}
    >
      <div className={styles.content}>{item.content}</div>
      {item.proposal !== null && <p className={styles.about}>{texts.annotate.proposed}</p>}
      <Answer task={task} item={item} onChange={setValue} />
      {problem !== null && <Alert type="error" role="alert" title={problem} />}
      <div className={styles.foot}>
        <p className={styles.keys}>
          {[
            ...(options > 0
              ? [texts.annotate.keys(Math.min(options, KEYS)), texts.annotate.keysEnter]
              : [texts.annotate.keysSubmit]),
            texts.annotate.keysSkip,
          ].join(" · ")}
        </p>
        <Button disabled={busy} onClick={skip}>
          {texts.annotate.skip}
        </Button>
        <Button type="primary" disabled={value === null || waiting} loading={sending} onClick={submit}>
          {texts.annotate.submit}
        </Button>
      </div>
    </section>
  );
}

const isTyping = (target: EventTarget) =>
  target instanceof HTMLElement && target.closest("input, textarea, select, [role=combobox]") !== null;

/** The option that a number key stands for. */
function chipOf(work: HTMLElement, key: string): HTMLElement | null {
  return /^[1-9]$/.test(key) ? work.querySelector<HTMLElement>(`[aria-keyshortcuts="${key}"]`) : null;
}
