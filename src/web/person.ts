/** Who uses the page: nobody in particular, or somebody who logged in with a name. */
import { ClientError, createLogin, type LoginClient } from '../client/index.js';

/** The codes with which the gateway says that nobody is logged in. Any other says nothing about it. */
const NOBODY: ReadonlySet<string> = new Set([
  'no_login',
  'login_ended',
  'refresh_token_reused',
  'invalid_refresh_token',
  'unauthorized',
  'not_found',
]);

export interface Person {
  /** For `createClient`; absent for an anonymous visitor. */
  login?: LoginClient;
  /** Unknown while the gateway does not answer. */
  name?: string;
}

/** Who logged in here last, so that a visitor who never did costs no request. */
const NAME_KEY = 'holdfast:demo:name';

const login = createLogin();

export async function whoIsHere(): Promise<Person> {
  if (remembered() === null) return {};
  try {
    const { principal } = await login.me();
    return { login, name: principal };
  } catch (error) {
    if (error instanceof ClientError && NOBODY.has(error.code)) {
      localStorage.removeItem(NAME_KEY);
      return {};
    }
    return { login };
  }
}

/** @throws ClientError, TypeError when the gateway does not answer */
export async function logIn(name: string): Promise<void> {
  const response = await fetch(new URL('dev/logins', new URL('.', location.href)), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name }),
  });
  if (response.status === 404) throw new TypeError('This gateway has no logins: start it with --auth login');
  const answer = (await response.json()) as { login_code?: string; detail?: string };
  if (answer.login_code === undefined) throw new TypeError(answer.detail ?? 'the gateway refused the login');
  await login.exchange(answer.login_code);
  localStorage.setItem(NAME_KEY, name);
}

/** Null where the browser's settings forbid it. */
function remembered(): string | null {
  try {
    return localStorage.getItem(NAME_KEY);
  } catch {
    return null;
  }
}

/** @throws ClientError when the gateway could not be told */
export async function logOut(): Promise<void> {
  await login.logout();
  localStorage.removeItem(NAME_KEY);
}
