import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { client, data } from "./console";
import type { Feedback, Preferred, Rating, Reason, TrainingConsent } from "./types";

export const feedbackKeys = {
  all: ["feedback"],
  of: (conversation: string) => ["feedback", conversation],
  consent: ["feedback-consent"],
} as const;

/** What one said about an answer, whole: it is sent so each time, and "" or 0 takes a part back. */
export interface Said {
  readonly rating: Rating | 0;
  readonly reasons: readonly Reason[];
  readonly correction: string;
  readonly comment: string;
}

export const NOTHING_SAID: Said = { rating: 0, reasons: [], correction: "", comment: "" };

/** What one said about the answers of a conversation. */
export const useFeedback = (conversation: string) =>
  useQuery({
    queryKey: feedbackKeys.of(conversation),
    queryFn: async () => {
      const params = { path: { conversation_id: conversation } };
      return (await data(client.GET("/api/conversations/{conversation_id}/feedback", { params }))).data;
    },
  });

/** Say something about an answer, one thing after the other. */
export function useGiveFeedback(conversation: string, messageId: string) {
  const queries = useQueryClient();
  return useMutation({
    scope: { id: `feedback-${messageId}` },
    mutationFn: (said: Said) =>
      data(
        client.POST("/api/feedback", {
          body: { ...said, message_id: messageId, reasons: [...said.reasons] },
        }),
      ),
    // Nothing is answered where nothing is left of what was said.
    onSuccess: (given: Feedback | undefined) =>
      queries.setQueryData<Feedback[]>(feedbackKeys.of(conversation), (held = []) => [
        ...held.filter(({ kind, message_id }) => kind !== "answer" || message_id !== messageId),
        ...(given === undefined ? [] : [given]),
      ]),
  });
}

export function prefer(first: string, second: string, preferred: Preferred): Promise<Feedback> {
  return data(
    client.POST("/api/feedback/preference", {
      body: { message_id: first, other_message_id: second, preferred },
    }),
  );
}

/** Tell that an answer was copied. Nobody waits for it, and nobody is told when it does not arrive. */
export function tellCopied(messageId: string): void {
  client.POST("/api/feedback/signal", { body: { message_id: messageId, signal: "copied" } }).catch(() => {
    // src/api/http.ts has noticed if the server is gone; a lost signal is no loss to the person
  });
}

/** Whether one's feedback may be learned from, and who decides that. */
export const useConsent = () =>
  useQuery({
    queryKey: feedbackKeys.consent,
    queryFn: () => data(client.GET("/api/feedback/consent")),
  });

export function useSetConsent() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (given: boolean) => data(client.PUT("/api/feedback/consent", { body: { given } })),
    onSuccess: (state) => queries.setQueryData<TrainingConsent>(feedbackKeys.consent, state),
  });
}

/** Take back everything that one ever said about answers. */
export const withdrawAll = () => data(client.POST("/api/feedback/withdraw"));

export type Withdrawn = Awaited<ReturnType<typeof withdrawAll>>;
