import type { ElementContent } from "hast";
import type { LanguageFn } from "highlight.js";
import { createLowlight } from "lowlight";

type Loader = () => Promise<{ default: LanguageFn }>;

/** Languages that models write most; each is its own small file, fetched when a code block first needs it. */
const LOADERS: Record<string, Loader> = {
  bash: () => import("highlight.js/lib/languages/bash"),
  c: () => import("highlight.js/lib/languages/c"),
  cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"),
  css: () => import("highlight.js/lib/languages/css"),
  diff: () => import("highlight.js/lib/languages/diff"),
  dockerfile: () => import("highlight.js/lib/languages/dockerfile"),
  go: () => import("highlight.js/lib/languages/go"),
  ini: () => import("highlight.js/lib/languages/ini"),
  java: () => import("highlight.js/lib/languages/java"),
  javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"),
  kotlin: () => import("highlight.js/lib/languages/kotlin"),
  latex: () => import("highlight.js/lib/languages/latex"),
  lua: () => import("highlight.js/lib/languages/lua"),
  makefile: () => import("highlight.js/lib/languages/makefile"),
  markdown: () => import("highlight.js/lib/languages/markdown"),
  php: () => import("highlight.js/lib/languages/php"),
  powershell: () => import("highlight.js/lib/languages/powershell"),
  python: () => import("highlight.js/lib/languages/python"),
  r: () => import("highlight.js/lib/languages/r"),
  ruby: () => import("highlight.js/lib/languages/ruby"),
  rust: () => import("highlight.js/lib/languages/rust"),
  sql: () => import("highlight.js/lib/languages/sql"),
  swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"),
  xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
};

const OTHER_NAMES: Record<string, string> = {
  "c++": "cpp",
  cs: "csharp",
  console: "bash",
  docker: "dockerfile",
  golang: "go",
  html: "xml",
  js: "javascript",
  jsx: "javascript",
  kt: "kotlin",
  make: "makefile",
  md: "markdown",
  ps1: "powershell",
  py: "python",
  python3: "python",
  rb: "ruby",
  rs: "rust",
  sh: "bash",
  shell: "bash",
  svg: "xml",
  tex: "latex",
  toml: "ini",
  ts: "typescript",
  tsx: "typescript",
  vue: "xml",
  yml: "yaml",
  zsh: "bash",
};

const lowlight = createLowlight();

/** The name under which a language of a code fence can be highlighted, or null. */
export function knownLanguage(name: string | null | undefined): string | null {
  const lower = (name ?? "").toLowerCase();
  const canonical = Object.hasOwn(OTHER_NAMES, lower) ? OTHER_NAMES[lower] : lower;
  return canonical !== undefined && Object.hasOwn(LOADERS, canonical) ? canonical : null;
}

export function isLoaded(language: string): boolean {
  return lowlight.registered(language);
}

/** Fetch a language's grammar. Rejects when its file can't be fetched; the code then stays plain. */
export async function loadLanguage(language: string): Promise<void> {
  const loader = LOADERS[language];
  if (loader === undefined || isLoaded(language)) return;
  lowlight.register(language, (await loader()).default);
}

/** The code as a tree of spans with `hljs-…` classes. The language must be loaded. */
export function highlight(language: string, code: string): ElementContent[] {
  return lowlight.highlight(language, code).children as ElementContent[];
}
