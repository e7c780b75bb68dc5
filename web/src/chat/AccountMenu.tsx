import {
  DesktopOutlined,
  GlobalOutlined,
  LogoutOutlined,
  MoonOutlined,
  SettingOutlined,
  SunOutlined,
} from "@ant-design/icons";
import { App, Dropdown, type MenuProps } from "antd";
import { useLocation } from "wouter";
import { signOut } from "../api/console";
import { queryClient } from "../api/queries";
import { useLanguage, useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { setPreference, usePreferences } from "../lib/preferences";
import { toLook } from "../look/Switches";
import { useSignedIn } from "../session/SignedIn";
import styles from "./Sidebar.module.css";

/** Who is signed in, and the way to settings, language, look and out. */
export function AccountMenu() {
  const texts = useTexts();
  const language = useLanguage();
  const { look } = usePreferences();
  const { user } = useSignedIn();
  const { message } = App.useApp();
  const [, navigate] = useLocation();
  const other = language === "zh" ? "en" : "zh";

  const leave = async () => {
    try {
      await signOut();
    } catch (error) {
      message.error(errorText(texts, error));
      return;
    }
    // Nothing of this person stays in the page for the next one.
    sessionStorage.clear();
    window.location.assign("/");
    queryClient.clear();
  };
  const items: MenuProps["items"] = [
    { key: "settings", icon: <SettingOutlined aria-hidden />, label: texts.settings.title },
    {
      key: "look",
      icon: <MoonOutlined aria-hidden />,
      label: texts.look.label,
      children: [
        { key: "look:system", icon: <DesktopOutlined aria-hidden />, label: texts.look.system },
        { key: "look:light", icon: <SunOutlined aria-hidden />, label: texts.look.light },
        { key: "look:dark", icon: <MoonOutlined aria-hidden />, label: texts.look.dark },
      ],
    },
    { key: "language", icon: <GlobalOutlined aria-hidden />, label: texts.language[other] },
    { type: "divider" },
    { key: "leave", icon: <LogoutOutlined aria-hidden />, label: texts.account.signOut },
  ];
  const onClick: MenuProps["onClick"] = ({ key }) => {
    if (key === "settings") navigate("/settings");
    else if (key === "language") setPreference("language", other);
    else if (key === "leave") void leave();
    else if (key.startsWith("look:")) setPreference("look", toLook(key.slice("look:".length)));
  };
  return (
    <Dropdown
      trigger={["click"]}
      placement="topLeft"
      menu={{ items, onClick, selectedKeys: [`look:${look ?? "system"}`] }}
    >
      <button type="button" className={styles.account}>
        <span className={styles.initial} aria-hidden>
          {[...user.name][0]?.toUpperCase()}
        </span>
        <span className={styles.accountName}>{user.name}</span>
      </button>
    </Dropdown>
  );
}
