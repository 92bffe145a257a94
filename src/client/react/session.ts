import { useCallback, useSyncExternalStore } from 'react';
import type { Client, Session, SessionState } from '../index.js';
import { useClient, useClientContext, withoutProvider } from './provider.js';
import { Failure, sharedSessionsOf, type UseSessionOptions } from './shared-sessions.js';

export interface SessionView<Received = unknown, Sent = Received> {
  /** Undefined on a server, and for a moment after the component was mounted. */
  readonly session: Session<Received, Sent> | undefined;
  readonly state: SessionState;
}

/** A session's id: held as by `useSession`. Or a session that something else holds. */
export type SessionTarget<Received = unknown> = string | Session<Received, never> | undefined;

const IDLE: SessionState = { name: 'idle' };
const CLOSED: SessionState = { name: 'stopped', reason: 'closed' };
const ENDED: SessionState = { name: 'stopped', reason: 'gateway' };
const nothing = () => {};
const idle = () => IDLE;
const none = () => undefined;

/**
 * The session with that id, shared by all components that name it and subscribed as long as there is one, plus 1 s. The
 * options are those of the first component that brings any; see `client.session()`. One that stopped stays so until its
 * components were unmounted. What is wrong with the id, or too many sessions, throws to the next error boundary.
 * @throws Error without a provider
 */
export function useSession<Received = unknown, Sent = Received>(
  id: string,
  options?: UseSessionOptions,
): SessionView<Received, Sent> {
  const session = useHeldSession(id, options) as Session<Received, Sent> | undefined;
  const client = useClient();
  return { session, state: useSessionState(session, client) };
}

/** @internal The session that is meant, held while the component is mounted when it is named by its id. */
export function useTarget<Received>(target: SessionTarget<Received>): Session<Received, never> | undefined {
  const held = useHeldSession(typeof target === 'string' ? target : undefined);
  return typeof target === 'object' ? target : (held as Session<Received, never> | undefined);
}

function useHeldSession(id: string | undefined, options?: UseSessionOptions): Session | undefined {
  const client = useClientContext();
  if (id !== undefined && client === null) throw withoutProvider();
  const sessions = client && sharedSessionsOf(client);
  const subscribe = useCallback(
    (changed: () => void) => (id === undefined ? undefined : sessions?.hold(id, options, changed)) ?? nothing,
    // The options count when the session is subscribed, and an object written in place is another with each render.
    [sessions, id],
  );
  const current = () => (id === undefined ? undefined : sessions?.current(id));
  const held = useSyncExternalStore(subscribe, current, none);
  if (held instanceof Failure) throw held.error;
  return held;
}

/** @internal */
export function useSessionState(
  session: Session<unknown, never> | undefined,
  client: Client | undefined | null,
): SessionState {
  const subscribe = useCallback(
    (changed: () => void) => session?.on('state', changed) ?? client?.on('connection', changed) ?? nothing,
    [session, client],
  );
  return useSyncExternalStore(subscribe, () => session?.state ?? withoutSession(client), idle);
}

function withoutSession(client: Client | undefined | null): SessionState {
  const connection = client?.connection;
  if (connection?.name !== 'stopped') return IDLE;
  return connection.code === undefined ? CLOSED : ENDED;
}
