import { CloseOutlined } from "@ant-design/icons";
import { Button, Input } from "antd";
import { useState } from "react";
import type { Rating } from "../api/types";
import { useTexts } from "../i18n";
import { Chips } from "../look/Chips";
import { IconButton } from "../look/IconButton";
import { ConsentAsk } from "./ConsentAsk";
import styles from "./Feedback.module.css";
import { reasonsFor } from "./reasons";
import { type AnswerFeedback, toggled } from "./useSaid";

/** The server takes no more. */
const LONGEST_COMMENT = 8192;

interface PanelProps extends AnswerFeedback {
  rating: Rating;
  onCorrect: () => void;
  onClose: () => void;
}

/** After a thumb: why, in a word or a sentence. All of it may be left alone. */
export function FeedbackPanel({ rating, said, say, onCorrect, onClose }: PanelProps) {
  const texts = useTexts();
  const [comment, setComment] = useState(said.comment);
  const saveComment = () => (comment.trim() === said.comment ? undefined : say({ comment: comment.trim() }));
  return (
    <section
      className={styles.panel}
      aria-label={texts.feedback.panel}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <div className={styles.head}>
        <h2 className={styles.question}>{rating === 1 ? texts.feedback.whyGood : texts.feedback.whyBad}</h2>
        <IconButton icon={<CloseOutlined aria-hidden />} label={texts.common.close} onClick={onClose} />
      </div>
      <Chips
        label={texts.feedback.reasonsLabel}
        options={reasonsFor(rating).map((value) => ({ value, label: texts.feedback.reasons[value] }))}
        chosen={said.reasons}
        onToggle={(reason) => void say({ reasons: toggled(said.reasons, reason) })}
      />
      <Input.TextArea
        autoSize={{ minRows: 1, maxRows: 6 }}
        maxLength={LONGEST_COMMENT}
        value={comment}
        aria-label={texts.feedback.comment}
        placeholder={texts.feedback.comment}
        onChange={(event) => setComment(event.target.value)}
        onBlur={saveComment}
      />
      <div className={styles.foot}>
        <Button size="small" type="link" className={styles.better} onClick={onCorrect}>
          {said.correction === "" ? texts.feedback.correct : texts.feedback.correctAgain}
        </Button>
        <Button
          size="small"
          onClick={async () => {
            if ((await saveComment()) !== false) onClose();
          }}
        >
          {texts.feedback.done}
        </Button>
      </div>
      <ConsentAsk />
    </section>
  );
}
