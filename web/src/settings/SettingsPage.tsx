import { ArrowLeftOutlined } from "@ant-design/icons";
import { Button, Tabs } from "antd";
import { useEffect } from "react";
import { useLocation } from "wouter";
import { useTexts } from "../i18n";
import { useSignedIn } from "../session/SignedIn";
import { AccountSettings } from "./AccountSettings";
import { KeySettings } from "./KeySettings";
import styles from "./Settings.module.css";
import { UserSettings } from "./UserSettings";

/** Settings: the own account, API keys, and for administrators the people. */
export default function SettingsPage({ tab }: { tab: string }) {
  const texts = useTexts();
  const { user } = useSignedIn();
  const [, navigate] = useLocation();
  useEffect(() => {
    document.title = `${texts.settings.title} · ${texts.name}`;
  }, [texts]);
  const items = [
    { key: "account", label: texts.settings.account, children: <AccountSettings /> },
    { key: "keys", label: texts.settings.keys, children: <KeySettings /> },
    ...(user.role === "admin"
      ? [{ key: "users", label: texts.settings.users, children: <UserSettings /> }]
      : []),
  ];
  return (
    <main className={styles.page}>
      <div className={styles.column}>
        <Button
          type="text"
          className={styles.back}
          icon={<ArrowLeftOutlined aria-hidden />}
          onClick={() => navigate("/")}
        >
          {texts.common.back}
        </Button>
        <h1 className={styles.title}>{texts.settings.title}</h1>
        <Tabs
          activeKey={items.some(({ key }) => key === tab) ? tab : "account"}
          onChange={(key) => navigate(`/settings/${key}`, { replace: true })}
          items={items}
          destroyOnHidden
        />
      </div>
    </main>
  );
}
