import { App, Button } from "antd";
import { useState } from "react";
import { prefer } from "../api/feedback";
import type { Message, Preferred } from "../api/types";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { AnswerBody, type AnswerBodyProps } from "./AnswerBody";
import styles from "./Compare.module.css";

interface CompareProps extends Omit<AnswerBodyProps, "message" | "model" | "onRegenerate"> {
  first: Message;
  second: Message;
  /** Which of the two goes on. */
  onChosen: (message: Message) => void;
}

const CHOICES: readonly Preferred[] = ["first", "second", "both", "neither"];

/** Two answers to one question beside each other, without a word of who wrote them, until one is preferred. */
export function Compare({ first, second, onChosen, ...body }: CompareProps) {
  const texts = useTexts();
  const { message: toast } = App.useApp();
  const [saving, setSaving] = useState<Preferred | null>(null);
  const ready = second.status !== "generating";
  const judged = ready && second.content !== "";
  const choose = async (preferred: Preferred) => {
    setSaving(preferred);
    try {
      await prefer(first.id, second.id, preferred);
    } catch (error) {
      toast.error(errorText(texts, error));
      setSaving(null);
      return;
    }
    toast.success(texts.compare.noted);
    onChosen(preferred === "second" ? second : first);
  };
  return (
    <section className={styles.compare} aria-label={texts.compare.title}>
      <div className={styles.pair}>
        {[first, second].map((message, index) => (
          <article
            key={message.id}
            className={styles.side}
            aria-label={texts.compare.which(index + 1)}
            aria-busy={message.status === "generating"}
          >
            <h2 className={styles.number}>{texts.compare.which(index + 1)}</h2>
            <AnswerBody message={message} model={undefined} onRegenerate={() => onChosen(first)} {...body} />
          </article>
        ))}
      </div>
      <div className={styles.foot}>
        <fieldset className={styles.choices} aria-label={texts.compare.question}>
          {CHOICES.map((preferred) => (
            <Button
              key={preferred}
              disabled={!judged || saving !== null}
              loading={saving === preferred}
              onClick={() => choose(preferred)}
            >
              {texts.compare.choices[preferred]}
            </Button>
          ))}
        </fieldset>
        <Button type="text" disabled={saving !== null || !ready} onClick={() => onChosen(first)}>
          {texts.compare.leave}
        </Button>
      </div>
      {!ready && <p className={styles.hint}>{texts.compare.waiting}</p>}
    </section>
  );
}
