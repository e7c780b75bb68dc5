import { Tag } from "antd";
import type { CycleInfo } from "../api/types";
import { useTexts } from "../i18n";
import styles from "./Cycle.module.css";

/** How a Cycle is: what came of it, or how far it is. */
export function StatusTag({ cycle }: { cycle: Pick<CycleInfo, "status" | "outcome"> }) {
  const texts = useTexts();
  const { status, outcome } = cycle;
  const look =
    outcome === "promoted" || status === "running"
      ? styles.good
      : status === "failed" || outcome === "rolled_back"
        ? styles.bad
        : styles.plainTag;
  return (
    <Tag className={look}>
      {outcome === null ? texts.cycles.status[status] : texts.cycles.outcome[outcome]}
    </Tag>
  );
}
