import { defineConfig } from 'vitest/config';

const LONG = 'test/**/*.long.test.ts';
const ALL = 'test/**/*.test.{ts,tsx}';

/** `vitest run --mode long`: the campaigns that `npm test` leaves out, so that it stays within five minutes. */
export default defineConfig(({ mode }) => ({
  test: {
    include: mode === 'long' ? [LONG] : [ALL],
    exclude: mode === 'long' ? [] : [LONG],
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
}));
