import { Tabs } from "antd";
import { useLocation } from "wouter";
import { useTexts } from "../i18n";
import { Page } from "../look/Page";
import { useSignedIn } from "../session/SignedIn";
import { AccountSettings } from "./AccountSettings";
import { KeySettings } from "./KeySettings";
import { UserSettings } from "./UserSettings";

/** Settings: the own account, API keys, and for administrators the people. */
export default function SettingsPage({ tab }: { tab: string }) {
  const texts = useTexts();
  const { user } = useSignedIn();
  const [, navigate] = useLocation();
  const items = [
    { key: "account", label: texts.settings.account, children: <AccountSettings /> },
    { key: "keys", label: texts.settings.keys, children: <KeySettings /> },
    ...(user.role === "admin"
      ? [{ key: "users", label: texts.settings.users, children: <UserSettings /> }]
      : []),
  ];
  return (
    <Page title={texts.settings.title}>
      <Tabs
        activeKey={items.some(({ key }) => key === tab) ? tab : "account"}
        onChange={(key) => navigate(`/settings/${key}`, { replace: true })}
        items={items}
        destroyOnHidden
      />
    </Page>
  );
}
