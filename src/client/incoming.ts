import type { MessageMessage, Position, PresenceMessage, ServerMessage, SubscribeAck } from '../protocol/messages.js';
import { type Content, contentOf } from './payload.js';

/** A message of the session. */
export type Message<T = unknown> = Content<T> & {
  /** Of an ephemeral message: the last offset given before it. */
  readonly offset: number;
  /** ms since 1970 by the gateway's clock. */
  readonly at: number;
  /** Only for who is there: a later subscription does not get it again. */
  readonly ephemeral: boolean;
  /** Of the first that is kept after a `reset`: those between it and the one before it are gone. */
  readonly gap: boolean;
  /** At which the owner sent it; absent when the application did. */
  readonly ownerEpoch?: number;
  /** The sender's, where the gateway shows it. */
  readonly principal?: string;
};

/** From a watcher, to the owner. */
export type Signal = Content & { readonly connectionId: string; readonly principal?: string };

/** Who is in the session, or who came or went: counted by principal. */
export type PresenceChange = Pick<PresenceMessage, 'event' | 'count' | 'members'>;

export interface MessageEvents<T = unknown> {
  /** Each once, in the order of their offsets, over lost connections too. */
  message: Message<T>;
  /** Messages were missed that are no longer kept: what follows comes after the position. */
  reset: Position;
  /** This connection reads too slowly: what comes after the position follows later. */
  lagged: Position;
  signal: Signal;
  presence: PresenceChange;
}

type FromGateway = MessageMessage | PresenceMessage | Extract<ServerMessage, { type: 'signal' | 'lagged' | 'reset' }>;

interface Listener {
  emit<E extends keyof MessageEvents>(event: E, value: MessageEvents[E]): void;
}

/** What arrives of a session while it is subscribed, and how far that is. */
export class Incoming {
  readonly #listener: Listener;
  readonly #from: Position | 'oldest' | undefined;
  #position: Position | undefined;
  /** Messages were missed, and none came since. */
  #gap = false;
  /** Of what is known of who is there. */
  #presenceRev = -1;

  /** @param from where the first subscription begins; undefined: now */
  constructor(listener: Listener, from: Position | 'oldest' | undefined) {
    this.#listener = listener;
    this.#from = from;
  }

  get position(): Position | undefined {
    return this.#position;
  }

  /** From where on the next subscription is to deliver. */
  get since(): Position | 'oldest' | undefined {
    return this.#position ?? this.#from;
  }

  subscribed({ position, recovered }: SubscribeAck): void {
    this.#presenceRev = -1;
    this.#position = position;
    if (recovered === false) this.#missed(position);
  }

  receive(message: FromGateway): void {
    switch (message.type) {
      case 'message':
        return this.#onMessage(message);
      case 'reset':
        this.#position = message.position;
        if (!message.recovered) this.#missed(message.position);
        return;
      case 'lagged':
        return this.#listener.emit('lagged', message.position);
      case 'presence': {
        const { event, rev, count, members } = message;
        if (rev <= this.#presenceRev) return;
        this.#presenceRev = rev;
        return this.#listener.emit('presence', { event, count, ...(members !== undefined && { members }) });
      }
      case 'signal': {
        const { connection_id: connectionId, principal } = message;
        const from = { connectionId, ...(principal !== undefined && { principal }) };
        return this.#listener.emit('signal', { ...contentOf(message), ...from });
      }
    }
  }

  #missed(position: Position): void {
    this.#gap = true;
    this.#listener.emit('reset', position);
  }

  #onMessage(message: MessageMessage): void {
    const { offset, at, ephemeral = false, owner_epoch: ownerEpoch, principal } = message;
    if (this.#position !== undefined && !ephemeral) {
      if (offset <= this.#position.offset) return;
      this.#position = { epoch: this.#position.epoch, offset };
    }
    const gap = this.#gap && !ephemeral;
    if (gap) this.#gap = false;
    this.#listener.emit('message', {
      ...contentOf(message),
      offset,
      at,
      ephemeral,
      gap,
      ...(ownerEpoch !== undefined && { ownerEpoch }),
      ...(principal !== undefined && { principal }),
    });
  }
}
