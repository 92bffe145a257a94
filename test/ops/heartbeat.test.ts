import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Heartbeat } from '../../src/ops/heartbeat.js';
import type { NodeReport } from '../../src/ops/ports.js';
import { MemoryNodeRegistry } from '../../src/store/memory/node-registry.js';
import { FakeClock } from '../support/fake-clock.js';
import { silent } from '../support/silent.js';

function start() {
  const registry = new MemoryNodeRegistry({ clock: new FakeClock() });
  const report: NodeReport = {
    nodeId: 'n1',
    bootId: 'b1',
    version: '1',
    state: 'ready',
    connections: 0,
    leases: 0,
    configFingerprint: '',
  };
  const warnings: string[] = [];
  const log = { ...silent, warn: (_fields: object, message: string) => warnings.push(message) };
  const heartbeat = new Heartbeat({ registry, report: () => report, log });
  const beat = vi.spyOn(registry, 'beat');
  onTestFinished(() => heartbeat.stop());
  return { heartbeat, registry, report, beat, warnings };
}

it('tells what changed soon, and says nothing twice in a row', async () => {
  const { heartbeat, registry, report, beat } = start();
  await heartbeat.start();
  await sleep(1_200);
  expect(beat).toHaveBeenCalledTimes(1);
  report.connections = 5;
  await expect.poll(async () => (await registry.list())[0]?.connections).toBe(5);
  expect(beat).toHaveBeenCalledTimes(2);
});

it('goes on after a failure, which it tells once', async () => {
  const { heartbeat, beat, warnings } = start();
  beat.mockRejectedValueOnce(new Error('away')).mockRejectedValueOnce(new Error('away'));
  await heartbeat.start();
  expect(heartbeat.works).toBe(false);
  await expect.poll(() => heartbeat.works, { timeout: 5_000 }).toBe(true);
  expect([beat.mock.calls.length, warnings]).toEqual([3, ['heartbeat not written']]);
});

it('leaves when it stops, also from under a beat that takes its time', async () => {
  const { heartbeat, registry, report, beat } = start();
  await heartbeat.start();
  const { beat: write } = MemoryNodeRegistry.prototype;
  beat.mockImplementation(async (said) => {
    await sleep(300);
    await write.call(registry, said);
  });
  report.connections = 1;
  await expect.poll(() => beat.mock.calls.length).toBe(2);
  await heartbeat.stop();
  await sleep(400);
  expect(await registry.list()).toEqual([]);
});
