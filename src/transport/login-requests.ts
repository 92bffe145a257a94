/** Readers of what the application's backend asks of logins. All throw HoldfastError `invalid_field`. */
import type { CreateLoginRequest, LoginPatch, NewUpstreamGrant, Rights } from '../login/api.js';
import { isLoginId, isPrincipal, LOGIN_ID_RULE, PRINCIPAL_RULE } from '../login/handles.js';
import { HoldfastError } from '../protocol/errors.js';
import {
  IDEMPOTENCY_KEY,
  isObject,
  type JsonObject,
  optionalText,
  own,
  refuse,
  requiredText,
  type TextRule,
} from '../protocol/validate.js';
import { isOriginAllowed, type OriginPolicy } from './origin.js';
import { rightsClaim } from './rights-claim.js';

const MAX_ATTRIBUTES_BYTES = 4_096;
/** They are part of each access token, which has to fit into a header. */
const MAX_RIGHTS_BYTES = 4_096;
/** Whoever gives seconds gets a time in 1970, which would be obeyed without a word. */
const EARLIEST_MS = Date.UTC(2001, 8, 9);

const LOGIN_ID: TextRule = { pattern: { test: isLoginId }, rule: LOGIN_ID_RULE };
const PRINCIPAL: TextRule = { pattern: { test: isPrincipal }, rule: PRINCIPAL_RULE };
const PROVIDER: TextRule = { pattern: /^[A-Za-z0-9_.-]{1,64}$/, rule: "a provider's name" };
const UPSTREAM_TOKEN: TextRule = { pattern: /^[\x20-\x7e]{1,8192}$/, rule: 'a refresh token of the provider' };
/** RFC 7518 §6.2: a coordinate or the private value on P-256. */
const P256_VALUE = /^[A-Za-z0-9_-]{43}$/;

export function loginIdOf(text: string): string {
  return isLoginId(text) ? text : refuse('login_id', LOGIN_ID_RULE);
}

export function principalOf(text: string): string {
  return isPrincipal(text) ? text : refuse('principal', PRINCIPAL_RULE);
}

export function optionalTime(body: JsonObject, key: string): number | undefined {
  const value = own(body, key);
  if (value === undefined) return undefined;
  const isTime = typeof value === 'number' && Number.isSafeInteger(value) && value >= EARLIEST_MS;
  return isTime ? value : refuse(key, 'a time in ms since 1970');
}

/** @param path of `value`, with a dot behind it; empty at the top */
export function upstreamOf(value: JsonObject, path = ''): NewUpstreamGrant {
  const provider = optionalText(value, 'provider', PROVIDER, path);
  const refreshToken = requiredText(value, 'refresh_token', UPSTREAM_TOKEN, path);
  const key = optionalDpopKey(value, path);
  return {
    ...(provider !== undefined && { provider }),
    refresh_token: refreshToken,
    ...(key !== undefined && { dpop_key: key }),
  };
}

/** Its form only, and nothing of it but the key itself. Whether it is on the curve is for who uses it to find out. */
function optionalDpopKey(value: JsonObject, path: string): NewUpstreamGrant['dpop_key'] {
  const key = own(value, 'dpop_key');
  if (key === undefined) return undefined;
  const { kty, crv, x, y, d } = isObject(key) ? key : {};
  const isP256 =
    kty === 'EC' && crv === 'P-256' && [x, y, d].every((it) => typeof it === 'string' && P256_VALUE.test(it));
  return isP256
    ? ({ kty, crv, x, y, d } as NewUpstreamGrant['dpop_key'])
    : refuse(`${path}dpop_key`, 'the JWK of a private P-256 key');
}

function bytesOf(value: object): number {
  try {
    return Buffer.byteLength(JSON.stringify(value));
  } catch {
    // Nested too deep to be written.
    return Number.POSITIVE_INFINITY;
  }
}

function optionalAttributes(body: JsonObject): Record<string, unknown> | undefined {
  const value = own(body, 'attributes');
  if (value === undefined) return undefined;
  if (isObject(value) && bytesOf(value) <= MAX_ATTRIBUTES_BYTES) return value;
  return refuse('attributes', `a JSON object of at most ${MAX_ATTRIBUTES_BYTES} bytes`);
}

function optionalRights(body: JsonObject): Rights | undefined {
  const value = own(body, 'rights');
  if (value === undefined) return undefined;
  try {
    const rules = rightsClaim(value);
    if (bytesOf(rules) <= MAX_RIGHTS_BYTES) return rules;
  } catch (error) {
    if (error instanceof RangeError) throw new HoldfastError('invalid_field', error.message, { field: 'rights' });
    throw error;
  }
  return refuse('rights', `at most ${MAX_RIGHTS_BYTES} bytes of JSON`);
}

/** What can be given at first and changed later. */
function changeable(body: JsonObject): LoginPatch {
  const attributes = optionalAttributes(body);
  const rights = optionalRights(body);
  const expiresAt = optionalTime(body, 'expires_at');
  return {
    ...(attributes !== undefined && { attributes }),
    ...(rights !== undefined && { rights }),
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
  };
}

/** @param idempotencyKey the header, or undefined */
export function createLoginRequest(
  body: JsonObject,
  idempotencyKey: string | undefined,
  origins: OriginPolicy,
): CreateLoginRequest {
  if (idempotencyKey !== undefined && !IDEMPOTENCY_KEY.pattern.test(idempotencyKey)) {
    refuse('Idempotency-Key', IDEMPOTENCY_KEY.rule);
  }
  const principal = requiredText(body, 'principal', PRINCIPAL);
  const loginId = optionalText(body, 'login_id', LOGIN_ID);
  const allowed: TextRule = { pattern: { test: (it) => isOriginAllowed(it, origins) }, rule: 'an allowed origin' };
  const origin = optionalText(body, 'origin', allowed);
  const upstream = own(body, 'upstream');
  if (upstream !== undefined && !isObject(upstream)) refuse('upstream', 'an object');
  return {
    principal,
    ...changeable(body),
    ...(loginId !== undefined && { login_id: loginId }),
    ...(origin !== undefined && { origin }),
    ...(upstream !== undefined && { upstream: upstreamOf(upstream, 'upstream.') }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  };
}

/** One that would change nothing is more likely misspelt than meant. */
export function loginPatch(body: JsonObject): LoginPatch {
  const patch = changeable(body);
  return Object.keys(patch).length > 0 ? patch : refuse('body', 'an object with attributes, rights or expires_at');
}
