import { useEffect, useMemo } from "react";
import { usePreferences } from "../lib/preferences";
import { en, type Texts } from "./en";
import { zh } from "./zh";

export type Language = "zh" | "en";
export type { Texts };

/** The first of the browser's languages that this page speaks. */
export function browserLanguage(languages: readonly string[]): Language {
  for (const language of languages) {
    const primary = language.toLowerCase().split("-")[0];
    if (primary === "zh" || primary === "en") return primary;
  }
  return "en";
}

/** The language shown now: the remembered one, else the browser's. */
export function useLanguage(): Language {
  return usePreferences().language ?? browserLanguage(navigator.languages);
}

export function useTexts(): Texts {
  return useLanguage() === "zh" ? zh : en;
}

/** Keeps `<html lang>` true, which fonts, line breaking and screen readers go by. */
export function useDocumentLanguage(): void {
  const language = useLanguage();
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  }, [language]);
}

/** Numbers and dates as the language writes them. */
export function useFormats(): {
  date: (iso: string) => string;
  /** With at most so many digits after the point, and at least `least`. */
  number: (value: number, digits?: number, least?: number) => string;
} {
  const locale = useLanguage() === "zh" ? "zh-CN" : "en-GB";
  return useMemo(() => {
    const dates = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
    return {
      date: (iso) => dates.format(new Date(iso)),
      number: (value, digits = 0, least = 0) =>
        value.toLocaleString(locale, { maximumFractionDigits: digits, minimumFractionDigits: least }),
    };
  }, [locale]);
}
