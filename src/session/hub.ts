import { TurnQueue } from '../lib/turn-queue.js';
import type {
  OwnershipMessage,
  OwnershipReason,
  ServerMessage,
  SubscribeAck,
  Subscription,
} from '../protocol/messages.js';
import { LiveStream } from './live-stream.js';
import type { MessageBatch, StreamState } from './message-ports.js';
import type { OwnershipEvent, SessionBus, SessionView } from './ports.js';
import { viewOf } from './record.js';
import { type StreamContext, wholeFrame } from './stream-context.js';
import type { Subscriber } from './subscriber.js';

/** A session as this node sees it: its local subscribers and the newest view that any of them was told. */
export interface Channel {
  readonly sessionId: string;
  /** In the order in which they came. `wantsOwnership`: would take a session that is handed over. */
  readonly subscribers: Map<Subscriber, { wantsOwnership: boolean }>;
  view: SessionView | undefined;
  readonly stream: LiveStream;
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

export interface HubOptions extends Omit<StreamContext, 'budget' | 'turns'> {
  bus: SessionBus;
  showsPrincipal: (sessionId: string) => boolean;
}

/** What a subscription brings. */
export interface Entrance {
  /** Would take a session that is handed over. */
  wantsOwnership: boolean;
  /** The session's, as the store gave it with the view. */
  stream: StreamState;
  since: Subscription['since'];
}

/** Local fan-out: which connections of this node follow which session, and what they were told last. */
export class Hub {
  readonly #channels = new Map<string, Channel>();
  readonly #bus: SessionBus;
  readonly #context: StreamContext;
  /** Tokens for owners that did not ask, by the request that makes them owners. */
  readonly #promised = new Map<string, string>();
  readonly #showsPrincipal: (sessionId: string) => boolean;

  constructor(options: HubOptions) {
    this.#bus = options.bus;
    this.#context = { ...options, budget: { bytes: 0 }, turns: new TurnQueue() };
    this.#showsPrincipal = options.showsPrincipal;
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
        stream: new LiveStream(sessionId, this.#context),
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

  /** Goes live: from here on the subscriber gets what the channel gets. @returns where its messages begin */
  enter(
    channel: Channel,
    subscriber: Subscriber,
    { wantsOwnership, stream, since }: Entrance,
  ): Pick<SubscribeAck, 'position' | 'recovered'> {
    channel.joining--;
    channel.subscribers.set(subscriber, { wantsOwnership });
    return channel.stream.enter(subscriber, stream, since);
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
    if (channel.subscribers.delete(subscriber)) channel.stream.leave(subscriber);
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
    const message = this.messageOf(event.sessionId, event, event.reason);
    this.broadcast(event.sessionId, message, (subscriber) => {
      if (event.state !== 'owned' || subscriber.id !== event.connectionId) return true;
      const token = this.#promised.get(event.requestId);
      subscriber.send({ ...message, owner: true, ...(token !== undefined && { reconnect_token: token }) });
      return false;
    });
    return true;
  }

  /** Messages for the live streams. */
  receive(batch: MessageBatch): void {
    this.#channels.get(batch.sessionId)?.stream.receive(batch);
  }

  /** Writes what waits: to be called before anything else is sent of this session. */
  flush(sessionId: string): void {
    this.#channels.get(sessionId)?.stream.flush();
  }

  /** Tells the local subscribers that `to` accepts, behind the messages that came before. */
  broadcast(sessionId: string, message: ServerMessage, to: (subscriber: Subscriber) => boolean): void {
    const channel = this.#channels.get(sessionId);
    if (channel === undefined) return;
    channel.stream.flush();
    let frame: Buffer | undefined;
    for (const subscriber of channel.subscribers.keys()) {
      if (!to(subscriber)) continue;
      frame ??= wholeFrame(this.#context.frames, message);
      subscriber.sendFrame(frame);
    }
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

  /** Nothing more is read for anybody. */
  close(): void {
    for (const { stream } of this.#channels.values()) stream.close();
  }

  #dropIfUnused(channel: Channel): void {
    if (channel.subscribers.size > 0 || channel.joining > 0) return;
    if (this.#channels.get(channel.sessionId) !== channel) return;
    this.#channels.delete(channel.sessionId);
    channel.stream.close();
    void this.#bus.unsubscribe(channel.sessionId).catch(() => {
      // The bus keeps track itself; a connection that is down has no subscriptions to end.
    });
  }
}
