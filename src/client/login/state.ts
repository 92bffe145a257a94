/** Who is logged in here, as far as this page or program knows. */

import { Emitter } from '../emitter.js';
import { type AccessToken, HeldToken } from './access-token.js';
import { Freshness } from './freshness.js';
import type { LoginEvents } from './options.js';

const LOGOUT = 'logout';

interface Events extends LoginEvents {
  /** The person left. An event of its own: `ended` also tells of refused requests. */
  left: undefined;
}

export class LoginState {
  readonly events = new Emitter<Events>();
  readonly freshness: Freshness;
  /** The login that this page, or another tab, is known to have. */
  loginId: string | undefined;
  /** Rises when this page itself logs in or out, which is news to whatever is under way. */
  epoch = 0;
  /** `ended` was told of, and nobody has logged in since. */
  over = false;
  #current: HeldToken | undefined;

  /** @param refresh brings a fresh access token, which `hold` gets */
  constructor(refresh: () => Promise<unknown>) {
    this.freshness = new Freshness(refresh);
  }

  /** Undefined when a request could find it over. */
  get accessToken(): string | undefined {
    return this.#current?.isUsable(Date.now()) ? this.#current.token.accessToken : undefined;
  }

  /** Somebody is logged in, with this as the newest access token. */
  hold(token: AccessToken): AccessToken {
    this.over = false;
    this.loginId = token.loginId;
    this.#current = new HeldToken(token, Date.now());
    this.freshness.keep(this.#current);
    this.events.emit('renewed', token);
    return token;
  }

  /**
   * Whatever is under way belongs to the past.
   * @param loginId the login that there is from now on, where that is known
   * @returns the new epoch
   */
  renounce(loginId?: string): number {
    this.loginId = loginId;
    this.#current = undefined;
    this.freshness.keep(undefined);
    if (loginId !== undefined) this.over = false;
    return ++this.epoch;
  }

  /** @param code of the refusal by which the gateway said so; without one the person logged out */
  end(code?: string): void {
    if (code === undefined) this.events.emit('left', undefined);
    if (this.over) return;
    this.over = true;
    this.events.emit('ended', { reason: code ?? LOGOUT });
  }
}
