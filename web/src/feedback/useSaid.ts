import { App } from "antd";
import { NOTHING_SAID, type Said, useFeedback, useGiveFeedback } from "../api/feedback";
import type { Feedback, Message, Rating, Reason } from "../api/types";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";

export interface AnswerFeedback {
  readonly said: Said;
  /** Change a part of it. Says itself what the server refused, and is false then. */
  readonly say: (change: Partial<Said>) => Promise<boolean>;
}

/** What one said about an answer: shown at once, kept by the server. */
export function useSaid(message: Message): AnswerFeedback {
  const texts = useTexts();
  const { message: toast } = App.useApp();
  const all = useFeedback(message.conversation_id);
  const give = useGiveFeedback(message.conversation_id, message.id);
  const said = give.isPending ? give.variables : saidOf(all.data, message.id);
  return {
    said,
    say: async (change) => {
      try {
        await give.mutateAsync({ ...said, ...change });
        return true;
      } catch (error) {
        toast.error(errorText(texts, error));
        return false;
      }
    },
  };
}

export function saidOf(all: readonly Feedback[] | undefined, messageId: string): Said {
  const found = all?.find(({ kind, message_id }) => kind === "answer" && message_id === messageId);
  if (found === undefined) return NOTHING_SAID;
  const { rating, reasons, correction, comment } = found;
  return { rating: rating ?? 0, reasons, correction: correction ?? "", comment: comment ?? "" };
}

/** The change that pressing a thumb makes: the other reasons fit the other thumb, and pressed twice it is out. */
export function pressed(said: Said, rating: Rating): Partial<Said> {
  return { rating: said.rating === rating ? 0 : rating, reasons: [] };
}

export function toggled(reasons: readonly Reason[], reason: Reason): readonly Reason[] {
  return reasons.includes(reason) ? reasons.filter((one) => one !== reason) : [...reasons, reason];
}
