import { App } from "antd";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";

interface Step {
  title: string;
  text: string;
  /** What the button says that does it. */
  label: string;
  /** For what can't be undone. */
  danger?: boolean;
  action: () => Promise<unknown>;
}

/** Have something done after a second word. What the server refuses is said, and nothing more is done then. */
export function useConfirm(): (step: Step) => void {
  const texts = useTexts();
  const { modal, message } = App.useApp();
  return ({ title, text, label, danger = false, action }) => {
    modal.confirm({
      title,
      content: text,
      okText: label,
      okButtonProps: { danger },
      cancelText: texts.common.cancel,
      icon: null,
      onOk: async () => {
        try {
          await action();
        } catch (error) {
          message.error(errorText(texts, error));
        }
      },
    });
  };
}
