import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Form, Input } from "antd";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { setup as makeAdministrator, signIn } from "../api/console";
import { ApiError } from "../api/http";
import { forgetAll, keys } from "../api/queries";
import { type Texts, useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { PASSWORD_LEAST } from "../lib/password";
import { LanguageSwitch, LookSwitch } from "../look/Switches";
import { Wordmark } from "../look/Wordmark";
import styles from "./EntryPage.module.css";

interface Fields {
  name: string;
  password: string;
}

/** The door: sign in, or make the first administrator with the token that the server printed. */
export default function EntryPage({ setup, setupNeeded }: { setup: boolean; setupNeeded: boolean }) {
  return (
    <div className={styles.page}>
      <header className={styles.corner}>
        <LanguageSwitch />
        <LookSwitch />
      </header>
      <main className={styles.main}>
        <Wordmark large />
        {setup ? <Setup needed={setupNeeded} /> : <SignIn />}
      </main>
    </div>
  );
}

function SignIn() {
  const texts = useTexts();
  const enter = useEnter();
  const mutation = useMutation({
    mutationFn: ({ name, password }: Fields) => signIn(name, password),
    onSuccess: enter,
  });
  return (
    <Form<Fields>
      className={styles.form}
      layout="vertical"
      requiredMark={false}
      onFinish={(fields) => mutation.mutate(fields)}
    >
      <h1 className={styles.title}>{texts.account.signInTitle}</h1>
      {mutation.error && <Alert type="error" title={signInError(texts, mutation.error)} role="alert" />}
      <Form.Item
        name="name"
        label={texts.account.name}
        rules={[{ required: true, message: texts.common.required }]}
      >
        <Input size="large" autoComplete="username" autoFocus autoCapitalize="none" spellCheck={false} />
      </Form.Item>
      <Form.Item
        name="password"
        label={texts.account.password}
        rules={[{ required: true, message: texts.common.required }]}
      >
        <Input.Password size="large" autoComplete="current-password" />
      </Form.Item>
      <Button size="large" block type="primary" htmlType="submit" loading={mutation.isPending}>
        {texts.account.signIn}
      </Button>
    </Form>
  );
}

function signInError(texts: Texts, error: unknown): string {
  if (error instanceof ApiError && error.status === 401) return texts.account.wrong;
  if (error instanceof ApiError && error.status === 429) return texts.account.tooMany;
  return errorText(texts, error);
}

/** The token of `/setup#token=…`; it is taken out of the address at once, so that no history keeps it. */
function useSetupToken(): string | null {
  const [token] = useState(() => new URLSearchParams(window.location.hash.slice(1)).get("token"));
  useEffect(() => {
    if (token !== null) window.history.replaceState(null, "", window.location.pathname);
  }, [token]);
  return token;
}

function Setup({ needed }: { needed: boolean }) {
  const texts = useTexts();
  const enter = useEnter();
  const [, navigate] = useLocation();
  const token = useSetupToken();
  const mutation = useMutation({
    mutationFn: ({ name, password }: Fields) => makeAdministrator(token ?? "", name, password),
    onSuccess: enter,
  });
  if (!needed) {
    return (
      <div className={styles.form}>
        <Alert type="info" title={texts.setup.done} />
        <Button size="large" block type="primary" onClick={() => navigate("/")}>
          {texts.account.signIn}
        </Button>
      </div>
    );
  }
  if (token === null) {
    return (
      <div className={styles.form}>
        <h1 className={styles.title}>{texts.setup.title}</h1>
        <Alert type="warning" title={texts.setup.noToken} />
      </div>
    );
  }
  return (
    <Form<Fields>
      className={styles.form}
      layout="vertical"
      requiredMark={false}
      onFinish={(fields) => mutation.mutate(fields)}
    >
      <h1 className={styles.title}>{texts.setup.title}</h1>
      <p className={styles.lead}>{texts.setup.lead}</p>
      {mutation.error && <Alert type="error" title={setupError(texts, mutation.error)} role="alert" />}
      <Form.Item
        name="name"
        label={texts.account.name}
        rules={[{ required: true, message: texts.common.required }]}
      >
        <Input size="large" autoComplete="username" autoFocus autoCapitalize="none" spellCheck={false} />
      </Form.Item>
      <Form.Item
        name="password"
        label={texts.account.password}
        rules={[{ required: true, min: PASSWORD_LEAST, message: texts.account.tooShort(PASSWORD_LEAST) }]}
      >
        <Input.Password size="large" autoComplete="new-password" />
      </Form.Item>
      <Form.Item
        name="repeat"
        label={texts.account.repeat}
        dependencies={["password"]}
        rules={[
          ({ getFieldValue }) => ({
            validator: (_, value) =>
              value === getFieldValue("password")
                ? Promise.resolve()
                : Promise.reject(new Error(texts.account.differ)),
          }),
        ]}
      >
        <Input.Password size="large" autoComplete="new-password" />
      </Form.Item>
      <Button size="large" block type="primary" htmlType="submit" loading={mutation.isPending}>
        {texts.setup.submit}
      </Button>
    </Form>
  );
}

function setupError(texts: Texts, error: unknown): string {
  if (error instanceof ApiError && [401, 403, 404, 409].includes(error.status)) return texts.setup.badToken;
  return errorText(texts, error);
}

function useEnter(): () => Promise<void> {
  const client = useQueryClient();
  const [location, navigate] = useLocation();
  return async () => {
    forgetAll();
    await client.invalidateQueries({ queryKey: keys.session });
    if (location === "/setup" || location === "/login") navigate("/", { replace: true });
  };
}
