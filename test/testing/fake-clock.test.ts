import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/testing/index.js';

describe('a fake clock', () => {
  const real = { setTimeout, setInterval, clearTimeout, clearInterval, now: Date.now, monotonic: performance.now };
  let clock: FakeClock;

  beforeEach(() => {
    clock = new FakeClock().install();
  });

  afterEach(() => clock.uninstall());

  it('runs what is due, in order, and what promises do in between', async () => {
    const heard: string[] = [];
    setTimeout(() => heard.push('20'), 20);
    setTimeout(() => heard.push('19'), 19);
    setTimeout(() => {
      heard.push('10');
      void Promise.resolve()
        .then(() => {})
        .then(() => setTimeout((text: string) => heard.push(text), 5, '15'));
    }, 10);
    await clock.advance(19);
    expect(heard).toEqual(['10', '15', '19']);
    await clock.advance(1);
    expect(heard).toEqual(['10', '15', '19', '20']);
    expect(clock.pending).toBe(0);
  });

  it('shows the time of the timer that runs', async () => {
    const [startMs, monotonicMs] = [Date.now(), performance.now()];
    let passed: number[] = [];
    setTimeout(() => (passed = [Date.now() - startMs, performance.now() - monotonicMs]), 1_234);
    await clock.advance(5_000);
    expect(passed.map(Math.round)).toEqual([1_234, 1_234]);
    expect(Date.now() - startMs).toBe(5_000);
  });

  it('repeats intervals until they are cleared, by handle or by number', async () => {
    let runs = 0;
    const interval = setInterval(() => runs++, 100);
    const timer: unknown = setTimeout(() => runs++, 50);
    clearTimeout(Number(timer));
    await clock.advance(350);
    expect(runs).toBe(3);
    clearInterval(interval);
    await clock.advance(1_000);
    expect(runs).toBe(3);
  });

  it('gives handles that Node code may hold', () => {
    const timer = setTimeout(() => {}, 1);
    expect(timer.unref().hasRef()).toBe(true);
    clearTimeout(timer);
    expect(timer.ref().hasRef()).toBe(false);
  });

  it('leaves timers alone that were set before it', async () => {
    clock.uninstall();
    let ran = false;
    const before = setTimeout(() => (ran = true), 5);
    const kept = new Promise((resolve) => setTimeout(resolve, 10));
    clock.install();
    clearTimeout(before);
    clearTimeout(undefined);
    await kept;
    expect(ran).toBe(false);
  });

  it('ends with an error where timers set one another without end', async () => {
    const again = () => setTimeout(again, 0);
    again();
    await expect(clock.advance(200_000)).rejects.toThrow('more than 100000 timers');
  });

  it('gives everything back, once', () => {
    expect(() => clock.install()).toThrow('installed already');
    clock.uninstall();
    clock.uninstall();
    expect({ setTimeout, setInterval, clearTimeout, clearInterval, now: Date.now, monotonic: performance.now }).toEqual(
      real,
    );
  });
});
