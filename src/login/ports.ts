/**
 * What logins need from a store. Every verb is one atomic step that reads the store's clock once, and writes the
 * record and its event in the audit stream together or not at all. A login is named by its handle (`handles.ts`);
 * what the store holds grants nothing to who reads it.
 */

import type { NoticeLog } from '../lib/notice-log.js';

export type LoginState = 'active' | 'expired' | 'revoked';

/** Why a login is no longer active. `idle` and `max_age` are the two ends of its time. */
export type LoginEndReason = 'idle' | 'max_age' | 'expired' | 'logout' | 'revoked' | 'token_reuse';

export interface LoginRecord {
  loginId: string;
  handle: string;
  principal: string;
  /** The application's own, a JSON object as text. */
  attributes: string;
  /** Rules as in the claim `rights`, JSON as text; `[]` for none. */
  rights: string;
  createdAtMs: number;
  lastSeenAtMs: number;
  /** When it ends unless something happens before; never after `maxExpiresAtMs`. */
  expiresAtMs: number;
  maxExpiresAtMs: number;
  /** Of the current refresh token, from 1 on. */
  generation: number;
  state: LoginState;
  /** 0 and empty while active. */
  endedAtMs: number;
  endReason: LoginEndReason | '';
}

export interface CreateLogin {
  handle: string;
  loginId: string;
  /** The application chose the id: it stays taken for ever. */
  chosen: boolean;
  /** Hash of the request that this is, for one that is sent again; empty for none. */
  requestHash: string;
  principal: string;
  principalHandle: string;
  attributes: string;
  rights: string;
  /** How long it lasts without activity. */
  idleMs: number;
  /** How long it lasts at all. */
  maxMs: number;
  /** An end that the application set; 0 for none. */
  expiresAtMs: number;
  /** Hash of the first refresh token. */
  tokenHash: string;
}

export type CreateLoginResult = 'created' | 'replayed' | 'duplicate' | 'invalid_expiry' | 'too_many';

export interface TouchLogin {
  /** Slides the idle expiry as well as `lastSeenAtMs`. */
  active: boolean;
  /** Given by the application, each replaces what was there. */
  expiresAtMs?: number;
  attributes?: string;
  rights?: string;
}

export interface PresentedToken {
  generation: number;
  tokenHash: string;
  /** Hash of the token that follows it. */
  successorHash: string;
  /** False only checks, for a ticket or a logout; the use still counts as one. */
  rotate: boolean;
  /** A token that is over is only told as `reused`, and changes nothing. */
  spare?: boolean;
}

/**
 * `rotated`: the successor is the current token now. `replayed`: it is already, and the caller gets the same one.
 * `current`: the presented token stays (it is younger than the reuse interval, or nothing was to be rotated).
 * `reused`: the family has just been revoked, unless it was to be spared; `ended`: it had ended before. `unknown`: no
 * such login or token; nothing changed.
 */
export type PresentResult = 'rotated' | 'replayed' | 'current' | 'reused' | 'ended' | 'unknown';

/** Lifecycle of a login, from the audit stream. Holds handles and no token, hash or id. */
export interface LoginEvent {
  /** Of the stream entry. */
  id: string;
  atMs: number;
  handle: string;
  kind: 'created' | 'refreshed' | 'touched' | 'ended' | 'grant_stored' | 'grant_refreshed' | 'grant_lost';
  /** As after the event: of `created` all fields of the record, else those that changed. */
  fields: Readonly<Record<string, string>>;
}

/** A session that a connection of the login owned last, for its release when the login is revoked. */
export interface OwnedSession {
  sessionId: string;
  connectionId: string;
  epoch: number;
}

export interface LoginStore {
  /**
   * Of concurrent creates with one handle exactly one is `created`; one with the same `requestHash` is `replayed`.
   * The login is in its principal's list before it exists, so that revoking that list misses none.
   */
  create(request: CreateLogin): Promise<{ result: CreateLoginResult; login?: LoginRecord }>;
  /** The login in any state, with lapsed time accounted for; undefined where there is no record. */
  read(handle: string): Promise<LoginRecord | undefined>;
  /** Changes an active login and no other. @returns the record as it is now, in any state */
  touch(handle: string, change: TouchLogin): Promise<{ changed: boolean; login?: LoginRecord }>;
  /** Presents a refresh token whose MAC is genuine. */
  present(handle: string, token: PresentedToken): Promise<{ result: PresentResult; login?: LoginRecord }>;
  /** Ends the login and destroys its upstream grant. Again, it changes nothing. @returns the record, if there is one */
  end(handle: string, reason: LoginEndReason): Promise<{ ended: boolean; login?: LoginRecord }>;
  /** The principal's active logins, oldest first. */
  list(principalHandle: string): Promise<LoginRecord[]>;
  /** Oldest first; at most the newest 1,000. */
  events(handle: string): Promise<LoginEvent[]>;
  /** The newest 1,000 are kept. */
  noteOwned(handle: string, session: OwnedSession): Promise<void>;
  owned(handle: string): Promise<OwnedSession[]>;
}

/** How long logins last and how their tokens may be repeated; the same on all nodes. */
export interface LoginTimings {
  /** How long a predecessor is honoured after its successor's first use; a younger token is not rotated. */
  reuseIntervalMs: number;
  /** How long the record of an ended login answers. */
  retentionMs: number;
  /** Events kept in the audit stream, over all. */
  maxAuditEvents: number;
  maxLoginsPerPrincipal: number;
}

/** What nodes tell each other: connections of this login or principal are to be closed. */
export type ControlNotice =
  | { kind: 'login_ended'; handle: string; reason: LoginEndReason }
  | { kind: 'principal_disconnected'; principalHandle: string; notBeforeMs: number };

export type ControlLog = NoticeLog<ControlNotice>;

/** Credentials that are consumed by their first use. Keys are hashes, values hold no secret. */
export interface OneTimeStore {
  put(kind: 'ticket' | 'code', hash: string, value: string, ttlMs: number): Promise<void>;
  /** Of concurrent calls exactly one gets the value. */
  take(kind: 'ticket' | 'code', hash: string): Promise<string | undefined>;
}

/** From when on JWTs of a principal count again. */
export interface PrincipalMarks {
  /** Keeps the latest; forgotten after `ttlMs`. */
  set(principalHandle: string, notBeforeMs: number, ttlMs: number): Promise<void>;
  /** 0 for none. */
  get(principalHandle: string): Promise<number>;
}

/** A refresh token at another provider, sealed. One per login, gone with it. */
export interface UpstreamGrant {
  provider: string;
  /** Rises with every token that the application or the provider gave; the seals below are bound to it. */
  generation: number;
  /** `crypto/seal.ts`: the refresh token and what belongs to it, as JSON. */
  sealedSecret: string;
  /** The last answer's access token with its type, scope and end, as sealed JSON; empty when there was none. */
  sealedAccess: string;
  /** When the provider last answered; 0 for never. */
  refreshedAtMs: number;
  /** A request was sent then and its answer is not known; 0 for none. */
  sendingSinceMs: number;
  /** The provider wants no request before; 0 for none. */
  notBeforeMs: number;
  state: 'ok' | 'reauth_required';
}

/** `reauth_required`: the grant is spent. Else nothing changed at the provider, and it may be asked after that time. */
export type UpstreamFailure = 'reauth_required' | { retryAfterMs: number };

export interface UpstreamGrants {
  /** Stores a new grant in place of any other, at a higher generation. False when the login is not active. */
  put(handle: string, grant: { provider: string; seal(generation: number): string }): Promise<boolean>;
  /** With the store's time. */
  read(handle: string): Promise<{ grant?: UpstreamGrant; nowMs: number }>;
  /**
   * Records that a request is about to be sent. Of several that found the same grant exactly one may send.
   * @param found the grant as it was read
   * @returns the time that is recorded; 0 when the grant is no longer as it was found
   */
  begin(handle: string, found: Pick<UpstreamGrant, 'generation' | 'sendingSinceMs'>): Promise<number>;
  /** Stores what the provider answered, at `generation + 1`. False when the generation is no longer this one. */
  commit(handle: string, generation: number, answer: { sealedSecret: string; sealedAccess: string }): Promise<boolean>;
  /** Ends the request that `begin` recorded at `sendingSinceMs`. False when it is no longer the last one. */
  fail(
    handle: string,
    sent: Pick<UpstreamGrant, 'generation' | 'sendingSinceMs'>,
    failure: UpstreamFailure,
  ): Promise<boolean>;
}

/** Orders the requests of one grant over all nodes; no guarantee rests on it. */
export interface GrantLock {
  /** @throws HoldfastError `upstream_busy` when the lock was not to be had within `waitMs` */
  withLock<T>(handle: string, waitMs: number, work: () => Promise<T>): Promise<T>;
}
