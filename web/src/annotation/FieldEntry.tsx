import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { Button, Input, Radio, Select } from "antd";
import { useId } from "react";
import { useTexts } from "../i18n";
import { IconButton } from "../look/IconButton";
import styles from "./Annotation.module.css";
import type { Entry, Field, Problem } from "./schema";

interface FieldEntryProps {
  field: Field;
  entry: Entry;
  problem: Problem | undefined;
  onChange: (entry: Entry) => void;
}

/** One field of an object: its name, where it is filled in, and what is wrong with it. */
export function FieldEntry({ field, entry, problem, onChange }: FieldEntryProps) {
  const texts = useTexts();
  const id = useId();
  const about = (
    <p className={styles.hint} id={`${id}-about`}>
      {problem === "number" ? (
        <span className={styles.problem}>{texts.annotate.notANumber}</span>
      ) : (
        field.hint
      )}
    </p>
  );
  if (field.kind === "texts" || field.kind === "boolean")
    return (
      <fieldset className={styles.field} aria-describedby={`${id}-about`}>
        <legend className={styles.label}>{field.title}</legend>
        {field.kind === "texts" ? (
          <Texts field={field} items={Array.isArray(entry) ? entry : []} onChange={onChange} />
        ) : (
          <Radio.Group
            value={entry}
            onChange={(event) => onChange(event.target.value)}
            options={[
              { value: true, label: texts.annotate.yes },
              { value: false, label: texts.annotate.no },
              ...(field.nullable || !field.required ? [{ value: null, label: texts.annotate.nothing }] : []),
            ]}
          />
        )}
        {about}
      </fieldset>
    );
  const text = typeof entry === "string" ? entry : "";
  const own = { id, "aria-describedby": `${id}-about` };
  return (
    <div className={styles.field}>
      <label className={styles.label} htmlFor={id}>
        {field.title}
      </label>
      {field.kind === "choice" ? (
        <Select
          {...own}
          allowClear
          value={text || null}
          placeholder={texts.annotate.nothing}
          onChange={(value: string | undefined) => onChange(value ?? null)}
          options={field.choices.map((value) => ({ value, label: value }))}
        />
      ) : field.kind === "text" ? (
        <Input.TextArea
          {...own}
          autoSize={{ minRows: 1, maxRows: 8 }}
          value={text}
          onChange={(event) => onChange(event.target.value)}
        />
      ) : (
        <Input
          {...own}
          inputMode="decimal"
          status={problem === "number" ? "error" : ""}
          aria-invalid={problem === "number"}
          value={text}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
      {about}
    </div>
  );
}

function Texts({
  field,
  items,
  onChange,
}: {
  field: Field;
  items: readonly string[];
  onChange: (items: readonly string[]) => void;
}) {
  const texts = useTexts();
  return (
    <div className={styles.texts}>
      {items.map((item, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: texts of a list have nothing but their place
        <div key={index} className={styles.text}>
          <Input.TextArea
            autoFocus={item === ""}
            autoSize={{ minRows: 1, maxRows: 8 }}
            value={item}
            aria-label={`${field.title} ${index + 1}`}
            onChange={(event) => onChange(items.with(index, event.target.value))}
          />
          <IconButton
            icon={<DeleteOutlined aria-hidden />}
            label={texts.annotate.takeOut(field.title, index + 1)}
            onClick={() => onChange(items.toSpliced(index, 1))}
          />
        </div>
      ))}
      <Button
        size="small"
        type="dashed"
        icon={<PlusOutlined aria-hidden />}
        onClick={() => onChange([...items, ""])}
      >
        {texts.annotate.add(field.title)}
      </Button>
    </div>
  );
}
