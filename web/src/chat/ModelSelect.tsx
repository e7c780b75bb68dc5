import { BookOutlined } from "@ant-design/icons";
import { Select, Tooltip } from "antd";
import type { AssistantInfo, Model } from "../api/types";
import { useFormats, useLanguage, useTexts } from "../i18n";
import styles from "./ModelSelect.module.css";

interface ModelSelectProps {
  models: readonly Model[] | undefined;
  assistants: readonly AssistantInfo[] | undefined;
  value: string | null;
  onChange: (model: string) => void;
}

interface Option {
  value: string;
  label: string;
  model?: Model;
  assistant?: AssistantInfo;
}

/** Who answers: an assistant, or a model by itself, with what it is and whether it is ready. */
export function ModelSelect({ models, assistants, value, onChange }: ModelSelectProps) {
  const texts = useTexts();
  const language = useLanguage();
  const known: Option[] = [
    ...(assistants ?? []).map((assistant) => ({
      value: assistant.id,
      label: assistant.title[language],
      assistant,
    })),
    ...(models ?? []).map((model) => ({ value: model.id, label: model.title || model.id, model })),
  ];
  const [ofAssistants, ofModels] = [known.filter((one) => one.assistant), known.filter((one) => one.model)];
  const options =
    ofAssistants.length === 0
      ? ofModels
      : [
          { label: texts.chat.assistants, options: ofAssistants },
          { label: texts.chat.models, options: ofModels },
        ];
  return (
    <Select<string, Option>
      className={styles.select}
      variant="borderless"
      size="small"
      aria-label={texts.chat.model}
      value={value}
      onChange={onChange}
      options={options as Option[]}
      loading={models === undefined}
      disabled={known.length === 0}
      placeholder={models === undefined ? texts.common.loading : texts.chat.noModels}
      popupMatchSelectWidth={false}
      placement="topLeft"
      labelRender={({ value: id, label }) => {
        const chosen = known.find((one) => one.value === id);
        return (
          <span className={styles.label}>
            <Sign option={chosen} />
            <span className={styles.name}>{chosen?.label ?? label ?? id}</span>
          </span>
        );
      }}
      optionRender={({ data: option }) => (
        <div className={styles.option}>
          <div className={styles.label}>
            <Sign option={option} />
            <span className={styles.optionName}>{option.label}</span>
          </div>
          {option.model && <AboutModel model={option.model} />}
          {option.assistant && option.assistant.libraries.length > 0 && (
            <div className={styles.about}>{texts.chat.answersFrom(option.assistant.libraries)}</div>
          )}
        </div>
      )}
    />
  );
}

function AboutModel({ model }: { model: Model }) {
  const texts = useTexts();
  const { number } = useFormats();
  return (
    <>
      {model.description && <div className={styles.about}>{model.description}</div>}
      <div className={styles.about}>
        {texts.models.context(number(model.context_length))}
        {" · "}
        {model.licence}
        {" · "}
        {model.state === "failed" && model.reason ? model.reason : texts.models[model.state]}
      </div>
    </>
  );
}

function Sign({ option }: { option: Option | undefined }) {
  const texts = useTexts();
  if (option?.assistant) return <BookOutlined className={styles.book} aria-hidden />;
  if (option?.model === undefined) return null;
  const { state } = option.model;
  return (
    <Tooltip title={texts.models[state]}>
      <span className={`${styles.state} ${styles[state]}`} />
    </Tooltip>
  );
}
