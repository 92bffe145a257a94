/** Credentials that are spent by their first use. The store has them by hash, with what they stand for. */
import { randomBytes } from 'node:crypto';
import { sha256 } from '../crypto/hash.js';
import type { Clock } from '../lib/clock.js';
import type { Principal } from './api.js';
import type { OneTimeStore } from './ports.js';

const TICKET = /^hft_[A-Za-z0-9_-]{43}$/;
const CODE = /^hfc_[A-Za-z0-9_-]{43}$/;

/** Tickets: each stands for one who may connect once, from the Origin that asked for it. */
export class Tickets {
  readonly #store: OneTimeStore;
  readonly #clock: Clock;
  readonly #ttlMs: number;

  constructor(options: { oneTime: OneTimeStore; clock: Clock; ttlMs: number }) {
    this.#store = options.oneTime;
    this.#clock = options.clock;
    this.#ttlMs = options.ttlMs;
  }

  async issue(principal: Principal, origin: string | undefined): Promise<{ ticket: string; expires_at: number }> {
    const ticket = `hft_${randomBytes(32).toString('base64url')}`;
    const value = JSON.stringify({ principal, origin });
    await this.#store.put('ticket', sha256('ticket', ticket), value, this.#ttlMs);
    return { ticket, expires_at: this.#clock.wallMs() + this.#ttlMs };
  }

  /** Spends it, also when the Origin is another one. */
  async take(ticket: string, origin: string | undefined): Promise<Principal | undefined> {
    if (!TICKET.test(ticket)) return undefined;
    const value = await this.#store.take('ticket', sha256('ticket', ticket));
    if (value === undefined) return undefined;
    const issued = JSON.parse(value) as { principal: Principal; origin?: string };
    return issued.origin === origin ? issued.principal : undefined;
  }
}

/** Login codes: each stands for a login that a page may pick up once. */
export class LoginCodes {
  readonly #store: OneTimeStore;
  readonly #ttlMs: number;

  constructor(options: { oneTime: OneTimeStore; ttlMs: number }) {
    this.#store = options.oneTime;
    this.#ttlMs = options.ttlMs;
  }

  /** A code out of 32 bytes, random by default. */
  generate(bytes: Buffer = randomBytes(32)): string {
    return `hfc_${bytes.toString('base64url')}`;
  }

  /** @param origin the only one that may exchange it; undefined for any, and for callers that are no pages */
  async put(code: string, loginId: string, origin: string | undefined): Promise<void> {
    await this.#store.put('code', sha256('code', code), JSON.stringify({ login_id: loginId, origin }), this.#ttlMs);
  }

  /** Spends it, also when the Origin is another one. @returns the login's id */
  async take(code: string, origin: string | undefined): Promise<string | undefined> {
    if (!CODE.test(code)) return undefined;
    const value = await this.#store.take('code', sha256('code', code));
    if (value === undefined) return undefined;
    const issued = JSON.parse(value) as { login_id: string; origin?: string };
    return issued.origin === undefined || issued.origin === origin ? issued.login_id : undefined;
  }
}
