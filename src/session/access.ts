import { logHandle } from '../crypto/hash.js';
import type { Caller } from './application.js';
import { RIGHTS, type Right } from './rights.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

/** How long an answer stands beyond its time while the application does not answer: an outage throws nobody out. */
const OUTAGE_MS = 300_000;
const RETRY_MS = 5_000;
const TICK_MS = 1_000;
/** Asked in the background at once; the rest of what is due waits for its turn. */
const MAX_RECHECKS = 16;
/** Answers kept of a connection for sessions that it does not follow: those that it was refused. */
const MAX_UNFOLLOWED = 16;

/** An answer of the application, or the first question while it is under way. Times are on the monotonic clock. */
interface Answer {
  readonly subscriber: Subscriber;
  readonly sessionId: string;
  allow: ReadonlySet<Right> | undefined;
  expiresAtMs: number;
  asking: Promise<void> | undefined;
  /** When it is to be asked again, in ticks. */
  slot: number;
}

export function callerOf(subscriber: Subscriber, sessionId: string): Caller {
  const { id, principal, login } = subscriber;
  return { sessionId, connectionId: id, principal, loginId: login?.id };
}

/**
 * What a connection may do with a session (R1): what its rules give, and what the application answered in namespaces
 * where it is asked. The domain asks this, `SessionNode.access`, and never `Subscriber.rights`:
 *
 * - `await ensure(subscriber, sessionId)` before `watch` is looked at, `await ensure(…, 'force')` before `force`;
 * - `allows(subscriber, right, sessionId)`: as far as is known;
 * - `mightAllow(…)`: also where the application has yet to be asked. For `own` before `acquire`, which asks for that
 *   right itself, under the session's lock;
 * - `forget(subscriber)` when the connection is gone; `onLost` for what `Sessions` rechecks; `close()`.
 */
export class Access {
  /** The application took back a right on a session that the connection follows. Must not throw. */
  onLost: (subscriber: Subscriber, sessionId: string) => void = () => {};
  readonly #node: Pick<SessionNode, 'deps' | 'subscriptions'>;
  readonly #answers = new Map<Subscriber, Map<string, Answer>>();
  readonly #due = new Map<number, Set<Answer>>();
  #timer: NodeJS.Timeout | undefined;
  #rechecking = 0;

  constructor(node: Pick<SessionNode, 'deps' | 'subscriptions'>) {
    this.#node = node;
  }

  allows(subscriber: Subscriber, right: Right, sessionId: string): boolean {
    if (subscriber.rights.allows(right, sessionId)) return true;
    return this.#answers.get(subscriber)?.get(sessionId)?.allow?.has(right) === true;
  }

  mightAllow(subscriber: Subscriber, right: Right, sessionId: string): boolean {
    return this.allows(subscriber, right, sessionId) || this.mustAsk(subscriber, right, sessionId);
  }

  /** Whether only the application can tell, and has not yet, or too long ago. */
  mustAsk(subscriber: Subscriber, right: Right, sessionId: string): boolean {
    if (!this.#node.deps.settingsOf(sessionId).asks.authorize) return false;
    if (subscriber.rights.allows(right, sessionId)) return false;
    const answer = this.#answers.get(subscriber)?.get(sessionId);
    return answer?.allow === undefined || this.#node.deps.clock.monotonicMs() >= answer.expiresAtMs;
  }

  /**
   * Asks the application where it must be asked. Those who need an answer at once share one question.
   * @throws HoldfastError `application_unavailable`, unless there is an earlier answer to go by
   */
  async ensure(subscriber: Subscriber, sessionId: string, right: Right = 'watch'): Promise<void> {
    if (!subscriber.open || !this.mustAsk(subscriber, right, sessionId)) return;
    await this.#ask(this.#answerOf(subscriber, sessionId));
  }

  /** The connection is gone. */
  forget(subscriber: Subscriber): void {
    for (const answer of this.#answers.get(subscriber)?.values() ?? []) this.#unschedule(answer);
    this.#answers.delete(subscriber);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #ask(answer: Answer): Promise<void> {
    answer.asking ??= this.#settle(answer).finally(() => {
      answer.asking = undefined;
    });
    return answer.asking;
  }

  async #settle(answer: Answer): Promise<void> {
    const { application, clock, log } = this.#node.deps;
    const { subscriber, sessionId, allow: before } = answer;
    try {
      const { allow, ttlMs } = await application.authorize(callerOf(subscriber, sessionId));
      if (!this.#isKept(answer)) return;
      const nowMs = clock.monotonicMs();
      answer.allow = new Set(RIGHTS.filter((right) => allow.includes(right)));
      answer.expiresAtMs = nowMs + ttlMs;
      // Before it expires, so that nothing that the connection does has to wait for the next one.
      this.#schedule(answer, nowMs + ttlMs * (0.75 + Math.random() / 4));
      if (before !== undefined && !isSubset(before, answer.allow)) this.#lost(answer);
    } catch (error) {
      if (!this.#isKept(answer)) throw error;
      const nowMs = clock.monotonicMs();
      if (before !== undefined && nowMs < answer.expiresAtMs + OUTAGE_MS) {
        this.#schedule(answer, nowMs + RETRY_MS);
        return;
      }
      this.#drop(answer);
      if (before !== undefined) {
        log.warn({ session: logHandle(sessionId), connection: subscriber.id }, 'rights not confirmed for too long');
        this.#lost(answer);
      }
      throw error;
    }
  }

  #lost({ subscriber, sessionId }: Answer): void {
    if (this.#follows(subscriber, sessionId)) this.onLost(subscriber, sessionId);
  }

  #recheckDue(): void {
    const nowSlot = Math.floor(this.#node.deps.clock.monotonicMs() / TICK_MS);
    for (const [slot, answers] of this.#due) {
      if (slot > nowSlot) continue;
      for (const answer of answers) {
        if (this.#rechecking >= MAX_RECHECKS) return;
        this.#recheck(answer);
      }
    }
  }

  #recheck(answer: Answer): void {
    this.#unschedule(answer);
    if (!this.#follows(answer.subscriber, answer.sessionId)) {
      this.#drop(answer);
      return;
    }
    this.#rechecking++;
    void this.#ask(answer)
      // What comes of an answer that is not to be had is settled where it was asked for.
      .catch(() => {})
      .finally(() => {
        this.#rechecking--;
        this.#recheckDue();
      });
  }

  #answerOf(subscriber: Subscriber, sessionId: string): Answer {
    let answers = this.#answers.get(subscriber);
    if (answers === undefined) this.#answers.set(subscriber, (answers = new Map()));
    const known = answers.get(sessionId);
    if (known !== undefined) return known;
    const followed = this.#node.subscriptions.get(subscriber)?.size ?? 0;
    if (answers.size >= followed + MAX_UNFOLLOWED) this.#dropUnfollowed(subscriber, answers);
    const answer: Answer = { subscriber, sessionId, allow: undefined, expiresAtMs: 0, asking: undefined, slot: 0 };
    answers.set(sessionId, answer);
    return answer;
  }

  #dropUnfollowed(subscriber: Subscriber, answers: ReadonlyMap<string, Answer>): void {
    for (const answer of answers.values()) {
      if (this.#follows(subscriber, answer.sessionId)) continue;
      this.#drop(answer);
      return;
    }
  }

  #drop(answer: Answer): void {
    this.#unschedule(answer);
    const answers = this.#answers.get(answer.subscriber);
    if (answers?.get(answer.sessionId) === answer) answers.delete(answer.sessionId);
    if (answers?.size === 0) this.#answers.delete(answer.subscriber);
  }

  #isKept(answer: Answer): boolean {
    return this.#answers.get(answer.subscriber)?.get(answer.sessionId) === answer;
  }

  #follows(subscriber: Subscriber, sessionId: string): boolean {
    return this.#node.subscriptions.get(subscriber)?.has(sessionId) === true;
  }

  #schedule(answer: Answer, atMs: number): void {
    this.#unschedule(answer);
    answer.slot = Math.ceil(atMs / TICK_MS);
    const answers = this.#due.get(answer.slot);
    if (answers === undefined) this.#due.set(answer.slot, new Set([answer]));
    else answers.add(answer);
    this.#timer ??= setInterval(() => this.#recheckDue(), TICK_MS).unref();
  }

  #unschedule(answer: Answer): void {
    const answers = this.#due.get(answer.slot);
    answers?.delete(answer);
    if (answers?.size === 0) this.#due.delete(answer.slot);
    if (this.#due.size === 0) this.close();
  }
}

function isSubset(some: ReadonlySet<Right>, all: ReadonlySet<Right>): boolean {
  return Array.from(some).every((right) => all.has(right));
}
