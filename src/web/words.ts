/** What the page says of states and events, in plain words. */
import { ClientError, type ConnectionState, type SessionState } from '../client/index.js';
import { CLOSE_CODES } from '../protocol/close-codes.js';
import type { OwnershipReason } from '../protocol/messages.js';

export interface Said {
  headline: string;
  detail: string;
}

/** With these it is a login that is missing. */
const LOGIN_CODES: ReadonlySet<number | undefined> = new Set([
  CLOSE_CODES.revoked,
  CLOSE_CODES.login_ended,
  CLOSE_CODES.token_reuse,
  CLOSE_CODES.bad_credential,
]);

export interface Circumstances {
  /** The person keeps this tab disconnected. */
  isAway: boolean;
  /** Subscribed, as far as this tab knows, while nothing passes. */
  isOffline: boolean;
  /** With which the gateway closed the connection for good. */
  code: number | undefined;
}

export function describe(state: SessionState, { isAway, isOffline, code }: Circumstances): Said {
  if (isOffline) return { headline: 'You are offline', detail: offlineDetail(state) };
  switch (state.name) {
    case 'owner':
      return { headline: 'You own this session', detail: 'This tab alone may drive it.' };
    case 'unconfirmed':
      return { headline: 'You own this session, perhaps', detail: 'The node cannot be sure of the lease right now.' };
    case 'held_by_other':
      return { headline: 'Held for its owner', detail: 'The owner lost its connection and may still come back.' };
    case 'watching':
      return state.ownership.state === 'free'
        ? { headline: 'Nobody owns it', detail: 'You are watching. Claim it, or wait for the next subscriber.' }
        : { headline: 'You are watching', detail: 'Another connection owns the session.' };
    case 'reconnecting':
      if (isAway) return { headline: 'You are away', detail: awayDetail(state.wasOwner) };
      return { headline: 'Reconnecting', detail: state.wasOwner ? 'Taking the session back.' : 'Back in a moment.' };
    case 'stopped':
      return { headline: 'Not subscribed', detail: stopDetail(state.reason, code) };
    default:
      return isAway
        ? { headline: 'You are away', detail: 'Not connected.' }
        : { headline: 'Connecting', detail: 'Looking for the gateway.' };
  }
}

function offlineDetail(state: SessionState): string {
  const owned = state.name === 'owner' || state.name === 'unconfirmed';
  return owned ? 'You owned the session when the network went.' : 'Nothing arrives until the network is back.';
}

function awayDetail(wasOwner: boolean): string {
  return wasOwner ? 'The session is held for you. Come back before the time is up.' : 'Not connected.';
}

function stopDetail(reason: Extract<SessionState, { name: 'stopped' }>['reason'], code?: number): string {
  const details = {
    unsubscribed: 'You left the session.',
    closed: 'The client was closed.',
    gateway: closeDetail(code),
    refused: 'The gateway refused the subscription.',
    removed: 'The application ended the subscription.',
    forbidden: 'You may no longer watch this session.',
  };
  return details[reason];
}

function closeDetail(code: number | undefined): string {
  if (code === CLOSE_CODES.bad_credential) return 'The gateway takes only those who are logged in.';
  return asksForLogin(code) ? 'Your login has ended. Log in again.' : 'The gateway closed the connection for good.';
}

export const REASONS: Record<OwnershipReason, string> = {
  claimed: 'claimed',
  reclaimed: 'taken back with the reconnect token',
  handed_over: 'handed over to the oldest watcher',
  forced: 'taken over by force',
  transferred: 'transferred by the application',
  reestablished: 're-established after the store lost it',
  confirmed: 'confirmed again',
  disconnected: 'owner disconnected, grace period runs',
  released: 'released by its owner',
  unsubscribed: 'owner unsubscribed',
  expired: 'grace period over',
  removed: 'owner removed by the application',
  revoked: 'owner’s login revoked',
  lost: 'the store lost the session',
  resynced: 'brought up to date',
};

const CLOSES: Readonly<Record<number, string>> = {
  1001: 'the node restarts',
  1006: 'no word of why',
  [CLOSE_CODES.restart]: 'the node restarts',
  [CLOSE_CODES.revoked]: 'the login was revoked',
  [CLOSE_CODES.login_ended]: 'the login has ended',
  [CLOSE_CODES.token_reuse]: 'a refresh token was used by somebody else',
  [CLOSE_CODES.protocol_violation]: 'a message that is none',
  [CLOSE_CODES.rate_limited]: 'too many messages',
  [CLOSE_CODES.dependency_down]: 'the gateway lacks what it needs',
  [CLOSE_CODES.slow_consumer]: 'this tab read too slowly',
  [CLOSE_CODES.no_pong]: 'no answer to a ping',
  [CLOSE_CODES.login_expired]: 'the access token has expired',
  [CLOSE_CODES.bad_credential]: 'the credential is not good',
};

function closeWords(code: number): string {
  const words = CLOSES[code];
  return words === undefined ? `code ${code}` : `${words}, code ${code}`;
}

export function describeConnection(state: ConnectionState): string | undefined {
  switch (state.name) {
    case 'open':
      return `Connected to node ${state.welcome.node} as ${state.welcome.connection_id}`;
    case 'waiting':
      return `Connection lost (${closeWords(state.code)}); next attempt in ${Math.ceil(state.delayMs)} ms`;
    case 'paused':
      return 'Disconnected, staying away';
    case 'stopped':
      return state.code === undefined ? 'Disconnected' : `Closed for good by the gateway (${closeWords(state.code)})`;
    case 'connecting':
      return undefined;
  }
}

/** A sentence for people, with what a developer looks up at its end. */
export function describeProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  const code = error instanceof ClientError ? ` (${error.code})` : '';
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${why}${code}`;
}

/** True where it is a login that is missing. */
export function asksForLogin(code: number | undefined): boolean {
  return LOGIN_CODES.has(code);
}
