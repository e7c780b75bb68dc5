import { createContext, useContext } from "react";
import type { User } from "../api/types";

export interface SignedIn {
  readonly user: User;
  readonly version: string;
}

const Context = createContext<SignedIn | null>(null);
export const SignedInProvider = Context.Provider;

export function useSignedIn(): SignedIn {
  const signedIn = useContext(Context);
  if (signedIn === null) throw new Error("useSignedIn outside of SignedInProvider");
  return signedIn;
}
