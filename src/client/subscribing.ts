import type { Subscription } from '../protocol/messages.js';
import { type ErrorMessage, isOfToken } from './refusals.js';
import type { Tokens } from './tokens.js';

type Claim = 'if_free' | 'never';

/** What one session asks for when it subscribes, until the gateway has answered. */
export class Subscribing {
  /** Refusals for now since the last answer. */
  failures = 0;
  readonly #sessionId: string;
  readonly #tokens: Tokens;
  readonly #option: Claim;
  /** The option, except after a release. */
  #claim: Claim;
  /** Sent and not acknowledged: sent again as it is, since the gateway may have acted on it. */
  #subscription: Subscription | undefined;

  constructor(sessionId: string, option: Claim, tokens: Tokens) {
    this.#sessionId = sessionId;
    this.#tokens = tokens;
    this.#option = option;
    this.#claim = option;
  }

  /** @param released the session was given up, and is not to be had again by subscribing alone */
  wants(released: boolean): void {
    this.#claim = released ? 'never' : this.#option;
  }

  /** False when the gateway cannot know anything of this session's being here. */
  get mayBeKnown(): boolean {
    return this.#subscription !== undefined || this.#tokens.get(this.#sessionId) !== undefined;
  }

  /** @param endsOwnership the session is about to be given up */
  request(since: Subscription['since'], endsOwnership: boolean): Subscription {
    const token = this.#tokens.get(this.#sessionId);
    // Another token: a page that came in between has left it, or what was kept was another principal's.
    if (this.#subscription !== undefined && this.#subscription.reconnect_token === token) return this.#subscription;
    this.#subscription = {
      session_id: this.#sessionId,
      claim: endsOwnership ? 'never' : this.#claim,
      ...(token !== undefined && { reconnect_token: token }),
      attempt_id: this.#tokens.attempt(this.#sessionId),
      ...(since !== undefined && { since }),
    };
    return this.#subscription;
  }

  acknowledged(): void {
    this.#subscription = undefined;
    this.failures = 0;
  }

  /** The owner's token is the one it was told last; one that is no longer good for anything is dropped. */
  keep(token: string | undefined): void {
    if (token === undefined) this.#tokens.delete(this.#sessionId);
    else this.#tokens.set(this.#sessionId, token);
  }

  /** @returns whether another request, without the token, may be granted at once */
  refused(error: ErrorMessage): boolean {
    if (!isOfToken(error) || this.#subscription?.reconnect_token === undefined) return false;
    this.#tokens.delete(this.#sessionId);
    this.#subscription = undefined;
    return true;
  }
}
