import { Alert, Button } from "antd";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";

export function LoadFailed({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const texts = useTexts();
  return (
    <Alert
      type="error"
      role="alert"
      title={errorText(texts, error)}
      action={
        <Button size="small" onClick={onRetry}>
          {texts.common.retry}
        </Button>
      }
    />
  );
}
