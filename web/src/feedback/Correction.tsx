import { Button, Input, Segmented } from "antd";
import { useState } from "react";
import { useTexts } from "../i18n";
import { Markdown } from "../markdown/Markdown";
import styles from "./Feedback.module.css";

interface CorrectionProps {
  answer: string;
  /** What was written before; "" for nothing. */
  correction: string;
  onSave: (correction: string) => Promise<boolean>;
  onClose: () => void;
}

/** The answer as it should have been: written over the one that was given, which stays as it is. */
export function Correction({ answer, correction, onSave, onClose }: CorrectionProps) {
  const texts = useTexts();
  const [text, setText] = useState(correction || answer);
  const [shown, setShown] = useState<"write" | "read">("write");
  const [saving, setSaving] = useState(false);
  const changed = text.trim() !== "" && text.trim() !== answer.trim() && text !== correction;
  const save = async (saved: string) => {
    setSaving(true);
    if (await onSave(saved)) onClose();
    setSaving(false);
  };
  return (
    <section className={styles.panel} aria-label={texts.feedback.correction}>
      <div className={styles.head}>
        <h2 className={styles.question}>{texts.feedback.correction}</h2>
        <Segmented<"write" | "read">
          size="small"
          aria-label={texts.feedback.view}
          value={shown}
          onChange={setShown}
          options={[
            { value: "write", label: texts.feedback.write },
            { value: "read", label: texts.feedback.preview },
          ]}
        />
      </div>
      {shown === "write" ? (
        <Input.TextArea
          autoFocus
          className={styles.writing}
          autoSize={{ minRows: 4, maxRows: 22 }}
          value={text}
          aria-label={texts.feedback.correction}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && !event.nativeEvent.isComposing && onClose()}
        />
      ) : (
        <div className={styles.preview}>
          <Markdown source={text} growing={false} />
        </div>
      )}
      <p className={styles.hint}>{texts.feedback.correctionHint}</p>
      <div className={styles.foot}>
        {correction !== "" && (
          <Button size="small" type="text" danger disabled={saving} onClick={() => save("")}>
            {texts.feedback.removeCorrection}
          </Button>
        )}
        <span className={styles.space} />
        <Button size="small" onClick={onClose}>
          {texts.common.cancel}
        </Button>
        <Button
          size="small"
          type="primary"
          disabled={!changed}
          loading={saving}
          onClick={() => save(text.trim())}
        >
          {texts.common.save}
        </Button>
      </div>
    </section>
  );
}
