import { Button } from "antd";
import { useTexts } from "../i18n";
import { Markdown } from "../markdown/Markdown";
import styles from "./Feedback.module.css";

/** The better answer that the reader wrote, below the one that was given. */
export function OwnAnswer({ correction, onEdit }: { correction: string; onEdit: () => void }) {
  const texts = useTexts();
  return (
    <details className={styles.own}>
      <summary>{texts.feedback.yourAnswer}</summary>
      <div>
        <Markdown source={correction} growing={false} />
        <Button size="small" onClick={onEdit}>
          {texts.chat.edit}
        </Button>
      </div>
    </details>
  );
}
