import { Bubble } from "@ant-design/x";
import { Button } from "antd";
import { type ReactNode, useCallback, useMemo } from "react";
import type { Annotation, Message, Model } from "../api/types";
import { useTexts } from "../i18n";
import { codeText } from "../lib/errorText";
import { Markdown } from "../markdown/Markdown";
import { cutMarks, withMarks } from "./citations";
import { CitationMark, Sources } from "./Sources";
import styles from "./Thread.module.css";
import { Tools } from "./Tools";
import { useLive } from "./useLive";

export interface AnswerBodyProps {
  message: Message;
  /** Whether another answer is being written, so that none can be asked for. */
  busy: boolean;
  /** What the answer's model is, where it is still known. */
  model: Model | undefined;
  onRegenerate: () => void;
  onDone: (message: Message) => void;
  onRefused: (error: unknown) => void;
  /** Show the place in a document that an address names. */
  onOpen: (address: string) => void;
}

const NONE: readonly Annotation[] = [];

/** What an answer says, where it knows it from and how it ended; while it is being written and after. */
export function AnswerBody({
  message,
  busy,
  model,
  onRegenerate,
  onDone,
  onRefused,
  onOpen,
}: AnswerBodyProps) {
  const texts = useTexts();
  const live = useLive(message, onDone, onRefused);
  const content = live?.content ?? message.content;
  const writing = live !== null;
  const annotations = message.annotations ?? NONE;
  const source = useMemo(
    () => withMarks(content, writing ? [] : annotations),
    [content, writing, annotations],
  );
  const inText = useCallback(
    (text: string): ReactNode =>
      cutMarks(text).map((part, index) => {
        const annotation = typeof part === "number" ? annotations[part] : undefined;
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text have nothing but their place
        if (annotation) return <CitationMark key={index} annotation={annotation} onOpen={onOpen} />;
        return part;
      }),
    [annotations, onOpen],
  );
  return (
    <>
      <Bubble
        className={styles.answerBubble}
        classNames={{ content: styles.answerContent }}
        variant="borderless"
        content={
          content === "" && writing ? (
            <span className={styles.waiting}>
              <span className={styles.sun} />
              {model?.state === "loading" ? texts.chat.loadingModel : texts.chat.waiting}
            </span>
          ) : (
            <Markdown source={source} growing={writing} inText={inText} />
          )
        }
      />
      <Tools message={message} uses={live?.tools ?? message.grounding?.tools ?? []} />
      {live?.connection === "lost" && <p className={styles.notice}>{texts.chat.reconnecting}</p>}
      {!writing && <Sources message={message} onOpen={onOpen} />}
      <Ending message={message} onRegenerate={onRegenerate} busy={busy} />
    </>
  );
}

/** How an answer ended, where it did not simply end. */
function Ending({
  message,
  busy,
  onRegenerate,
}: {
  message: Message;
  busy: boolean;
  onRegenerate: () => void;
}) {
  const texts = useTexts();
  const { status, error } = message;
  if (status === "failed" || status === "interrupted") {
    const reason =
      status === "interrupted"
        ? texts.chat.interrupted
        : codeText(texts, error?.code ?? null, error?.message || texts.chat.failed);
    return (
      <div className={styles.failure} role="alert">
        <span>{reason}</span>
        <Button size="small" disabled={busy} onClick={onRegenerate}>
          {texts.common.retry}
        </Button>
      </div>
    );
  }
  if (status === "stopped") return <p className={styles.notice}>{texts.chat.stopped}</p>;
  if (status === "complete" && message.content === "")
    return <p className={styles.notice}>{texts.chat.empty}</p>;
  if (message.finish_reason === "length") return <p className={styles.notice}>{texts.chat.cutShort}</p>;
  return null;
}
