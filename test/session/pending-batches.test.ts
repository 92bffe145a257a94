import { describe, expect, it } from 'vitest';
import type { MessageBatch } from '../../src/session/message-ports.js';
import { PendingBatches } from '../../src/session/pending-batches.js';

function batch(offset: number, count = 1, bytes = 10): MessageBatch {
  const messages = Array.from({ length: count }, (_, index) => ({
    offset: offset + index,
    ephemeral: false,
    tail: Buffer.alloc(bytes),
    bytes,
  }));
  return { kind: 'messages', sessionId: 'doc:1', epoch: '1', atMs: 0, messages };
}

describe('pending batches', () => {
  it('are kept in order, up to 512 messages', () => {
    const pending = new PendingBatches();
    pending.add(batch(1, 500), 0);
    pending.add(batch(501, 20), 8);
    expect(pending.length).toBe(2);
    pending.add(batch(521), 0);
    expect(pending.length).toBe(2);
    const { batches, overflowed } = pending.take();
    expect(batches.map(({ from }) => from)).toEqual([0, 8]);
    expect(overflowed).toBe(true);
  });

  it('are kept up to 1 MiB', () => {
    const pending = new PendingBatches();
    for (let offset = 1; offset <= 20; offset++) pending.add(batch(offset, 1, 65_536), 0);
    expect(pending.length).toBe(16);
    pending.take();
    pending.add(batch(21), 0);
    expect(pending.take()).toMatchObject({ batches: [{ from: 0 }], overflowed: false });
  });
});
