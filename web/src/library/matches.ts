const WORD = /[\p{L}\p{N}]+/gu;
const HAN = /\p{Script=Han}+/gu;

/**
 * The parts of a text that say what was asked, for marking them: words of the question, and of Chinese its pairs of
 * characters, as the index has them.
 */
export function matches(text: string, question: string): { text: string; marked: boolean }[] {
  const wanted = wantedOf(question);
  if (wanted.length === 0) return [{ text, marked: false }];
  // A character that changes its length in lower case would shift what follows it.
  const lower = [...text].map((letter) =>
    letter.toLowerCase().length === letter.length ? letter.toLowerCase() : letter,
  );
  const searched = lower.join("");
  const marked = new Uint8Array(text.length);
  for (const word of wanted) {
    for (let at = searched.indexOf(word); at >= 0; at = searched.indexOf(word, at + 1)) {
      if (isHan(word) || !isLetter(searched[at - 1])) marked.fill(1, at, at + word.length);
    }
  }
  const parts: { text: string; marked: boolean }[] = [];
  let from = 0;
  for (let at = 1; at <= text.length; at++) {
    if (at < text.length && marked[at] === marked[from]) continue;
    parts.push({ text: text.slice(from, at), marked: marked[from] === 1 });
    from = at;
  }
  return parts;
}

const LONGEST_QUESTION = 2000;

function wantedOf(question: string): string[] {
  const asked = question.slice(0, LONGEST_QUESTION).toLowerCase();
  const wanted = new Set<string>();
  for (const [run] of asked.matchAll(HAN)) {
    const letters = [...run];
    for (let at = 0; at + 1 < letters.length; at++) wanted.add(`${letters[at]}${letters[at + 1]}`);
  }
  for (const [word] of asked.replace(HAN, " ").matchAll(WORD))
    if (word.length > 2 || /\d/.test(word)) wanted.add(word);
  return [...wanted];
}

function isHan(word: string): boolean {
  return /^\p{Script=Han}/u.test(word);
}

function isLetter(letter: string | undefined): boolean {
  return letter !== undefined && /[\p{L}\p{N}]/u.test(letter) && !isHan(letter);
}
