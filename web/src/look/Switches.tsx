import { DesktopOutlined, GlobalOutlined, MoonOutlined, SunOutlined } from "@ant-design/icons";
import { Button, Dropdown, type MenuProps } from "antd";
import { useLanguage, useTexts } from "../i18n";
import { type Preferences, setPreference, usePreferences } from "../lib/preferences";
import { useIsDark } from "./Look";

export function LanguageSwitch() {
  const texts = useTexts();
  const language = useLanguage();
  const other = language === "zh" ? "en" : "zh";
  return (
    <Button
      type="text"
      icon={<GlobalOutlined aria-hidden />}
      onClick={() => setPreference("language", other)}
      lang={other === "zh" ? "zh-CN" : "en"}
    >
      {texts.language[other]}
    </Button>
  );
}

const LOOKS = [
  { key: "system", icon: <DesktopOutlined aria-hidden /> },
  { key: "light", icon: <SunOutlined aria-hidden /> },
  { key: "dark", icon: <MoonOutlined aria-hidden /> },
] as const;

export function toLook(key: string): Preferences["look"] {
  return key === "light" || key === "dark" ? key : null;
}

export function LookSwitch() {
  const texts = useTexts();
  const isDark = useIsDark();
  const { look } = usePreferences();
  const items: MenuProps["items"] = LOOKS.map(({ key, icon }) => ({ key, icon, label: texts.look[key] }));
  return (
    <Dropdown
      trigger={["click"]}
      menu={{
        items,
        selectedKeys: [look ?? "system"],
        onClick: ({ key }) => setPreference("look", toLook(key)),
      }}
    >
      <Button
        type="text"
        icon={isDark ? <MoonOutlined aria-hidden /> : <SunOutlined aria-hidden />}
        aria-label={texts.look.label}
      />
    </Dropdown>
  );
}
