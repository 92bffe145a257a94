import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { ClockWatch } from '../../src/ops/clock-watch.js';
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
  const clock = new ClockWatch({ log: silent });
  const heartbeat = new Heartbeat({ registry, report: () => report, clock, log: silent });
  const beat = vi.spyOn(registry, 'beat');
  onTestFinished(() => heartbeat.stop());
  return { heartbeat, registry, report, beat };
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

it('goes on after a failure, and knows it until a beat is taken', async () => {
  const { heartbeat, beat } = start();
  beat.mockRejectedValueOnce(new Error('away')).mockRejectedValueOnce(new Error('full'));
  await heartbeat.start();
  expect([heartbeat.failure, heartbeat.proven]).toEqual([new Error('away'), false]);
  await expect.poll(() => heartbeat.proven, { timeout: 5_000 }).toBe(true);
  expect([beat.mock.calls.length, heartbeat.failure]).toEqual([3, undefined]);
});

it('beats at once when the store was out of reach', async () => {
  const { heartbeat, beat } = start();
  await heartbeat.start();
  expect(heartbeat.proven).toBe(true);
  heartbeat.doubt();
  expect(heartbeat.proven).toBe(false);
  await expect.poll(() => heartbeat.proven).toBe(true);
  expect(beat).toHaveBeenCalledTimes(2);
});

it('leaves when it stops, also from under a beat that takes its time', async () => {
  const { heartbeat, registry, report, beat } = start();
  await heartbeat.start();
  const { beat: write } = MemoryNodeRegistry.prototype;
  beat.mockImplementation(async (said) => {
    await sleep(300);
    return write.call(registry, said);
  });
  report.connections = 1;
  await expect.poll(() => beat.mock.calls.length).toBe(2);
  await heartbeat.stop();
  await sleep(400);
  expect(await registry.list()).toEqual([]);
});
