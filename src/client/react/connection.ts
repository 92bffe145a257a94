import { useCallback, useSyncExternalStore } from 'react';
import type { ConnectionState } from '../index.js';
import { useClient } from './provider.js';

/** `idle`: there is no client yet, as on a server. */
export type ConnectionView = ConnectionState | { readonly name: 'idle' };

const IDLE: ConnectionView = { name: 'idle' };
const idle = () => IDLE;

/** The state of the client's connection. */
export function useConnectionState(): ConnectionView {
  const client = useClient();
  const subscribe = useCallback((changed: () => void) => client?.on('connection', changed) ?? (() => {}), [client]);
  return useSyncExternalStore(subscribe, () => client?.connection ?? IDLE, idle);
}
