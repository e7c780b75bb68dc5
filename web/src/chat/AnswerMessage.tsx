import { CheckOutlined, CopyOutlined, RedoOutlined } from "@ant-design/icons";
import { Bubble } from "@ant-design/x";
import { Button, Tooltip } from "antd";
import { type ReactNode, useCallback, useMemo } from "react";
import type { Annotation, AssistantInfo, Message, Model, Usage } from "../api/types";
import { useFormats, useLanguage, useTexts } from "../i18n";
import { codeText } from "../lib/errorText";
import { useCopy } from "../lib/useCopy";
import { Markdown } from "../markdown/Markdown";
import { Branches } from "./Branches";
import { cutMarks, withMarks } from "./citations";
import { IconButton } from "./IconButton";
import { CitationMark, Sources } from "./Sources";
import styles from "./Thread.module.css";
import { Tools } from "./Tools";
import type { Step } from "./tree";
import { useLive } from "./useLive";

interface AnswerMessageProps {
  step: Step;
  busy: boolean;
  last: boolean;
  /** What the answer's model is, where it is still known. */
  model: Model | undefined;
  /** And the assistant, where it was one that answered. */
  assistant: AssistantInfo | undefined;
  onShow: (sibling: string) => void;
  onRegenerate: () => void;
  onDone: (message: Message) => void;
  onRefused: (error: unknown) => void;
  /** Show the place in a document that an address names. */
  onOpen: (address: string) => void;
}

const NONE: readonly Annotation[] = [];

/** What the model answered, while it is being written and after. */
export function AnswerMessage({
  step,
  busy,
  last,
  model,
  assistant,
  onShow,
  onRegenerate,
  onDone,
  onRefused,
  onOpen,
}: AnswerMessageProps) {
  const texts = useTexts();
  const language = useLanguage();
  const { copied, copy } = useCopy();
  const { message } = step;
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
    <article className={styles.answer} aria-label={texts.chat.assistant} aria-busy={writing}>
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
      {!writing && (
        <div className={styles.actions}>
          <span className={last ? undefined : styles.faint}>
            {content !== "" && (
              <IconButton
                icon={copied ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
                label={copied ? texts.common.copied : texts.common.copy}
                onClick={() => copy(content)}
              />
            )}
            <IconButton
              icon={<RedoOutlined aria-hidden />}
              label={texts.chat.regenerate}
              disabled={busy}
              onClick={onRegenerate}
            />
          </span>
          <Branches step={step} onShow={onShow} />
          {message.usage && (
            <span className={last ? undefined : styles.faint}>
              <Figures
                usage={message.usage}
                model={assistant?.title[language] || model?.title || message.model}
              />
            </span>
          )}
        </div>
      )}
    </article>
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

function Figures({ usage, model }: { usage: Usage; model: string | null }) {
  const texts = useTexts();
  const { number } = useFormats();
  const { tokens_per_second: speed, first_token_ms: first } = usage;
  const details = [
    model,
    texts.chat.usage(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens),
    first === null ? null : texts.chat.firstToken(number(first / 1000, 2)),
  ].filter((detail) => detail !== null);
  return (
    <Tooltip title={details.map((detail) => <div key={detail}>{detail}</div>)}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: its tooltip must be reachable by keyboard */}
      <span className={styles.meta} tabIndex={0}>
        {model}
        {speed !== null && ` · ${texts.chat.speed(number(speed, speed < 10 ? 1 : 0))}`}
      </span>
    </Tooltip>
  );
}
