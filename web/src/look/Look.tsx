import { App as AntApp, ConfigProvider, type ThemeConfig, theme } from "antd";
import enGB from "antd/locale/en_GB";
import zhCN from "antd/locale/zh_CN";
import { type ReactNode, useLayoutEffect, useMemo } from "react";
import { useDocumentLanguage, useLanguage } from "../i18n";
import { usePreferences } from "../lib/preferences";
import { useMedia } from "../lib/useMedia";
import { dark, light, type Palette } from "./palette";

const FONT = `ui-sans-serif, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "PingFang SC", "Hiragino Sans GB",
  "Microsoft YaHei UI", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", sans-serif`;
const MONO = `ui-monospace, "SF Mono", "Cascadia Code", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono",
  "Noto Sans Mono CJK SC", monospace`;

function themeOf(palette: Palette, isDark: boolean, still: boolean): ThemeConfig {
  return {
    algorithm: isDark ? theme.darkAlgorithm : theme.defaultAlgorithm,
    token: {
      colorPrimary: palette.pine,
      colorPrimaryBg: palette.mist,
      colorPrimaryBgHover: palette.mist,
      colorPrimaryHover: palette.pineHover,
      colorPrimaryActive: palette.pineHover,
      colorTextLightSolid: palette.onPine,
      colorInfo: palette.pine,
      colorInfoBg: palette.mist,
      colorInfoBorder: palette.line,
      colorErrorBg: palette.dangerGround,
      colorErrorBorder: palette.dangerGround,
      colorLink: palette.pine,
      colorLinkHover: palette.pineHover,
      colorError: palette.danger,
      colorText: palette.text,
      colorTextSecondary: palette.quiet,
      colorTextTertiary: palette.quiet,
      colorTextDescription: palette.quiet,
      colorTextPlaceholder: palette.quiet,
      colorBgBase: palette.ground,
      colorBgLayout: palette.ground,
      colorBgContainer: palette.raised,
      colorBgElevated: palette.raised,
      colorBorder: palette.line,
      colorBorderSecondary: palette.line,
      controlItemBgActive: palette.mist,
      controlItemBgActiveHover: palette.mist,
      controlOutline: palette.mist,
      colorFillSecondary: palette.hover,
      colorFillTertiary: palette.hover,
      borderRadius: 10,
      borderRadiusLG: 14,
      borderRadiusSM: 7,
      fontFamily: FONT,
      fontFamilyCode: MONO,
      fontSize: 15,
      controlHeight: 38,
      motion: !still,
      wireframe: false,
      boxShadow: isDark ? "0 8px 30px rgb(0 0 0 / 45%)" : "0 8px 30px rgb(27 45 37 / 10%)",
      boxShadowSecondary: isDark ? "0 8px 30px rgb(0 0 0 / 45%)" : "0 8px 30px rgb(27 45 37 / 12%)",
    },
    components: {
      Button: { primaryShadow: "none", defaultShadow: "none", dangerShadow: "none", fontWeight: 500 },
      Input: { activeShadow: `0 0 0 3px ${palette.mist}` },
      Segmented: { trackBg: palette.hover, itemSelectedBg: palette.raised },
      Select: { optionSelectedBg: palette.mist, activeOutlineColor: palette.mist },
      Tooltip: {
        colorBgSpotlight: isDark ? "#323a35" : "#27302b",
        colorTextLightSolid: "#f4f7f5",
        fontSize: 13,
      },
    },
  };
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Whether the page is dark now: the remembered choice, else the system's. */
export function useIsDark(): boolean {
  const system = useMedia("(prefers-color-scheme: dark)");
  const { look } = usePreferences();
  return look === null ? system : look === "dark";
}

/** Gives everything below it the theme, the CSS variables and antd's own words in the language shown. */
export function Look({ children }: { children: ReactNode }) {
  const isDark = useIsDark();
  const language = useLanguage();
  useDocumentLanguage();
  const palette = isDark ? dark : light;

  useLayoutEffect(() => {
    const root = document.documentElement;
    root.dataset.theme = isDark ? "dark" : "light";
    for (const [name, colour] of Object.entries(palette))
      root.style.setProperty(`--rx-${kebab(name)}`, colour);
    root.style.setProperty("--rx-font", FONT);
    root.style.setProperty("--rx-mono", MONO);
  }, [isDark, palette]);

  const still = useMedia("(prefers-reduced-motion: reduce)");
  const config = useMemo(() => themeOf(palette, isDark, still), [palette, isDark, still]);
  return (
    <ConfigProvider
      theme={config}
      locale={language === "zh" ? zhCN : enGB}
      button={{ autoInsertSpace: false }}
      wave={{ disabled: true }}
    >
      <AntApp component={false}>{children}</AntApp>
    </ConfigProvider>
  );
}
