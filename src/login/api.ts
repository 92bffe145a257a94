/** What logins offer to the transport. All throw HoldfastError for what the caller is meant to see. */
import type { JWK } from 'jose';
import type { CreatedLogin, IssuedTokens, LoginView, UpstreamAccessToken } from '../protocol/http.js';

/** `{sessions, allow}`, checked by the transport. */
export type Rights = readonly object[];

export interface CreateLoginRequest {
  principal: string;
  /** The application's choice; generated when absent. */
  login_id?: string;
  attributes?: Record<string, unknown>;
  rights?: Rights;
  expires_at?: number;
  /** The page that may exchange the code; any allowed one when absent. */
  origin?: string;
  upstream?: NewUpstreamGrant;
  idempotencyKey?: string;
}

/** A grant at an upstream provider, as the application hands it over. */
export interface NewUpstreamGrant {
  /** `default`, or the only provider there is, unless given. */
  provider?: string;
  refresh_token: string;
  /** The private P-256 key to which the refresh token is bound (RFC 9449); else one is made where the provider wants it. */
  dpop_key?: JWK;
}

export interface LoginPatch {
  attributes?: Record<string, unknown>;
  rights?: Rights;
  expires_at?: number;
}

/** Who presents a credential. `login` is set unless it is the application's own JWT. */
export interface Principal {
  principal: string;
  /** The claim `rights` as it was given, unchecked. */
  rights: unknown;
  login?: { id: string; handle: string };
  /** Of the application's JWT: from when and until when it counts. 0 for a login. */
  issuedAtMs: number;
  expiresAtMs: number;
}

/** Whether nobody waits for the answer any more. */
export type IsGone = () => boolean;

export type Credential =
  | { kind: 'refresh_token'; token: string; isGone?: IsGone }
  /** An access token of a login, or the application's own JWT. */
  | { kind: 'bearer'; token: string };

export interface LoginApi {
  /** @throws `login_exists`, `idempotency_conflict`, `too_many_logins`, `invalid_field` */
  create(request: CreateLoginRequest): Promise<CreatedLogin>;
  /** @throws `not_found` for one that is unknown or has ended */
  get(loginId: string): Promise<LoginView>;
  /** @throws `not_found` */
  patch(loginId: string, patch: LoginPatch): Promise<LoginView>;
  /** Revokes; again, it answers the same. @throws `not_found` */
  revoke(loginId: string): Promise<LoginView>;
  events(loginId: string): Promise<object[]>;
  list(principal: string): Promise<LoginView[]>;
  /** @returns how many were revoked */
  revokeAll(principal: string): Promise<number>;
  /** Closes connections with JWTs issued before `notBeforeMs`, and refuses such JWTs from now on. */
  disconnect(principal: string, notBeforeMs: number): Promise<void>;
  /** @param origin undefined for callers that are no browsers @throws `invalid_login_code` */
  exchange(code: string, origin: string | undefined): Promise<IssuedTokens>;
  /** @throws `invalid_refresh_token`, `refresh_token_reused`, `login_ended` */
  refresh(refreshToken: string, isGone?: IsGone): Promise<IssuedTokens>;
  /** @throws `invalid_credential`, `invalid_refresh_token`, `refresh_token_reused`, `login_ended` */
  authenticate(credential: Credential): Promise<Principal>;
  /** The login behind a credential. @throws as `authenticate`; `no_login` for the application's own JWT */
  me(credential: Credential): Promise<LoginView>;
  /** Ends the login; a credential of one that has ended is answered like a first one. */
  logout(credential: Credential): Promise<void>;
  /** A ticket for one upgrade from that Origin. @throws as `authenticate` */
  ticket(credential: Credential, origin: string | undefined): Promise<{ ticket: string; expires_at: number }>;
  /** What the ticket stood for; it is spent by this. @throws `invalid_credential` */
  takeTicket(ticket: string, origin: string | undefined): Promise<Principal>;
  /**
   * An access token of the upstream provider.
   * @throws as `authenticate`; `not_found` without a grant; `upstream_reauth_required`, `upstream_unavailable`,
   * `upstream_busy`, `upstream_misconfigured`
   */
  upstreamToken(credential: Credential): Promise<UpstreamToken>;
  /** @throws `not_found`, `invalid_field` */
  putUpstream(loginId: string, grant: NewUpstreamGrant): Promise<void>;
  /** As `upstreamToken`, for the application's backend. */
  upstreamTokenOf(loginId: string): Promise<UpstreamToken>;
}

export interface UpstreamToken extends UpstreamAccessToken {
  /** Whether a page may have it; else only the backend. */
  expose: boolean;
}
