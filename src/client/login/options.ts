import type { TokenStorage } from '../storage.js';
import type { AccessToken } from './access-token.js';
import type { Fetch } from './http.js';
import type { RefreshTokenStore } from './keeper.js';

export interface LoginOptions {
  /** The gateway, such as `https://gateway.example`. In a page the default is its own origin, through `authProxy`. */
  url?: string;
  /** Other gateways that `exchange` may name. No other is ever asked, whatever `storage` holds. */
  gateways?: readonly string[];
  fetch?: Fetch;
  /** Where refresh tokens are kept outside of browsers. Without it the login is in the gateway's cookie. */
  refreshTokens?: RefreshTokenStore;
  /** What all tabs of a page share; holds no secret. Default: `localStorage` in a page, else memory. */
  storage?: TokenStorage;
  /** For one request. Default 10 000 ms. */
  requestTimeoutMs?: number;
  /** For a call with its retries. Default 30 000 ms. */
  operationTimeoutMs?: number;
}

export interface LoginEvents {
  /** A fresh access token, by HTTP or over the connection. */
  renewed: AccessToken;
  /** Nobody is logged in any more. `logout`: by this page or another tab; else the gateway's error code. */
  ended: { reason: string };
}
