/** A login at a gateway that is fake, with time that the test lets pass. */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import type { ClientError } from '../../src/client/index.js';
import { createLogin, type LoginClient, type LoginOptions } from '../../src/client/login/index.js';
import { FakeAuth } from './fake-auth.js';

export const GATEWAY = 'https://gateway.test';
export const LOGIN_KEY = 'holdfast:login';

export let auth: FakeAuth;
export let login: LoginClient;
export let stored: Map<string, string>;
export let ended: string[];
let closing: LoginClient[];

export const storage = {
  getItem: (key: string) => stored.get(key) ?? null,
  setItem: (key: string, value: string) => void stored.set(key, value),
  removeItem: (key: string) => void stored.delete(key),
};
export const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

export function open(options: Partial<LoginOptions> = {}): LoginClient {
  login = createLogin({ url: GATEWAY, fetch: auth.fetch, storage, ...options });
  closing.push(login);
  login.on('ended', ({ reason }) => ended.push(reason));
  return login;
}

/** What became of a promise, so that a rejection while time passes is not an unhandled one. */
export function outcome(promise: Promise<unknown>): { code: string | undefined } {
  const result: { code: string | undefined } = { code: undefined };
  promise.then(
    () => (result.code = 'ok'),
    (error: ClientError) => (result.code = error.code),
  );
  return result;
}

export function later(): { reply: Promise<Response>; answer: (response: Response) => void } {
  let answer = (_response: Response): void => {};
  const reply = new Promise<Response>((resolve) => (answer = resolve));
  return { reply, answer: (response) => answer(response) };
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  auth = new FakeAuth();
  stored = new Map();
  ended = [];
  closing = [];
});

afterEach(() => {
  for (const one of closing) one.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.restoreAllMocks();
  vi.useRealTimers();
});
