import type { webcrypto } from 'node:crypto';
import { exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import {
  type AuthorizationServer,
  allowInsecureRequests,
  type Client,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  customFetch,
  DPoP,
  type DPoPHandle,
  isDPoPNonceError,
  None,
  OperationProcessingError,
  processRefreshTokenResponse,
  ResponseBodyError,
  refreshTokenGrantRequest,
  type TokenEndpointResponse,
  WWWAuthenticateChallengeError,
} from 'oauth4webapi';
import { NoAnswerError, send } from './upstream-fetch.js';
import type { GrantSecret } from './upstream-vault.js';

/** A token endpoint and this gateway's client there. */
export interface UpstreamProvider {
  /** https, or http on this machine where that is allowed. */
  tokenUrl: string;
  /** Whose refresh tokens go there; the origin of `tokenUrl` unless given. Tokens of another issuer are not sent. */
  issuer?: string | undefined;
  clientId: string;
  clientSecret?: string | undefined;
  /** RFC 6749 §2.3.1: in the header, in the body, or a public client. */
  clientAuth: 'basic' | 'post' | 'none';
  /** RFC 9449: tokens are bound to a key pair, one per grant. */
  dpop: boolean;
  /** Asked for at each refresh; what was granted first unless given. */
  scope?: string | undefined;
  /** Whether pages get access tokens, or the backend alone. */
  exposeAccessToken: boolean;
  /** Within which a request is answered or given up. */
  timeoutMs: number;
  /** A younger access token is handed out again without asking the provider. */
  freshMs: number;
}

/**
 * What became of a request. `spent`: the refresh token is refused for good. `refused`: the provider or the guard
 * refused the client, and the token was not used. `unused`: neither was it, and the same request may succeed later.
 * `unknown`: it may have been.
 */
export type RefreshOutcome =
  | { kind: 'refreshed'; answer: TokenEndpointResponse; dpopKey: JWK | undefined }
  | { kind: 'spent' }
  | { kind: 'refused'; reason: string }
  | { kind: 'unused' | 'unknown'; reason: string; retryAfterMs: number };

/** Codes that come before the token is looked at. */
const UNUSED: ReadonlySet<string> = new Set(['temporarily_unavailable', 'use_dpop_nonce', 'slow_down']);
const DPOP_ALGORITHM = 'ES256';
const DEFAULT_RETRY_MS = 1_000;
const DEFAULT_LIMITED_MS = 5_000;
const MAX_RETRY_AFTER_MS = 300_000;

export function issuerOf({ issuer, tokenUrl }: UpstreamProvider): string {
  return issuer ?? new URL(tokenUrl).origin;
}

export async function newDpopKey(): Promise<JWK> {
  return exportJWK((await generateKeyPair(DPOP_ALGORITHM, { extractable: true })).privateKey);
}

/** @throws TypeError or jose's errors when it is no private P-256 key */
export async function importDpopKey({ kty, crv, x, y, d }: JWK): Promise<webcrypto.CryptoKeyPair> {
  if (kty !== 'EC' || crv !== 'P-256' || !x || !y || !d) throw new TypeError('no private key of P-256');
  const publicKey = await importJWK({ kty, crv, x, y }, DPOP_ALGORITHM, { extractable: true });
  const privateKey = await importJWK({ kty, crv, x, y, d }, DPOP_ALGORITHM);
  return { publicKey, privateKey } as webcrypto.CryptoKeyPair;
}

/**
 * One refresh (RFC 6749 §6), done within `timeoutMs`. Sends a second request only when the first was refused for want
 * of a DPoP nonce, before the provider looked at the token (RFC 9449 §8).
 */
export async function refresh(
  provider: UpstreamProvider,
  grant: GrantSecret,
  { timeoutMs, allowLoopback }: { timeoutMs: number; allowLoopback: boolean },
): Promise<RefreshOutcome> {
  const untilMs = performance.now() + timeoutMs;
  const server: AuthorizationServer = { issuer: issuerOf(provider), token_endpoint: provider.tokenUrl };
  const client: Client = { client_id: provider.clientId };
  const url = new URL(provider.tokenUrl);
  let last: Response | undefined;
  const options = {
    // Which URL may be http is decided with the settings, which address may be asked in `send`.
    [allowInsecureRequests]: allowLoopback,
    [customFetch]: async (_url: string, init: { method: string; headers: Record<string, string>; body: unknown }) => {
      const timeoutMs = untilMs - performance.now();
      last = await send(url, { ...init, body: String(init.body), timeoutMs, allowLoopback });
      return last;
    },
    ...(provider.scope !== undefined && { additionalParameters: { scope: provider.scope } }),
  };
  const dpopKey = provider.dpop ? (grant.dpopKey ?? (await newDpopKey())) : grant.dpopKey;
  const handle = provider.dpop && dpopKey ? DPoP(client, await importDpopKey(dpopKey)) : undefined;
  const once = async (proof: DPoPHandle | undefined): Promise<TokenEndpointResponse> => {
    const withProof = { ...options, ...(proof && { DPoP: proof }) };
    const response = await refreshTokenGrantRequest(server, client, authOf(provider), grant.refreshToken, withProof);
    return processRefreshTokenResponse(server, client, response);
  };
  try {
    const answer = await once(handle).catch((error: unknown) => {
      if (handle === undefined || !isDPoPNonceError(error)) throw error;
      return once(handle);
    });
    return { kind: 'refreshed', answer, dpopKey };
  } catch (error) {
    return outcomeOf(error, last);
  }
}

function authOf({ clientAuth, clientSecret = '' }: UpstreamProvider): ClientAuth {
  if (clientAuth === 'none') return None();
  return clientAuth === 'basic' ? ClientSecretBasic(clientSecret) : ClientSecretPost(clientSecret);
}

/** @param last the last response, if any came */
async function outcomeOf(error: unknown, last: Response | undefined): Promise<RefreshOutcome> {
  if (error instanceof NoAnswerError) {
    if (error.forbidden) return { kind: 'refused', reason: error.message };
    return { kind: error.notSent ? 'unused' : 'unknown', reason: error.message, retryAfterMs: DEFAULT_RETRY_MS };
  }
  if (last === undefined) return { kind: 'refused', reason: 'the request could not be made' };
  const { status } = last;
  const code = await errorCodeOf(error);
  if (code === 'invalid_grant') return { kind: 'spent' };
  const reason = `status ${status}${code === '' ? '' : `, ${code}`}`;
  const retryAfterMs = retryAfterOf(last);
  if (status === 429) return { kind: 'unused', reason, retryAfterMs: retryAfterMs ?? DEFAULT_LIMITED_MS };
  if (UNUSED.has(code)) return { kind: 'unused', reason, retryAfterMs: retryAfterMs ?? DEFAULT_RETRY_MS };
  if (status >= 300 && status < 500 && status !== 408) return { kind: 'refused', reason };
  // A success without the fields that make one is as unknown as a failure of the server: the token may be used.
  const detail = status < 300 && error instanceof OperationProcessingError ? `, ${error.code}` : '';
  return { kind: 'unknown', reason: reason + detail, retryAfterMs: retryAfterMs ?? DEFAULT_RETRY_MS };
}

/** RFC 6749 §5.2, where it can be read; a short word of the provider's, so kept to what the RFC lets it be. */
async function errorCodeOf(fault: unknown): Promise<string> {
  let code: unknown;
  if (fault instanceof ResponseBodyError) code = fault.error;
  else if (fault instanceof WWWAuthenticateChallengeError) {
    const body: unknown = await fault.response.json().catch(() => undefined);
    code = (body as { error?: unknown } | null | undefined)?.error;
  }
  return typeof code === 'string' && /^[a-z_]{1,64}$/.test(code) ? code : '';
}

/** RFC 9110 §10.2.3, at most five minutes. */
function retryAfterOf(response: Response): number | undefined {
  const text = response.headers.get('retry-after') ?? '';
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, DEFAULT_RETRY_MS), MAX_RETRY_AFTER_MS);
}
