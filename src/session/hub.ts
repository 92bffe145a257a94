import { encode } from '../protocol/codec.js';
import type { OwnershipMessage, OwnershipReason } from '../protocol/messages.js';
import type { OwnershipEvent, SessionBus, SessionView } from './ports.js';
import { viewOf } from './record.js';
import type { Subscriber } from './subscriber.js';

/** A session as this node sees it: its local subscribers and the newest view that any of them was told. */
export interface Channel {
  readonly sessionId: string;
  /** In the order in which they came. `wantsOwnership`: would take a session that is handed over. */
  readonly subscribers: Map<Subscriber, { wantsOwnership: boolean }>;
  view: SessionView | undefined;
  /** Subscriptions on their way in; the channel stays while there are any. */
  joining: number;
  ready: Promise<void>;
}

/** Ownership is ordered by (epoch, rev); whatever is not newer is a repeat or late. */
export function isNewer(
  a: Pick<SessionView, 'epoch' | 'rev'>,
  b: Pick<SessionView, 'epoch' | 'rev'> | undefined,
): boolean {
  return b === undefined || a.epoch > b.epoch || (a.epoch === b.epoch && a.rev > b.rev);
}

/** Local fan-out: which connections of this node follow which session, and what they were told last. */
export class Hub {
  readonly #channels = new Map<string, Channel>();
  readonly #bus: SessionBus;
  /** Tokens for owners that did not ask, by the request that makes them owners. */
  readonly #promised = new Map<string, string>();
  readonly #showsPrincipal: (sessionId: string) => boolean;

  constructor(bus: SessionBus, showsPrincipal: (sessionId: string) => boolean) {
    this.#bus = bus;
    this.#showsPrincipal = showsPrincipal;
  }

  get channels(): ReadonlyMap<string, Channel> {
    return this.#channels;
  }

  get(sessionId: string): Channel | undefined {
    return this.#channels.get(sessionId);
  }

  /** Resolves once every event from now on reaches this channel. Balanced by `enter` or `abandon`. */
  async join(sessionId: string): Promise<Channel> {
    let channel = this.#channels.get(sessionId);
    if (channel === undefined) {
      channel = {
        sessionId,
        subscribers: new Map(),
        view: undefined,
        joining: 0,
        ready: this.#bus.subscribe(sessionId),
      };
      this.#channels.set(sessionId, channel);
    }
    channel.joining++;
    try {
      await channel.ready;
    } catch (error) {
      this.abandon(channel);
      throw error;
    }
    return channel;
  }

  abandon(channel: Channel): void {
    channel.joining--;
    this.#dropIfUnused(channel);
  }

  /** Goes live: from here on the subscriber gets what the channel gets. */
  enter(channel: Channel, subscriber: Subscriber, wantsOwnership: boolean): void {
    channel.joining--;
    channel.subscribers.set(subscriber, { wantsOwnership });
  }

  /** Behind all that watched before, as in the store's list. */
  moveToEnd(sessionId: string, subscriber: Subscriber): void {
    const subscribers = this.#channels.get(sessionId)?.subscribers;
    const entry = subscribers?.get(subscriber);
    if (entry === undefined) return;
    subscribers?.delete(subscriber);
    subscribers?.set(subscriber, entry);
  }

  leave(sessionId: string, subscriber: Subscriber): void {
    const channel = this.#channels.get(sessionId);
    if (channel === undefined) return;
    channel.subscribers.delete(subscriber);
    this.#dropIfUnused(channel);
  }

  /** The event of this request, whenever it arrives, carries the token to the new owner. Ended by `forgetPromise`. */
  promise(requestId: string, token: string): void {
    this.#promised.set(requestId, token);
  }

  forgetPromise(requestId: string): void {
    this.#promised.delete(requestId);
  }

  /**
   * Tells the local subscribers, unless they know it already. The owner gets a frame of its own.
   * @returns whether the event was news
   */
  deliver(event: OwnershipEvent): boolean {
    const channel = this.#channels.get(event.sessionId);
    if (channel === undefined || !isNewer(event, channel.view)) return false;
    channel.view = viewOf(event, event.nowMs);
    if (channel.subscribers.size === 0) return true;
    const message = this.messageOf(event.sessionId, event, event.reason);
    let rendered: Buffer | undefined;
    for (const subscriber of channel.subscribers.keys()) {
      if (event.state === 'owned' && subscriber.id === event.connectionId) {
        const token = this.#promised.get(event.requestId);
        subscriber.send({ ...message, owner: true, ...(token !== undefined && { reconnect_token: token }) });
      } else {
        rendered ??= Buffer.from(encode(message));
        subscriber.sendRendered(rendered);
      }
    }
    return true;
  }

  messageOf(sessionId: string, view: SessionView, reason: OwnershipReason): OwnershipMessage {
    return {
      type: 'ownership',
      session_id: sessionId,
      state: view.state,
      owner_epoch: view.epoch,
      rev: view.rev,
      reason,
      ...this.publicPart(sessionId, view),
    };
  }

  /** What of a view depends on its state and on the namespace. */
  publicPart(sessionId: string, view: SessionView): { principal?: string; until?: number } {
    return {
      ...(view.state !== 'free' && this.#showsPrincipal(sessionId) && { principal: view.principal }),
      ...(view.state === 'held' && { until: view.deadlineMs }),
    };
  }

  #dropIfUnused(channel: Channel): void {
    if (channel.subscribers.size > 0 || channel.joining > 0) return;
    if (this.#channels.get(channel.sessionId) !== channel) return;
    this.#channels.delete(channel.sessionId);
    void this.#bus.unsubscribe(channel.sessionId).catch(() => {
      // The bus keeps track itself; a connection that is down has no subscriptions to end.
    });
  }
}
