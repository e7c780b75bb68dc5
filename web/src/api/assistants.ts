import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { client, data } from "./console";

export const assistantKeys = { all: ["assistants"], packs: ["packs"] } as const;

const INSTALLING_MS = 1000;

/** The assistants that one may talk to. */
export const useAssistants = () =>
  useQuery({
    queryKey: assistantKeys.all,
    queryFn: async () => (await data(client.GET("/api/assistants"))).data,
  });

/** The packs that can be installed, for administrators, and how far an installation is. */
export const usePacks = (enabled: boolean) =>
  useQuery({
    queryKey: assistantKeys.packs,
    queryFn: async () => (await data(client.GET("/api/packs"))).data,
    enabled,
    refetchInterval: ({ state }) =>
      state.data?.some((pack) => pack.state === "installing") ? INSTALLING_MS : false,
  });

export function useInstallPack() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (name: string) =>
      data(client.POST("/api/packs/{name}/install", { params: { path: { name } } })),
    onSettled: () => queries.invalidateQueries({ queryKey: assistantKeys.packs }),
  });
}
