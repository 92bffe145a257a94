import type { Log } from '../lib/log.js';
import { HoldfastError } from '../protocol/errors.js';
import type { LoginsOptions } from './options.js';
import type { ControlLog, LoginEndReason, LoginRecord, LoginStore } from './ports.js';
import type { LoginTelemetry } from './telemetry.js';

/**
 * Ends logins: first in the store, so that nothing new comes of the login, then what still lives by it. A crash in
 * between is repaired by ending it again, which announces it again.
 */
export class Ending {
  readonly #store: LoginStore;
  readonly #control: ControlLog;
  readonly #log: Log;
  readonly #telemetry: LoginTelemetry;
  readonly #released: LoginsOptions['released'];

  constructor({ store, control, log, telemetry, released }: LoginsOptions) {
    this.#store = store;
    this.#control = control;
    this.#log = log;
    this.#telemetry = telemetry;
    this.#released = released;
  }

  /** @returns whether it was this call that ended it, and the record, if there is one */
  async end(handle: string, reason: LoginEndReason): Promise<{ ended: boolean; login?: LoginRecord }> {
    const outcome = await this.#store.end(handle, reason);
    if (outcome.ended) this.#telemetry.loginEnded(reason);
    if (outcome.login !== undefined) await this.announce(outcome.login);
    return outcome;
  }

  /** Closes connections on all nodes and releases sessions of a login that is over in the store. */
  async announce({ handle, endReason }: LoginRecord): Promise<void> {
    if (endReason === '') return;
    await this.#control.append({ kind: 'login_ended', handle, reason: endReason });
    await this.#released?.(handle);
    this.#log.info({ login: handle, reason: endReason }, 'login ended');
  }
}

/** @param login undefined for one of which the store knows nothing any more */
export function loginEnded(login: LoginRecord | undefined): HoldfastError {
  return new HoldfastError('login_ended', `the login is over (${endReasonOf(login)})`);
}

export function endReasonOf(login: LoginRecord | undefined): LoginEndReason {
  return login === undefined || login.endReason === '' ? 'expired' : login.endReason;
}
