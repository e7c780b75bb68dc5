/**
 * The server counts a text in code points, JavaScript in UTF-16 units: a rare Chinese character or an emoji is one of
 * the former and two of the latter.
 */
export function unitAt(text: string, point: number): number {
  let unit = 0;
  for (let count = 0; count < point && unit < text.length; count++)
    unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
  return unit;
}
