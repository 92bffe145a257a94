import { describe, expect, it } from 'vitest';
import { type AddressedMessage, createPublisher, HoldfastError, type PublishResult } from '../../src/server/index.js';

const data = (messages: readonly AddressedMessage[]) => messages.map((message) => 'data' in message && message.data);

/** A gateway that answers when it is told to. */
class Destination {
  readonly requests: { messages: readonly AddressedMessage[]; answer: (result?: HoldfastError) => void }[] = [];
  #top = 0;

  publishMany(messages: readonly AddressedMessage[]): Promise<PublishResult[]> {
    return new Promise((resolve, reject) => {
      const results = () => messages.map(({ session_id }) => ({ session_id, offset: ++this.#top, epoch: 'e1' }));
      this.requests.push({ messages, answer: (error) => (error === undefined ? resolve(results()) : reject(error)) });
    });
  }

  async next(index: number): Promise<(typeof this.requests)[number]> {
    await expect.poll(() => this.requests.length).toBeGreaterThan(index);
    return this.requests[index] as (typeof this.requests)[number];
  }
}

describe('the publisher', () => {
  it('sends a lone message at once, and what comes meanwhile together in the next request, in order', async () => {
    const destination = new Destination();
    const publisher = createPublisher(destination);
    const first = publisher.publish('s:1', { data: 0 });
    const { messages, answer } = await destination.next(0);
    expect(messages).toMatchObject([{ session_id: 's:1', data: 0 }]);
    const rest = [1, 2, 3].map((n) => publisher.publish(`s:${n % 2}`, { data: n }));
    await new Promise(setImmediate);
    expect(destination.requests).toHaveLength(1);
    answer();
    expect(await first).toEqual({ session_id: 's:1', offset: 1, epoch: 'e1' });
    const second = await destination.next(1);
    expect(data(second.messages)).toEqual([1, 2, 3]);
    expect(new Set(second.messages.map((message) => message.idempotency_key)).size).toBe(3);
    second.answer();
    expect((await Promise.all(rest)).map(({ offset }) => offset)).toEqual([2, 3, 4]);
  });

  it('puts at most 1,000 messages and 1 MiB into a request', async () => {
    const destination = new Destination();
    const publisher = createPublisher(destination);
    const many = Array.from({ length: 2_500 }, (_, n) => publisher.publish('s', { data: n }));
    for (let index = 0; index < 3; index++) (await destination.next(index)).answer();
    await Promise.all(many);
    const large = Array.from({ length: 5 }, () => publisher.publish('s', { data: 'x'.repeat(400_000) }));
    for (let index = 3; index < 6; index++) (await destination.next(index)).answer();
    await Promise.all(large);
    expect(destination.requests.map(({ messages }) => messages.length)).toEqual([1_000, 1_000, 500, 2, 2, 1]);
  });

  it('refuses what it has no room for, until there is some', async () => {
    const destination = new Destination();
    const publisher = createPublisher(destination);
    const waiting = Array.from({ length: 40 }, () => publisher.publish('s', { data: 'x'.repeat(410_000) }));
    await expect(publisher.publish('s', { data: 'x'.repeat(410_000) })).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfterMs: 100,
    });
    for (let index = 0; index < 20; index++) (await destination.next(index)).answer();
    await Promise.all(waiting);
    const again = publisher.publish('s', { data: 'x'.repeat(410_000) });
    (await destination.next(20)).answer();
    expect(await again).toMatchObject({ offset: 41 });
  });

  it('holds at most 10,000 messages', async () => {
    const destination = new Destination();
    const publisher = createPublisher(destination);
    const waiting = Array.from({ length: 10_000 }, (_, n) => publisher.publish('s', { data: n }));
    await expect(publisher.publish('s', { data: 'more' })).rejects.toMatchObject({ code: 'rate_limited' });
    for (let index = 0; index < 10; index++) (await destination.next(index)).answer();
    expect((await Promise.all(waiting)).at(-1)).toMatchObject({ offset: 10_000 });
  });

  it('a message that no gateway takes fails alone, the others keep their order', async () => {
    const taken: unknown[] = [];
    const publisher = createPublisher({
      publishMany: async (messages) => {
        if (data(messages).includes('bad')) throw new HoldfastError('invalid_field', 'no');
        taken.push(...data(messages));
        return messages.map(({ session_id }) => ({ session_id, offset: taken.length, epoch: 'e1' }));
      },
    });
    const all = [1, 2, 'bad', 3, 4, 5].map((it) => publisher.publish('s', { data: it }));
    const outcomes = await Promise.allSettled(all);
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([true, true, false, true, true, true]);
    expect(taken).toEqual([1, 2, 3, 4, 5]);
  });

  it('passes on what became of each, and goes on after a request that failed', async () => {
    const error = { code: 'stale_epoch', message: 'another owner', retryable: false } as const;
    const replies: (() => PublishResult[])[] = [
      () => [{ session_id: 's', error }],
      () => {
        throw new HoldfastError('store_unavailable', 'away');
      },
      () => [{ session_id: 's', offset: 9, epoch: 'e1', duplicate: true }],
    ];
    const publisher = createPublisher({ publishMany: async () => replies.shift()?.() ?? [] });
    const publish = () => publisher.publish('s', { data: 1 });
    await expect(publish()).rejects.toMatchObject({ code: 'stale_epoch', message: 'another owner' });
    await expect(publish()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await publish()).toEqual({ session_id: 's', offset: 9, epoch: 'e1', duplicate: true });
    await expect(publish()).rejects.toMatchObject({ code: 'internal' });
  });

  it('closes when what waits is done with, and takes no more', async () => {
    const destination = new Destination();
    const publisher = createPublisher(destination);
    const published = publisher.publish('s', { data: 1 });
    let isClosed = false;
    const closed = publisher.close().then(() => (isClosed = true));
    await expect(publisher.publish('s', { data: 2 })).rejects.toMatchObject({ code: 'draining' });
    const { answer } = await destination.next(0);
    expect(isClosed).toBe(false);
    answer();
    await closed;
    await published;
  });
});
