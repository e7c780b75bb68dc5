import { useQuery } from "@tanstack/react-query";
import { client, data } from "./console";
import type { CycleInfo, StepName } from "./types";

export const cycleKeys = { all: ["cycles"], one: (id: string) => ["cycles", id] } as const;

/** A Cycle that is under way is looked at again after this long. */
const LIVE_MS = 3000;

export const isLive = ({ status }: Pick<CycleInfo, "status">): boolean =>
  status === "queued" || status === "running";

/** All Cycles, the newest first; for administrators. */
export const useCycles = () =>
  useQuery({
    queryKey: cycleKeys.all,
    queryFn: async () => (await data(client.GET("/api/cycles"))).data,
    // They move by themselves: what was seen a while ago is looked at again.
    staleTime: 0,
    refetchInterval: ({ state }) => (state.data?.some(isLive) ? LIVE_MS : false),
  });

/** The story of one. */
export const useCycle = (id: string) =>
  useQuery({
    queryKey: cycleKeys.one(id),
    queryFn: () => data(client.GET("/api/cycles/{cycle_id}", { params: { path: { cycle_id: id } } })),
    staleTime: 0,
    refetchInterval: ({ state }) => (state.data !== undefined && isLive(state.data) ? LIVE_MS : false),
  });

export const storyFile = (id: string, language: string) => `/api/cycles/${id}/story?language=${language}`;

const path = (id: string) => ({ params: { path: { cycle_id: id } } });

export const startCycle = (): Promise<CycleInfo> => data(client.POST("/api/cycles", { body: {} }));
export const pauseCycle = (id: string) => data(client.POST("/api/cycles/{cycle_id}/pause", path(id)));
export const resumeCycle = (id: string) => data(client.POST("/api/cycles/{cycle_id}/resume", path(id)));
export const cancelCycle = (id: string) => data(client.POST("/api/cycles/{cycle_id}/cancel", path(id)));
/** Do it again from a step on. */
export const repeatCycle = (id: string, step: StepName) =>
  data(client.POST("/api/cycles/{cycle_id}/repeat", { params: { path: { cycle_id: id }, query: { step } } }));

/** Take back the newest change of an alias: its canary, else its last move. */
export const rollBack = (alias: string) =>
  data(client.POST("/api/aliases/{name}/rollback", { params: { path: { name: alias } } }));
