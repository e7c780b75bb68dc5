import { useQuery } from "@tanstack/react-query";
import { client, data } from "./console";
import type { AnnotationItem } from "./types";

export const annotationKeys = {
  tasks: ["annotation"],
  item: (task: string) => ["annotation-item", task],
} as const;

/** What an annotator says of a row: the shape is that of the task's kind. */
export type Value = Record<string, unknown>;

/** The annotations that one may work on. */
export const useAnnotationTasks = () =>
  useQuery({
    queryKey: annotationKeys.tasks,
    queryFn: async () => (await data(client.GET("/api/annotation/tasks"))).data,
  });

/** The row that is one's own now, null where there is none. Asked again it is the same one, until it is answered. */
export const useAnnotationItem = (task: string) =>
  useQuery({
    queryKey: annotationKeys.item(task),
    queryFn: async (): Promise<AnnotationItem | null> => {
      const params = { path: { task_id: task } };
      return (await data(client.POST("/api/annotation/tasks/{task_id}/next", { params }))) ?? null;
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });

export async function answerItem(item: AnnotationItem, value: Value, seconds: number): Promise<void> {
  const params = { path: placeOf(item) };
  await data(
    client.POST("/api/annotation/tasks/{task_id}/items/{line}", { params, body: { value, seconds } }),
  );
}

export async function skipItem(item: AnnotationItem): Promise<void> {
  const params = { path: placeOf(item) };
  await data(client.POST("/api/annotation/tasks/{task_id}/items/{line}/skip", { params }));
}

const placeOf = ({ task_id, line }: AnnotationItem) => ({ task_id, line });
