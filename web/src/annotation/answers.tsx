import { Input } from "antd";
import { useState } from "react";
import type { Value } from "../api/annotation";
import type { AnnotationItem, AnnotationTask } from "../api/types";
import { useTexts } from "../i18n";
import { Chips } from "../look/Chips";
import { ObjectAnswer } from "./ObjectAnswer";

export interface AnswerProps {
  task: AnnotationTask;
  item: AnnotationItem;
  /** What is said so far: null while it is not a whole answer. */
  onChange: (value: Value | null) => void;
}

/** Where the answer to a row is given, by the kind of the task. Another row needs another one (`key`). */
export function Answer(props: AnswerProps) {
  switch (props.task.kind) {
    case "classify":
    case "label":
      return <LabelAnswer {...props} />;
    case "rate":
      return <RatingAnswer {...props} />;
    case "extract":
      return <ObjectAnswer {...props} />;
    case "rewrite":
    case "answer":
      return <TextAnswer {...props} />;
  }
}

/** How many options have a number key. */
export const KEYS = 9;

const keyOf = (index: number) => (index < KEYS ? { hint: String(index + 1) } : {});

function LabelAnswer({ task, onChange }: AnswerProps) {
  const texts = useTexts();
  const several = task.kind === "label";
  const labels = task.labels ?? [];
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const toggle = (label: string) => {
    const others = several ? chosen.filter((one) => one !== label) : [];
    const next = chosen.includes(label) ? others : [...others, label];
    setChosen(next);
    if (several) onChange({ labels: next });
    else onChange(next[0] === undefined ? null : { label: next[0] });
  };
  return (
    <Chips
      large
      label={several ? texts.annotate.chooseMany : texts.annotate.chooseOne}
      options={labels.map((label, index) => ({ value: label, label, ...keyOf(index) }))}
      chosen={chosen}
      onToggle={toggle}
    />
  );
}

function RatingAnswer({ onChange }: AnswerProps) {
  const texts = useTexts();
  const [chosen, setChosen] = useState<string | null>(null);
  return (
    <Chips
      large
      label={texts.annotate.rating}
      options={texts.annotate.ratings.map((label, index) => ({
        value: String(index + 1),
        label,
        ...keyOf(index),
      }))}
      chosen={chosen === null ? [] : [chosen]}
      onToggle={(rating) => {
        setChosen(rating);
        onChange({ rating: Number(rating) });
      }}
    />
  );
}

function TextAnswer({ item, onChange }: AnswerProps) {
  const texts = useTexts();
  const [text, setText] = useState(() => proposedText(item));
  return (
    <Input.TextArea
      autoSize={{ minRows: 4, maxRows: 20 }}
      value={text}
      aria-label={texts.annotate.yourAnswer}
      placeholder={texts.annotate.text}
      onChange={(event) => {
        setText(event.target.value);
        onChange(event.target.value.trim() === "" ? null : { text: event.target.value });
      }}
    />
  );
}

const proposedText = ({ proposal }: AnnotationItem) =>
  typeof proposal?.text === "string" ? proposal.text : "";

/** What is an answer already when a row is shown: what a model proposed, and that no label fits. */
export function firstValue({ kind }: AnnotationTask, item: AnnotationItem): Value | null {
  if (kind === "label") return { labels: [] };
  return kind === "rewrite" || kind === "answer" ? item.proposal : null;
}
