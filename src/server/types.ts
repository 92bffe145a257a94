/** What the gateway's backend routes take and give, as on the wire. Times are ms since 1970. */
import type { LoginView } from '../protocol/http.js';

export type {
  CreatedLogin,
  HistoryPage,
  NewMessage,
  Published,
  PublishResult,
  SessionReport,
  StoredMessage,
  UpstreamAccessToken,
} from '../protocol/http.js';

export interface RightsRule {
  /** A session id, with at most three wildcards, such as `editor:*`. */
  sessions: string;
  allow: ('watch' | 'own' | 'send' | 'signal' | 'force')[];
}

export interface Upstream {
  /** One of the gateway's `upstreams`; absent where it has but one. */
  provider?: string;
  refresh_token: string;
  /** The private P-256 key to which the refresh token is bound, where the provider is set up for DPoP (RFC 9449). */
  dpop_key?: { kty?: string; crv?: string; x?: string; y?: string; d?: string };
}

export interface NewLogin {
  principal: string;
  /** The application's choice, refused when it was ever used before; generated when absent. */
  login_id?: string;
  /** At most 4,096 bytes of JSON, for the application's own use. */
  attributes?: Record<string, unknown>;
  rights?: RightsRule[];
  /** An earlier end than the gateway's settings give. */
  expires_at?: number;
  /** The page that may exchange the code; any allowed one when absent. */
  origin?: string;
  upstream?: Upstream;
}

export interface Login extends LoginView {
  rights: RightsRule[];
}

export interface LoginChange {
  attributes?: Record<string, unknown>;
  rights?: RightsRule[];
  expires_at?: number;
}

/** Of the login's audit stream: what happened when. */
export type LoginEvent = Record<string, unknown>;

/** One connection, or all of a principal. */
export type SessionTarget = { connection_id: string } | { principal: string };
