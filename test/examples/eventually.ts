import { expect } from 'vitest';

/** Polls for as long as other tests may keep the machine busy. */
export const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 });
