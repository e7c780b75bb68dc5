import { useMutation } from "@tanstack/react-query";
import { Alert, App, Button, Form, Input, Segmented } from "antd";
import { changePassword } from "../api/console";
import { ApiError } from "../api/http";
import { ConsentSettings } from "../feedback/ConsentSettings";
import { type Language, useLanguage, useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { PASSWORD_LEAST } from "../lib/password";
import { setPreference, usePreferences } from "../lib/preferences";
import { toLook } from "../look/Switches";
import { useSignedIn } from "../session/SignedIn";
import styles from "./Settings.module.css";

export function AccountSettings() {
  const texts = useTexts();
  const language = useLanguage();
  const { look } = usePreferences();
  const { user, version } = useSignedIn();
  return (
    <>
      <section className={styles.section}>
        <h2>{texts.settings.appearance}</h2>
        <div className={styles.row}>
          <Segmented<Language>
            aria-label={texts.language.label}
            value={language}
            onChange={(value) => setPreference("language", value)}
            options={[
              { value: "zh", label: texts.language.zh },
              { value: "en", label: texts.language.en },
            ]}
          />
          <Segmented<string>
            aria-label={texts.look.label}
            value={look ?? "system"}
            onChange={(value) => setPreference("look", toLook(value))}
            options={[
              { value: "system", label: texts.look.system },
              { value: "light", label: texts.look.light },
              { value: "dark", label: texts.look.dark },
            ]}
          />
        </div>
      </section>
      <section className={styles.section}>
        <h2>{texts.settings.password}</h2>
        <p className={styles.quiet}>{texts.settings.signedInAs(user.name)}</p>
        <ChangePassword />
      </section>
      <ConsentSettings />
      <p className={styles.quiet}>{texts.settings.version(version)}</p>
    </>
  );
}

interface Fields {
  old: string;
  password: string;
}

function ChangePassword() {
  const texts = useTexts();
  const { message } = App.useApp();
  const [form] = Form.useForm<Fields>();
  const mutation = useMutation({
    mutationFn: ({ old, password }: Fields) => changePassword(old, password),
    onSuccess: () => {
      form.resetFields();
      message.success(texts.settings.changed);
    },
  });
  return (
    <Form<Fields>
      form={form}
      layout="vertical"
      requiredMark={false}
      className={styles.form}
      onFinish={(fields) => mutation.mutate(fields)}
    >
      {mutation.error && (
        <Form.Item>
          <Alert
            type="error"
            role="alert"
            title={
              mutation.error instanceof ApiError && [401, 403].includes(mutation.error.status)
                ? texts.settings.wrongOld
                : errorText(texts, mutation.error)
            }
          />
        </Form.Item>
      )}
      <Form.Item
        name="old"
        label={texts.settings.old}
        rules={[{ required: true, message: texts.common.required }]}
      >
        <Input.Password autoComplete="current-password" />
      </Form.Item>
      <Form.Item
        name="password"
        label={texts.settings.new}
        rules={[{ required: true, min: PASSWORD_LEAST, message: texts.account.tooShort(PASSWORD_LEAST) }]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Button type="primary" htmlType="submit" loading={mutation.isPending}>
        {texts.settings.password}
      </Button>
    </Form>
  );
}
