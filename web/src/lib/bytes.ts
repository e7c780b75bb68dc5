/** A size as people say it: `2 GB`, `350 kB`. */
export function sizeText(bytes: number, number: (value: number, digits?: number) => string): string {
  const units = ["B", "kB", "MB", "GB"] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${number(value, value < 10 ? 1 : 0)} ${units[unit]}`;
}
