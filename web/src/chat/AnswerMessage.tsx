import { CheckOutlined, CopyOutlined, RedoOutlined, SplitCellsOutlined } from "@ant-design/icons";
import { Button, Tooltip } from "antd";
import { useState } from "react";
import { tellCopied } from "../api/feedback";
import type { AssistantInfo, Usage } from "../api/types";
import { Correction } from "../feedback/Correction";
import { FeedbackPanel } from "../feedback/FeedbackPanel";
import { OwnAnswer } from "../feedback/OwnAnswer";
import { Thumbs } from "../feedback/Thumbs";
import { pressed, useSaid } from "../feedback/useSaid";
import { useFormats, useLanguage, useTexts } from "../i18n";
import { useCopy } from "../lib/useCopy";
import { IconButton } from "../look/IconButton";
import { AnswerBody, type AnswerBodyProps } from "./AnswerBody";
import { Branches } from "./Branches";
import styles from "./Thread.module.css";
import type { Step } from "./tree";

interface AnswerMessageProps extends Omit<AnswerBodyProps, "message"> {
  step: Step;
  last: boolean;
  /** The assistant, where it was one that answered. */
  assistant: AssistantInfo | undefined;
  onShow: (sibling: string) => void;
  onCompare: () => void;
}

/** What the model answered, what can be done with it, and what the reader says to it. */
export function AnswerMessage({ step, last, assistant, onShow, onCompare, ...body }: AnswerMessageProps) {
  const texts = useTexts();
  const language = useLanguage();
  const { copied, copy } = useCopy();
  const { message } = step;
  const { busy, model, onRegenerate } = body;
  const writing = message.status === "generating";
  const { said, say } = useSaid(message);
  const [open, setOpen] = useState<"panel" | "correction" | null>(null);
  const seldom = last ? undefined : styles.faint;
  const close = () => setOpen(null);
  return (
    <article className={styles.answer} aria-label={texts.chat.assistant} aria-busy={writing}>
      <AnswerBody message={message} {...body} />
      {!writing && (
        <div className={styles.actions}>
          {message.content !== "" && (
            <>
              <span className={seldom}>
                <IconButton
                  icon={copied ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
                  label={copied ? texts.common.copied : texts.common.copy}
                  onClick={() => {
                    copy(message.content);
                    tellCopied(message.id);
                  }}
                />
              </span>
              <span className={said.rating === 0 ? seldom : undefined}>
                <Thumbs
                  said={said}
                  onPress={(rating) => {
                    const change = pressed(said, rating);
                    void say(change);
                    setOpen(change.rating === 0 ? null : "panel");
                  }}
                />
              </span>
            </>
          )}
          <span className={seldom}>
            <IconButton
              icon={<RedoOutlined aria-hidden />}
              label={texts.chat.regenerate}
              disabled={busy}
              onClick={onRegenerate}
            />
            {message.content !== "" && (
              <IconButton
                icon={<SplitCellsOutlined aria-hidden />}
                label={texts.compare.ask}
                disabled={busy}
                onClick={onCompare}
              />
            )}
          </span>
          <Branches step={step} onShow={onShow} />
          {said.rating !== 0 && open === null && (
            <Button size="small" type="link" className={styles.why} onClick={() => setOpen("panel")}>
              {said.reasons.length === 0 && said.comment === "" ? texts.feedback.why : texts.feedback.yours}
            </Button>
          )}
          {message.usage && (
            <span className={seldom}>
              <Figures
                usage={message.usage}
                model={assistant?.title[language] || model?.title || message.model}
              />
            </span>
          )}
        </div>
      )}
      {open === "panel" && said.rating !== 0 && (
        <FeedbackPanel
          key={said.rating}
          rating={said.rating}
          said={said}
          say={say}
          onCorrect={() => setOpen("correction")}
          onClose={close}
        />
      )}
      {open === "correction" ? (
        <Correction
          answer={message.content}
          correction={said.correction}
          onSave={(correction) => say({ correction })}
          onClose={close}
        />
      ) : (
        said.correction !== "" && (
          <OwnAnswer correction={said.correction} onEdit={() => setOpen("correction")} />
        )
      )}
    </article>
  );
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
