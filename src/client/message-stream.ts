import { type Abortable, onAbort } from './abort.js';
import { ClientError } from './errors.js';
import type { Message } from './incoming.js';
import type { SessionState } from './session-state.js';

export interface MessagesOptions extends Abortable {
  /** How many messages may wait to be read. Default 1 024. */
  limit?: number;
}

/** What a stream reads. */
export interface MessageSource<T> {
  readonly id: string;
  readonly state: SessionState;
  on(event: 'message', listener: (message: Message<T>) => void): () => void;
  on(event: 'state', listener: (change: { state: SessionState }) => void): () => void;
}

interface Reader<T> {
  resolve(result: IteratorResult<Message<T>, undefined>): void;
  reject(reason: unknown): void;
}

const DONE = { done: true, value: undefined } as const;

/** The messages of a session from now on; not an async generator, whose `return()` would wait for the next message. */
export function messageStream<T>(
  source: MessageSource<T>,
  { signal, limit = 1_024 }: MessagesOptions = {},
): AsyncIterableIterator<Message<T>> {
  const unread: Message<T>[] = [];
  const readers: Reader<T>[] = [];
  const unlisten: (() => void)[] = [];
  let ended = false;
  /** What the first read after the last message rejects with. */
  let failure: { reason: unknown } | undefined;

  const end = (why?: { reason: unknown }): void => {
    if (ended) return;
    ended = true;
    for (const off of unlisten) off();
    failure = why;
    for (const reader of readers.splice(0)) settle(reader);
  };
  const settle = ({ resolve, reject }: Reader<T>): void => {
    if (failure === undefined) return resolve(DONE);
    reject(failure.reason);
    failure = undefined;
  };
  const fail = (code: ClientError['code'], message: string): void =>
    end({ reason: new ClientError(code, message, { sessionId: source.id }) });
  const onState = (state: SessionState): void => {
    if (state.name !== 'stopped') return;
    const { reason, code = reason === 'forbidden' ? reason : 'stopped' } = state;
    if (reason === 'unsubscribed' || reason === 'closed') end();
    else fail(code, `ended by the gateway: ${reason}`);
  };

  unlisten.push(
    source.on('message', (message) => {
      const reader = readers.shift();
      if (reader !== undefined) reader.resolve({ done: false, value: message });
      else if (unread.length < limit) unread.push(message);
      else fail('queue_full', `more than ${limit} messages wait`);
    }),
    source.on('state', ({ state }) => onState(state)),
    onAbort(signal, (reason) => {
      unread.length = 0;
      end({ reason });
    }),
  );
  onState(source.state);
  // What ended before it was listened to has left its listeners on.
  if (ended) for (const off of unlisten) off();

  return {
    next: () =>
      new Promise((resolve, reject) => {
        const message = unread.shift();
        if (message !== undefined) resolve({ done: false, value: message });
        else if (ended) settle({ resolve, reject });
        else readers.push({ resolve, reject });
      }),
    return: () => {
      unread.length = 0;
      end();
      failure = undefined;
      return Promise.resolve(DONE);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
