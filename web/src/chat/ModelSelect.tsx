import { Select, Tooltip } from "antd";
import type { Model } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import styles from "./ModelSelect.module.css";

interface ModelSelectProps {
  models: readonly Model[] | undefined;
  value: string | null;
  onChange: (model: string) => void;
}

/** Which model answers, with what it is and whether it is ready. */
export function ModelSelect({ models, value, onChange }: ModelSelectProps) {
  const texts = useTexts();
  const { number } = useFormats();
  const options = (models ?? []).map((model) => ({ value: model.id, label: model.title || model.id, model }));
  return (
    <Select<string, (typeof options)[number]>
      className={styles.select}
      variant="borderless"
      size="small"
      aria-label={texts.chat.model}
      value={value}
      onChange={onChange}
      options={options}
      loading={models === undefined}
      disabled={options.length === 0}
      placeholder={models === undefined ? texts.common.loading : texts.chat.noModels}
      popupMatchSelectWidth={false}
      placement="topLeft"
      labelRender={({ value: id, label }) => {
        const model = models?.find((one) => one.id === id);
        return (
          <span className={styles.label}>
            {model && <State model={model} />}
            <span className={styles.name}>{label ?? id}</span>
          </span>
        );
      }}
      optionRender={({ data: { model, label } }) => (
        <div className={styles.option}>
          <div className={styles.label}>
            <State model={model} />
            <span className={styles.optionName}>{label}</span>
          </div>
          {model.description && <div className={styles.about}>{model.description}</div>}
          <div className={styles.about}>
            {texts.models.context(number(model.context_length))}
            {" · "}
            {model.licence}
            {" · "}
            {model.state === "failed" && model.reason ? model.reason : texts.models[model.state]}
          </div>
        </div>
      )}
    />
  );
}

function State({ model }: { model: Model }) {
  const texts = useTexts();
  return (
    <Tooltip title={texts.models[model.state]}>
      <span className={`${styles.state} ${styles[model.state]}`} />
    </Tooltip>
  );
}
