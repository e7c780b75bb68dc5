import { useTexts } from "../i18n";
import { Mark } from "../look/Wordmark";
import { PackOffer } from "./PackOffer";
import styles from "./Welcome.module.css";

interface WelcomeProps {
  onPrompt: (text: string) => void;
  onAssistant: (assistant: string) => void;
}

/** What an empty chat shows: a greeting, a pack to install, and a few ways to begin. */
export function Welcome({ onPrompt, onAssistant }: WelcomeProps) {
  const texts = useTexts();
  return (
    <section className={styles.welcome}>
      <Mark size={44} />
      <h2 className={styles.greeting}>{texts.chat.greeting}</h2>
      <p className={styles.lead}>{texts.chat.greetingLead}</p>
      <PackOffer onAssistant={onAssistant} />
      <ul className={styles.prompts}>
        {texts.prompts.map(({ title, text }) => (
          <li key={title}>
            <button type="button" className={styles.prompt} onClick={() => onPrompt(text)}>
              <strong>{title}</strong>
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
