import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { expect, it, vi } from 'vitest';
import { Workers } from '../../src/ops/workers.js';
import { silent } from '../support/silent.js';

it('wait for the end of each also when one cannot be asked any more', async () => {
  const forked: EventEmitter[] = [];
  vi.spyOn(cluster, 'setupPrimary').mockReturnValue();
  vi.spyOn(cluster, 'fork').mockImplementation(() => {
    const worker = Object.assign(new EventEmitter(), { process: { kill: () => true } });
    forked.push(worker);
    return worker as unknown as Worker;
  });
  const workers = new Workers({ count: 2, nodeId: 'w', args: () => [], stopMs: 1_000, log: silent });
  const started = workers.start();
  forked[0]?.emit('message', { started: true });
  await started;

  let ended = false;
  const stopped = workers.stop().then(() => {
    ended = true;
  });
  forked[0]?.emit('error', new Error('EPIPE'));
  forked[0]?.emit('exit', 0, null);
  await new Promise(setImmediate);
  expect(ended).toBe(false);
  forked[1]?.emit('exit', 0, null);
  await stopped;
});
