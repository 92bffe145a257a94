import { ClientError } from '../errors.js';
import { endOfLogin } from '../login-end.js';

export function nobody(): ClientError {
  return new ClientError('no_login', 'nobody is logged in');
}

export function superseded(): ClientError {
  return new ClientError('superseded', 'the login changed meanwhile');
}

/** The error as what it says of the login; undefined when the login may go on. */
export function endingOf(error: unknown): ClientError | undefined {
  if (!(error instanceof ClientError)) return undefined;
  if (error.code === 'unauthorized') return nobody();
  return endOfLogin(error) === undefined ? undefined : error;
}
