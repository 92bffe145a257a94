import { MemoryControlLog } from '../../src/store/memory/control-log.js';
import { MemoryLoginStore } from '../../src/store/memory/login-store.js';
import { MemoryOneTimeStore } from '../../src/store/memory/one-time-store.js';
import { MemoryPrincipalMarks } from '../../src/store/memory/principal-marks.js';
import { FakeClock } from '../support/fake-clock.js';
import { type MakeLoginHarness, TEST_LOGIN_TIMINGS } from './login-harness.js';

export const memoryLoginHarness: MakeLoginHarness = async (overrides) => {
  const timings = { ...TEST_LOGIN_TIMINGS, ...overrides };
  const clock = new FakeClock();
  const store = new MemoryLoginStore({ clock, timings });
  const oneTime = new MemoryOneTimeStore({ clock });
  return {
    store,
    other: store,
    control: new MemoryControlLog(),
    oneTime,
    otherOneTime: oneTime,
    marks: new MemoryPrincipalMarks({ clock }),
    timings,
    age: async (_handle, ms) => clock.advance(ms),
    wait: async (ms) => clock.advance(ms),
    close: async () => {},
  };
};
