/** What the application publishes, on its way to the store and back. */
import { HoldfastError } from '../protocol/errors.js';
import type { NewMessage, PublishResult } from '../protocol/http.js';
import { countRefusal, refusalOf, requireSize } from './message-checks.js';
import type { ItemResult } from './message-ports.js';
import type { Entry, MessageWriter } from './message-writer.js';
import { publicationOf } from './publication.js';
import type { SessionNode } from './session-node.js';

type Message = NewMessage & { session_id: string };

/** Never rejects: what becomes of each message is in its result. */
export function publish(node: SessionNode, writer: MessageWriter, messages: readonly Message[]) {
  return new Promise<PublishResult[]>((resolve) => {
    if (messages.length === 0) resolve([]);
    const publishing = new Publishing(node, messages.length, resolve);
    messages.forEach((message, index) => publishing.add(writer, message, index));
  });
}

/** The messages of one request. */
class Publishing {
  readonly node: SessionNode;
  readonly #results: PublishResult[];
  readonly #resolve: (results: PublishResult[]) => void;
  #left: number;

  constructor(node: SessionNode, count: number, resolve: (results: PublishResult[]) => void) {
    this.node = node;
    this.#results = new Array<PublishResult>(count);
    this.#resolve = resolve;
    this.#left = count;
  }

  add(writer: MessageWriter, message: Message, index: number): void {
    const { session_id: sessionId } = message;
    let entry: PublishedEntry;
    try {
      const item = publicationOf(sessionId, message, message);
      requireSize(item.bytes, this.node.deps.settingsOf(sessionId).maxMessageBytes);
      entry = new PublishedEntry(item, this, sessionId, index);
    } catch (error) {
      this.failed(sessionId, index, error);
      return;
    }
    writer.add(sessionId, entry);
  }

  tell(index: number, result: PublishResult): void {
    this.#results[index] = result;
    this.#left -= 1;
    if (this.#left === 0) this.#resolve(this.#results);
  }

  failed(sessionId: string, index: number, error: unknown): void {
    countRefusal(this.node, error);
    this.tell(index, { session_id: sessionId, error: this.#problem(error) });
  }

  #problem(error: unknown) {
    if (error instanceof HoldfastError) return { code: error.code, message: error.message, retryable: error.retryable };
    this.node.deps.log.error({ error }, 'message not published');
    return { code: 'internal', message: 'internal error', retryable: true } as const;
  }
}

class PublishedEntry implements Entry {
  readonly item: Entry['item'];
  readonly #publishing: Publishing;
  readonly #sessionId: string;
  readonly #index: number;

  constructor(item: Entry['item'], publishing: Publishing, sessionId: string, index: number) {
    this.item = item;
    this.#publishing = publishing;
    this.#sessionId = sessionId;
    this.#index = index;
  }

  written(result: ItemResult, epoch: string): void {
    if (!('offset' in result)) return this.failed(refusalOf(result.result));
    const published = { session_id: this.#sessionId, offset: result.offset, epoch };
    if (result.result === 'duplicate') return this.#publishing.tell(this.#index, { ...published, duplicate: true });
    this.#publishing.node.deps.telemetry.published('application', 1);
    this.#publishing.tell(this.#index, published);
  }

  failed(error: unknown): void {
    this.#publishing.failed(this.#sessionId, this.#index, error);
  }
}
