import { HoldfastError } from '../../src/protocol/errors.js';
import type { HistoryPage, NewMessage, PublishResult, SessionReport } from '../../src/protocol/http.js';
import type { DecodedMessage, SendRequest, Subscription } from '../../src/protocol/messages.js';
import type { HistoryRange } from '../../src/session/message-ports.js';
import type { Waiting } from '../../src/session/owner-sends.js';
import type { Subscriber } from '../../src/session/subscriber.js';
import type { ClaimDetails, SessionsApi } from '../../src/transport/sessions-api.js';

const STATE = { state: 'free', owner_epoch: 1, rev: 1 } as const;
const POSITION = { epoch: '1', offset: 0 };
const REPORT = { ...STATE, namespace: 'doc', position: POSITION, first_offset: 1 };

type Signal = Extract<DecodedMessage, { type: 'signal' }>;

/** Sessions that nobody owns, and a record of what the transport asked for. */
export class FakeSessions implements SessionsApi {
  readonly calls: string[] = [];
  readonly subscribers = new Map<string, Subscriber>();
  readonly departures: { id: string; release: boolean; holdMs?: number }[] = [];
  /** Awaited by each request of a session before it is handled. */
  readonly gates = new Map<string, Promise<void>>();
  error: Error | undefined;
  readonly sent: (SendRequest | Signal)[] = [];
  readonly published: (NewMessage & { session_id: string })[][] = [];
  /** What becomes of a published message, in place of being accepted. */
  resultOf: (message: NewMessage & { session_id: string }) => PublishResult | undefined = () => undefined;
  /** What `closed` waits for. */
  departure: Promise<void> | undefined;
  readonly #subscriptions = new Map<Subscriber, Set<string>>();

  async subscribe(subscriber: Subscriber, subscription: Subscription, id: string | undefined): Promise<void> {
    const sessionId = subscription.session_id;
    const own = this.#subscriptions.get(subscriber) ?? new Set();
    this.#subscriptions.set(subscriber, own.add(sessionId));
    await this.#handle('subscribe', sessionId);
    this.subscribers.set(sessionId, subscriber);
    subscriber.send({
      type: 'subscribe_ack',
      ...(id === undefined ? {} : { id }),
      session_id: sessionId,
      owner: false,
      ...STATE,
      grace_ms: 1,
      position: POSITION,
    });
  }

  async unsubscribe(subscriber: Subscriber, sessionId: string): Promise<void> {
    await this.#handle('unsubscribe', sessionId);
    if (this.#subscriptions.get(subscriber)?.delete(sessionId)) return;
    throw new HoldfastError('not_subscribed', 'subscribe first');
  }

  async claim(subscriber: Subscriber, request: ClaimDetails, id: string | undefined): Promise<void> {
    await this.#handle(request.force ? 'force' : 'claim', request.session_id);
    const echo = id === undefined ? {} : { id };
    const session_id = request.session_id;
    subscriber.send({ type: 'claim_ack', ...echo, session_id, owner: true, ...STATE, grace_ms: 1 });
  }

  async release(_subscriber: Subscriber, sessionId: string): Promise<void> {
    await this.#handle('release', sessionId);
  }

  send(subscriber: Subscriber, message: SendRequest, waiting: Waiting): void {
    this.sent.push(message);
    const acknowledge = () => {
      const echo = message.id === undefined ? {} : { id: message.id };
      subscriber.send({ type: 'send_ack', ...echo, session_id: message.session_id, offset: 1, owner_epoch: 1 });
      waiting.done();
    };
    this.#handle('send', message.session_id).then(acknowledge, (error: unknown) => waiting.done(error));
  }

  async signal(subscriber: Subscriber, message: Signal): Promise<void> {
    this.sent.push(message);
    await this.#handle('signal', message.session_id);
    const echo = message.id === undefined ? {} : { id: message.id };
    subscriber.send({ type: 'signal_ack', ...echo, session_id: message.session_id, owner: true });
  }

  async publish(messages: readonly (NewMessage & { session_id: string })[]): Promise<PublishResult[]> {
    this.published.push([...messages]);
    if (this.error !== undefined) throw this.error;
    return messages.map(
      (it, index) => this.resultOf(it) ?? { session_id: it.session_id, offset: index + 1, epoch: '1' },
    );
  }

  async history(sessionId: string, range: HistoryRange, limit: number): Promise<HistoryPage> {
    await this.#handle(`history ${JSON.stringify(range)} ${limit}`, sessionId);
    return { session_id: sessionId, messages: [], position: POSITION, first_offset: 1 };
  }

  async truncate(sessionId: string, through: number): Promise<void> {
    await this.#handle(`truncate ${through}`, sessionId);
  }

  async remove(sessionId: string): Promise<void> {
    await this.#handle('delete', sessionId);
  }

  recheckRights(subscriber: Subscriber): void {
    this.calls.push(`recheck ${subscriber.principal}`);
  }

  async closed(subscriber: Subscriber, how: { release: boolean; holdMs?: number }): Promise<void> {
    this.#subscriptions.delete(subscriber);
    this.departures.push({ id: subscriber.id, ...how });
    await this.departure;
  }

  async inspect(sessionId: string): Promise<SessionReport> {
    await this.#handle('inspect', sessionId);
    return { session_id: sessionId, ...REPORT };
  }

  async giveOwner(sessionId: string, target: { connection_id?: string; principal?: string }): Promise<SessionReport> {
    await this.#handle('give', sessionId);
    return { session_id: sessionId, ...REPORT, state: 'owned', ...target };
  }

  async removeOwner(sessionId: string): Promise<SessionReport> {
    await this.#handle('remove', sessionId);
    return { session_id: sessionId, ...REPORT };
  }

  async removeSubscriptions(sessionId: string, target: { connection_id?: string; principal?: string }): Promise<void> {
    await this.#handle(`unsubscribe ${JSON.stringify(target)}`, sessionId);
  }

  subscriptionCount(subscriber: Subscriber): number {
    return this.#subscriptions.get(subscriber)?.size ?? 0;
  }

  async #handle(verb: string, sessionId: string): Promise<void> {
    await this.gates.get(sessionId);
    this.calls.push(`${verb} ${sessionId}`);
    if (this.error !== undefined) throw this.error;
  }
}
