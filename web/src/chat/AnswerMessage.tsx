import { CheckOutlined, CopyOutlined, RedoOutlined } from "@ant-design/icons";
import { Bubble } from "@ant-design/x";
import { Button, Tooltip } from "antd";
import type { Message, Model, Usage } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import { codeText } from "../lib/errorText";
import { useCopy } from "../lib/useCopy";
import { Markdown } from "../markdown/Markdown";
import { Branches } from "./Branches";
import { IconButton } from "./IconButton";
import styles from "./Thread.module.css";
import type { Step } from "./tree";
import { useLive } from "./useLive";

interface AnswerMessageProps {
  step: Step;
  busy: boolean;
  last: boolean;
  /** What the answer's model is, where it is still known. */
  model: Model | undefined;
  onShow: (sibling: string) => void;
  onRegenerate: () => void;
  onDone: (message: Message) => void;
  onRefused: (error: unknown) => void;
}

/** What the model answered, while it is being written and after. */
export function AnswerMessage({
  step,
  busy,
  last,
  model,
  onShow,
  onRegenerate,
  onDone,
  onRefused,
}: AnswerMessageProps) {
  const texts = useTexts();
  const { copied, copy } = useCopy();
  const { message } = step;
  const live = useLive(message, onDone, onRefused);
  const content = live?.content ?? message.content;
  const writing = live !== null;
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
            <Markdown source={content} growing={writing} />
          )
        }
      />
      {live?.connection === "lost" && <p className={styles.notice}>{texts.chat.reconnecting}</p>}
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
              <Figures usage={message.usage} model={model?.title || message.model} />
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
