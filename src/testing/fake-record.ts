/** Who owns a session, and how that changes: what the gateway's record and its verbs are, for one process. */
import { HoldfastError } from '../protocol/errors.js';
import type { OwnershipReason, OwnershipState } from '../protocol/messages.js';

/** For how long a repeated attempt is known again. */
const ATTEMPT_WINDOW_MS = 30_000;
const ANONYMOUS = 'anon:';

/** A connection, or somebody whom the script makes up. */
export interface Party {
  readonly id: string;
  readonly principal: string;
  /** Takes the name of the anonymous owner whose token it has. */
  restore?(principal: string): void;
}

export interface Wish {
  attemptId: string | undefined;
  /** The token that is presented. */
  token?: string;
  /** Whether a free session is taken. */
  claims: boolean;
}

export interface Outcome {
  result: 'owned' | 'unclaimed';
  tokenExpired: boolean;
}

/** The anonymous are made up for each connection: the token binds them, not the name. */
const bindingOf = (principal: string) => (principal.startsWith(ANONYMOUS) ? ANONYMOUS : principal);

export class FakeRecord {
  readonly #sessionId: string;
  readonly #nextNumber: () => number;
  readonly #changed: (reason: OwnershipReason, before: Party | undefined) => void;
  state: OwnershipState = 'free';
  epoch = 0;
  rev = 0;
  /** Whose it is, or whom it is held for. */
  owner: Party | undefined;
  /** While held: when that ends, ms since 1970. */
  until = 0;
  token = '';
  #consumed = '';
  #attemptId: string | undefined;
  #attemptAtMs = 0;

  /**
   * @param nextNumber rises with every call, over all sessions
   * @param changed hears of each change, with who was the owner before
   */
  constructor(
    sessionId: string,
    nextNumber: () => number,
    changed: (reason: OwnershipReason, before: Party | undefined) => void,
  ) {
    this.#sessionId = sessionId;
    this.#nextNumber = nextNumber;
    this.#changed = changed;
  }

  owns(party: Party): boolean {
    return this.state === 'owned' && this.owner?.id === party.id;
  }

  /** @throws HoldfastError `invalid_reconnect_token`, `reconnect_token_used` */
  acquire(party: Party, { attemptId, token, claims }: Wish): Outcome {
    if (token === undefined) return { result: this.#claim(party, attemptId, claims), tokenExpired: false };
    if (!token.startsWith(this.#tokenPrefix(party.principal))) {
      const message = 'not a reconnect token of this session and principal';
      throw new HoldfastError('invalid_reconnect_token', message, { field: 'reconnect_token' });
    }
    if (this.state !== 'free') {
      if (this.#isRepeat(party, attemptId, token)) return this.#replay(party);
      if (this.token === token && this.#isOwners(party)) {
        this.#restore(party);
        this.#grant(party, 'reclaimed', attemptId, token);
        return { result: 'owned', tokenExpired: false };
      }
      if (this.#consumed === token) {
        throw new HoldfastError('reconnect_token_used', 'the reconnect token was used by another connection');
      }
    }
    return { result: this.#claim(party, attemptId, claims), tokenExpired: true };
  }

  /** Takes it from whoever has it. */
  take(party: Party, reason: 'forced' | 'transferred', attemptId?: string): void {
    this.#grant(party, reason, attemptId, '');
  }

  hold(holdMs: number): void {
    this.state = 'held';
    this.rev++;
    this.until = Date.now() + holdMs;
    this.#changed('disconnected', this.owner);
  }

  free(reason: OwnershipReason): void {
    if (this.state === 'free') return;
    const before = this.owner;
    this.state = 'free';
    this.rev++;
    this.owner = undefined;
    this.token = '';
    this.#consumed = '';
    this.#attemptId = undefined;
    this.#changed(reason, before);
  }

  #claim(party: Party, attemptId: string | undefined, claims: boolean): Outcome['result'] {
    if (!claims) return 'unclaimed';
    if (this.state === 'free') {
      this.#grant(party, 'claimed', attemptId, '');
    } else if (this.#isRepeat(party, attemptId, '')) {
      this.#replay(party);
    } else if (this.owns(party)) {
      // It asks again because a reply never reached it: another token at the same epoch.
      this.#renewToken(party, attemptId, '');
    } else {
      return 'unclaimed';
    }
    return 'owned';
  }

  /** The same attempt again, after its reply was lost: the token that it was given, at a new epoch elsewhere. */
  #replay(party: Party): Outcome {
    if (!this.owns(party)) {
      this.#restore(party);
      this.#become(party, 'reclaimed');
    }
    return { result: 'owned', tokenExpired: false };
  }

  #grant(party: Party, reason: OwnershipReason, attemptId: string | undefined, consumed: string): void {
    this.#renewToken(party, attemptId, consumed);
    this.#become(party, reason);
  }

  #become(party: Party, reason: OwnershipReason): void {
    const before = this.owner;
    this.state = 'owned';
    this.epoch = this.#nextNumber();
    this.rev++;
    this.owner = party;
    this.#changed(reason, before);
  }

  #renewToken({ principal }: Party, attemptId: string | undefined, consumed: string): void {
    this.token = this.#tokenPrefix(principal) + this.#nextNumber();
    this.#consumed = consumed;
    this.#attemptId = attemptId;
    this.#attemptAtMs = Date.now();
  }

  #isRepeat(party: Party, attemptId: string | undefined, consumed: string): boolean {
    const isSame = attemptId !== undefined && attemptId === this.#attemptId && consumed === this.#consumed;
    return isSame && Date.now() - this.#attemptAtMs <= ATTEMPT_WINDOW_MS && this.#isOwners(party);
  }

  #isOwners({ principal }: Party): boolean {
    return this.owner !== undefined && bindingOf(this.owner.principal) === bindingOf(principal);
  }

  #restore(party: Party): void {
    if (bindingOf(party.principal) === ANONYMOUS) party.restore?.(this.owner?.principal ?? party.principal);
  }

  #tokenPrefix(principal: string): string {
    return `fake-token.${this.#sessionId}.${bindingOf(principal)}.`;
  }
}
