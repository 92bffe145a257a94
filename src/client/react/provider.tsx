import { createContext, type ReactNode, useContext, useEffect, useRef, useState } from 'react';
import type { Client } from '../index.js';

export interface HoldfastProviderProps {
  /**
   * A client that the application closes itself, or a function that makes one: called once when the provider is
   * mounted, never during a render or on a server. That client is closed after the provider is gone.
   */
  client: Client | (() => Client);
  children?: ReactNode;
}

interface Made {
  readonly client: Client;
  closing?: ReturnType<typeof setTimeout>;
}

/** `null`: there is no provider. `undefined`: it has no client yet. */
const ClientContext = createContext<Client | undefined | null>(null);

/** Gives the components below it one client, and with it one connection. */
export function HoldfastProvider({ client: source, children }: HoldfastProviderProps): ReactNode {
  const made = useMadeClient(source);
  return (
    <ClientContext.Provider value={typeof source === 'function' ? made : source}>{children}</ClientContext.Provider>
  );
}

function useMadeClient(source: Client | (() => Client)): Client | undefined {
  const [client, setClient] = useState<Client>();
  const current = useRef<Made>(undefined);
  const isMaker = typeof source === 'function';
  useEffect(() => {
    if (!isMaker) return;
    const made = (current.current ??= { client: source() });
    clearTimeout(made.closing);
    setClient(made.client);
    return () => {
      // Not now: StrictMode mounts again at once what it has just unmounted.
      made.closing = setTimeout(() => {
        current.current = undefined;
        made.client.close();
      });
    };
    // A function written in place is another with each render.
  }, [isMaker]);
  return client;
}

/** @internal The provider's client, or `null` where there is no provider. */
export function useClientContext(): Client | undefined | null {
  return useContext(ClientContext);
}

/**
 * The provider's client; undefined on a server and until the provider is mounted, where it makes the client itself.
 * @throws Error without a provider
 */
export function useClient(): Client | undefined {
  const client = useClientContext();
  if (client === null) throw withoutProvider();
  return client;
}

/** @internal */
export function withoutProvider(): Error {
  return new Error('there is no HoldfastProvider above this component');
}
