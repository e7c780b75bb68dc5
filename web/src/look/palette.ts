/**
 * The page's colours, once: the antd theme and the CSS variables (`--rx-…`) are both made of them.
 *
 * Pine is for what can be done, dawn only for the mark. Every text colour has a contrast of at least 4.5 on every
 * ground it stands on (tests/palette.test.ts).
 */
export interface Palette {
  readonly ground: string;
  readonly side: string;
  readonly raised: string;
  readonly sunken: string;
  readonly hover: string;
  readonly line: string;
  readonly text: string;
  readonly quiet: string;
  readonly pine: string;
  readonly pineHover: string;
  readonly onPine: string;
  readonly mist: string;
  readonly dawn: string;
  readonly marked: string;
  readonly danger: string;
  readonly dangerGround: string;
  readonly codeKeyword: string;
  readonly codeString: string;
  readonly codeNumber: string;
  readonly codeName: string;
  readonly codeComment: string;
}

export const light: Palette = {
  ground: "#fdfdfc",
  side: "#f5f6f3",
  raised: "#ffffff",
  sunken: "#f4f6f3",
  hover: "#ebeee9",
  line: "#e1e5df",
  text: "#1b211e",
  quiet: "#5a645f",
  pine: "#1e6b57",
  pineHover: "#175645",
  onPine: "#ffffff",
  mist: "#e7f0eb",
  dawn: "#e0662f",
  marked: "#fbe7b5",
  danger: "#ad2f24",
  dangerGround: "#fbefec",
  codeKeyword: "#8a3d7c",
  codeString: "#2b6a37",
  codeNumber: "#9a4a12",
  codeName: "#1f5d94",
  codeComment: "#646d68",
};

export const dark: Palette = {
  ground: "#151816",
  side: "#101311",
  raised: "#1d211f",
  sunken: "#1b1f1d",
  hover: "#252a27",
  line: "#2d332f",
  text: "#e3e8e4",
  quiet: "#9ba7a0",
  pine: "#6cc2a3",
  pineHover: "#86d3b7",
  onPine: "#0d1a15",
  mist: "#1e2d27",
  dawn: "#f08a56",
  marked: "#4c3f1c",
  danger: "#f19488",
  dangerGround: "#33201d",
  codeKeyword: "#d69acb",
  codeString: "#93c98f",
  codeNumber: "#e0a878",
  codeName: "#8cbcec",
  codeComment: "#8f9b94",
};
