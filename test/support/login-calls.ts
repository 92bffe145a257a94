/** The login routes as an application and its clients call them. */
import type { CreatedLogin, IssuedTokens, LoginView } from '../../src/protocol/http.js';
import { type GatewayProcess, SECRETS } from './gateway-process.js';

export interface Answer<T> {
  status: number;
  body: T & { code?: string };
  headers: Headers;
}

interface Call {
  method?: string;
  token?: string;
  headers?: Record<string, string>;
  body?: object;
  timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/** Calls a route of a node, or of whatever listens on `{ url }`. @throws TypeError when the connection breaks */
export async function call<T = unknown>(to: { url: string }, path: string, options: Call = {}): Promise<Answer<T>> {
  const { method = 'POST', token, headers = {}, body, timeoutMs = TIMEOUT_MS } = options;
  const response = await fetch(to.url + path, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: (text === '' ? {} : JSON.parse(text)) as Answer<T>['body'],
    headers: response.headers,
  };
}

/** A backend route, with the API key. */
export function backend<T = unknown>(to: { url: string }, path: string, options: Call = {}): Promise<Answer<T>> {
  return call<T>(to, path, { ...options, token: SECRETS.HOLDFAST_API_KEY });
}

/** @throws Error for any other answer than 201 */
export async function createLogin(node: { url: string }, request: object = {}): Promise<CreatedLogin> {
  const { status, body } = await backend<CreatedLogin>(node, '/v1/logins', {
    body: { principal: 'alice', ...request },
  });
  if (status !== 201) throw new Error(`no login: ${status} ${body.code}`);
  return body;
}

export function refresh(
  node: { url: string },
  refreshToken: string,
  timeoutMs?: number,
): Promise<Answer<IssuedTokens>> {
  return call(node, '/v1/auth/refresh', {
    body: { refresh_token: refreshToken },
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
}

/** @throws Error for any other answer than 200 */
export async function ticketFor(node: { url: string }, token: string, origin?: string): Promise<string> {
  const headers: Record<string, string> = origin === undefined ? {} : { origin };
  const { status, body } = await call<{ ticket: string }>(node, '/v1/auth/ticket', { token, headers });
  if (status !== 200) throw new Error(`no ticket: ${status} ${body.code}`);
  return body.ticket;
}

export function me(node: { url: string }, token: string): Promise<Answer<LoginView>> {
  return call(node, '/v1/auth/me', { method: 'GET', token });
}

/** The events of a login, by kind. */
export async function eventKinds(node: GatewayProcess, loginId: string): Promise<string[]> {
  const path = `/v1/logins/${loginId}/events`;
  const { body } = await backend<{ events: { kind: string }[] }>(node, path, { method: 'GET' });
  return body.events.map(({ kind }) => kind);
}
