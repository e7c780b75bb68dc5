import { Button, Input } from "antd";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTexts } from "../i18n";
import styles from "./Annotation.module.css";
import type { AnswerProps } from "./answers";
import { FieldEntry } from "./FieldEntry";
import { type Entries, entriesOf, fieldsOf, objectOf, saidIn } from "./schema";

/** An object by a schema: as a form where the schema is flat, and always as JSON. */
export function ObjectAnswer({ task, item, onChange }: AnswerProps) {
  const texts = useTexts();
  const fields = useMemo(() => fieldsOf(task.schema ?? {}), [task.schema]);
  const [entries, setEntries] = useState<Entries | null>(() => fields && entriesOf(fields, item.proposal));
  const [text, setText] = useState(() => asText(item.proposal ?? {}));
  const said = entries === null || fields === null ? objectOf(text) : saidIn(fields, entries);
  const value = "value" in said ? said.value : null;
  const told = value === null ? null : JSON.stringify(value);
  const change = useRef(onChange);
  change.current = onChange;
  useEffect(() => change.current(told === null ? null : JSON.parse(told)), [told]);

  const fromText = fields === null || value === null ? null : entriesOf(fields, value);
  if (entries !== null && fields !== null)
    return (
      <div className={styles.form}>
        {fields.map((field) => (
          <FieldEntry
            key={field.name}
            field={field}
            entry={entries[field.name] ?? null}
            problem={"problems" in said ? said.problems[field.name] : undefined}
            onChange={(entry) => setEntries({ ...entries, [field.name]: entry })}
          />
        ))}
        <Button
          size="small"
          type="link"
          className={styles.switch}
          onClick={() => {
            setText(asText(value ?? entries));
            setEntries(null);
          }}
        >
          {texts.annotate.asJson}
        </Button>
      </div>
    );
  const problem = "problem" in said ? said.problem : null;
  return (
    <div className={styles.form}>
      <Input.TextArea
        className={styles.code}
        autoSize={{ minRows: 6, maxRows: 24 }}
        value={text}
        spellCheck={false}
        status={problem === null ? "" : "error"}
        aria-label={texts.annotate.json}
        aria-invalid={problem !== null}
        onChange={(event) => setText(event.target.value)}
      />
      {problem !== null && (
        <p className={styles.problem} role="alert">
          {problem === "object" ? texts.annotate.jsonObject : texts.annotate.jsonBroken(problem.json)}
        </p>
      )}
      {fromText !== null && (
        <Button size="small" type="link" className={styles.switch} onClick={() => setEntries(fromText)}>
          {texts.annotate.asForm}
        </Button>
      )}
    </div>
  );
}

const asText = (value: object) => JSON.stringify(value, null, 2);
