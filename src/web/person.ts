/** Who uses the page: nobody in particular, or somebody who logged in with a name. */
import { ClientError } from '../client/index.js';
import type { LoginClient, LoginInfo } from '../client/login/index.js';
import { createLogin } from './playground.js';

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
  info?: LoginInfo;
}

/** Who logged in here last, so that a visitor who never did costs no request. */
const NAME_KEY = 'holdfast:demo:name';

export async function whoIsHere(login: LoginClient): Promise<Person> {
  if (remembered() === null) return {};
  try {
    return { login, info: await login.me() };
  } catch (error) {
    if (error instanceof ClientError && NOBODY.has(error.code)) {
      localStorage.removeItem(NAME_KEY);
      return {};
    }
    return { login };
  }
}

/** @throws ClientError, Error when the page's server refuses or does not answer */
export async function logIn(login: LoginClient, name: string): Promise<void> {
  await login.exchange(await createLogin(name));
  localStorage.setItem(NAME_KEY, name);
}

/** @throws ClientError when the gateway could not be told */
export async function logOut(login: LoginClient): Promise<void> {
  await login.logout();
  localStorage.removeItem(NAME_KEY);
}

/** Null where the browser's settings forbid it. */
function remembered(): string | null {
  try {
    return localStorage.getItem(NAME_KEY);
  } catch {
    return null;
  }
}
