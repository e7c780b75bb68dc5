import { LeftOutlined, RightOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useTexts } from "../i18n";
import styles from "./Thread.module.css";
import type { Step } from "./tree";

/** Arrows to the other versions of a message, where there are any. */
export function Branches({ step, onShow }: { step: Step; onShow: (sibling: string) => void }) {
  const texts = useTexts();
  const { siblings, position } = step;
  if (siblings.length < 2) return null;
  const previous = siblings[position - 1];
  const next = siblings[position + 1];
  return (
    <span className={styles.branches}>
      <Button
        type="text"
        size="small"
        icon={<LeftOutlined aria-hidden />}
        aria-label={texts.chat.previous}
        disabled={previous === undefined}
        onClick={() => previous !== undefined && onShow(previous)}
      />
      {texts.chat.position(position + 1, siblings.length)}
      <Button
        type="text"
        size="small"
        icon={<RightOutlined aria-hidden />}
        aria-label={texts.chat.next}
        disabled={next === undefined}
        onClick={() => next !== undefined && onShow(next)}
      />
    </span>
  );
}
