import { MemoryLoginStore } from '../../src/store/memory/login-store.js';
import { MemoryUpstreamGrants } from '../../src/store/memory/upstream-grants.js';
import { createLogin } from '../support/create-login.js';
import { FakeClock } from '../support/fake-clock.js';
import { upstreamGrantsContract } from './upstream-grants.contract.js';

upstreamGrantsContract('memory', async () => {
  const clock = new FakeClock();
  const timings = { reuseIntervalMs: 30_000, retentionMs: 60_000, maxAuditEvents: 1_000, maxLoginsPerPrincipal: 100 };
  const logins = new MemoryLoginStore({ clock, timings });
  const grants = new MemoryUpstreamGrants({ clock, logins });
  return {
    grants,
    other: grants,
    login: (maxMs) => createLogin(logins, maxMs),
    endLogin: async (handle) => {
      await logins.end(handle, 'logout');
    },
    events: (handle) => logins.events(handle),
    wait: async (ms) => clock.advance(ms),
    close: async () => {},
  };
});
