import { useLanguage } from "../i18n";

interface Sentence {
  readonly said: string;
  readonly said_zh: string;
}

/** What the server says in both languages, in the one that is shown; several sentences follow each other. */
export function useSentence(): (...sentences: readonly Sentence[]) => string {
  const chinese = useLanguage() === "zh";
  return (...sentences) =>
    sentences.map(({ said, said_zh }) => (chinese && said_zh) || said).join(chinese ? "" : " ");
}
