import styles from "./Chips.module.css";

interface ChipsProps<Value extends string> {
  /** What they are chips of; read aloud. */
  label: string;
  options: readonly { value: Value; label: string; hint?: string }[];
  chosen: readonly string[];
  large?: boolean;
  onToggle: (value: Value) => void;
}

/** Small words to press in and out; `hint` is the key that does the same. */
export function Chips<Value extends string>({
  label,
  options,
  chosen,
  large = false,
  onToggle,
}: ChipsProps<Value>) {
  return (
    <fieldset className={large ? `${styles.chips} ${styles.large}` : styles.chips} aria-label={label}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          className={styles.chip}
          aria-pressed={chosen.includes(option.value)}
          aria-keyshortcuts={option.hint}
          onClick={() => onToggle(option.value)}
        >
          {option.hint !== undefined && (
            <kbd className={styles.key} aria-hidden>
              {option.hint}
            </kbd>
          )}
          {option.label}
        </button>
      ))}
    </fieldset>
  );
}
