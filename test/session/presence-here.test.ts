import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import { HoldfastError } from '../../src/protocol/errors.js';
import type { PresenceMessage } from '../../src/protocol/messages.js';
import { PresenceHere } from '../../src/session/presence-here.js';
import type { Presence, PresenceEntry } from '../../src/session/presence-ports.js';
import type { Subscriber } from '../../src/session/subscriber.js';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryPresenceStore } from '../../src/store/memory/presence-store.js';
import { silent } from '../support/silent.js';

const SID = 'room:1';
const GRACE_MS = 40;
const away = () => new HoldfastError('store_unavailable', 'away');

/** A connection that keeps the frames that it was sent. */
interface Person extends Subscriber {
  readonly frames: PresenceMessage[];
}

let connections = 0;

function person(name: string): Person {
  connections += 1;
  const frames: PresenceMessage[] = [];
  const fake = { id: `c_${connections}`, principal: name, open: true, frames };
  return Object.assign(fake, { send: (frame: PresenceMessage) => frames.push(frame) }) as unknown as Person;
}

/** `event count names`, in order. */
const told = ({ frames }: Person) =>
  frames.map(({ event, count, members = [] }) => {
    const names = members.map(({ principal }) => principal).sort();
    return [event, count, ...names].join(' ');
  });

/** Two nodes over one store; the bus delivers to the first. */
function startNodes(settings = { presence: true, exposePrincipals: true }, renewEveryMs = 60_000) {
  const bus = new MemoryBus();
  const store = new MemoryPresenceStore({ clock: systemClock, timings: { presenceTtlMs: 60_000 }, bus });
  const here = new Set<Subscriber>();
  const hub = {
    broadcast(_sessionId: string, message: PresenceMessage, to: (subscriber: Subscriber) => boolean) {
      for (const subscriber of here) if (to(subscriber)) subscriber.send(message);
    },
  };
  const node = { deps: { presence: store, log: silent, settingsOf: () => settings }, hub };
  const presence = new PresenceHere(node, renewEveryMs);
  bus.onEvent((event) => event.kind === 'presence' && presence.deliver(event));
  void bus.subscribe(SID);
  return {
    store,
    presence,
    enter: async (...people: Person[]) => {
      for (const one of people) {
        here.add(one);
        presence.entered(one, SID);
      }
      await vi.waitFor(() => expect(people.every(({ frames }) => frames.length > 0)).toBe(true), { interval: 1 });
    },
    leave: (one: Person, graceMs: number) => {
      here.delete(one);
      presence.left(one, SID, graceMs);
    },
    /** From another node. */
    elsewhere: (connectionId: string, principal: string): PresenceEntry => ({
      sessionId: SID,
      connectionId,
      principal,
    }),
  };
}

let nodes: ReturnType<typeof startNodes>;
let alice: Person;
let bob: Person;

beforeEach(() => {
  nodes = startNodes();
  alice = person('alice');
  bob = person('bob');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await nodes.presence.stop();
});

const restart = async (...options: Parameters<typeof startNodes>) => {
  await nodes.presence.stop();
  nodes = startNodes(...options);
};

/** Until events and answers that are under way have arrived. */
const settle = () => sleep(10);

describe('who enters', () => {
  it('is told who is there, and the others that it came', async () => {
    await nodes.enter(alice);
    await nodes.enter(bob);
    await settle();
    expect(told(alice)).toEqual(['present 1 alice', 'joined 2 bob']);
    expect(told(bob)).toEqual(['present 2 alice bob']);
    const joined = alice.frames[1];
    expect(joined).toMatchObject({ session_id: SID, members: [{ principal: 'bob', connections: 1 }] });
    expect(joined?.rev).toBeGreaterThan(alice.frames[0]?.rev ?? 0);
  });

  it('is told nothing where the namespace has no presence', async () => {
    await restart({ presence: false, exposePrincipals: true });
    nodes.presence.entered(alice, SID);
    await settle();
    expect(alice.frames).toEqual([]);
    expect((await nodes.store.read(SID)).count).toBe(0);
    nodes.leave(alice, 0);
  });

  it('is told only how many are there where principals are hidden', async () => {
    await restart({ presence: true, exposePrincipals: false });
    await nodes.enter(alice);
    await nodes.enter(bob);
    nodes.leave(bob, 0);
    await settle();
    expect(told(alice)).toEqual(['present 1', 'joined 2', 'left 1']);
    expect(alice.frames.every(({ members }) => members === undefined)).toBe(true);
  });

  it('and has closed before is not there', async () => {
    nodes.presence.entered(Object.assign(person('carol'), { open: false }), SID);
    await settle();
    expect((await nodes.store.read(SID)).count).toBe(0);
  });

  it('goes by the principal that it has by then, and by no later one', async () => {
    await restart(undefined, 5);
    const anonymous = Object.assign(person('anonymous-2'), { principal: 'anonymous-1' });
    await nodes.enter(anonymous);
    Object.assign(anonymous, { principal: 'anonymous-3' });
    const renew = vi.spyOn(nodes.store, 'renew');
    nodes.presence.start();
    await vi.waitFor(() => expect(renew).toHaveBeenCalled());
    expect((await nodes.store.read(SID)).members).toEqual([{ principal: 'anonymous-1', connections: 1 }]);
    nodes.leave(anonymous, 0);
    await vi.waitFor(async () => expect((await nodes.store.read(SID)).count).toBe(0));
  });

  it('together with others asks the store once', async () => {
    const join = vi.spyOn(nodes.store, 'join');
    const crowd = Array.from({ length: 300 }, (_, i) => person(`p${i}`));
    await nodes.enter(...crowd);
    expect(join).toHaveBeenCalledTimes(1);
    await settle();
    expect(crowd.map((one) => one.frames.length)).toEqual(crowd.map(() => 1));
    expect(crowd[0]?.frames[0]?.count).toBe(300);
  });
});

/** The answer of the next join is kept back. */
function holdJoin(): { reached: Promise<Presence>; go: () => void } {
  let go = () => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  const join = nodes.store.join.bind(nodes.store);
  let reach: (presence: Presence) => void;
  const reached = new Promise<Presence>((resolve) => {
    reach = resolve;
  });
  vi.spyOn(nodes.store, 'join').mockImplementationOnce(async (entry) => {
    const presence = await join(entry);
    reach(presence);
    await held;
    return presence;
  });
  return { reached, go };
}

describe('an answer that comes late', () => {
  it('is sent before the changes that overtook it', async () => {
    await nodes.enter(alice);
    const answer = holdJoin();
    const entering = nodes.enter(bob);
    await answer.reached;
    await nodes.store.join(nodes.elsewhere('c_x', 'carol'));
    await nodes.store.leave([nodes.elsewhere('c_x', 'carol')], 0);
    await settle();
    expect(bob.frames).toEqual([]);
    answer.go();
    await entering;
    await settle();
    expect(told(bob)).toEqual(['present 2 alice bob', 'joined 3 carol', 'left 2 carol']);
    expect(told(alice)).toEqual(['present 1 alice', 'joined 2 bob', 'joined 3 carol', 'left 2 carol']);
  });

  it('is asked for again when more overtook it than are kept', async () => {
    await nodes.enter(alice);
    const answer = holdJoin();
    const entering = nodes.enter(bob);
    await answer.reached;
    await nodes.store.renew(Array.from({ length: 1_100 }, (_, i) => nodes.elsewhere(`c_x${i}`, `p${i}`)));
    await settle();
    answer.go();
    await entering;
    await settle();
    expect(bob.frames).toMatchObject([{ event: 'present', count: 1_102 }]);
    expect(alice.frames.at(-1)?.count).toBe(1_102);
  });

  it('is of no use after a gap', async () => {
    await nodes.enter(alice);
    const answer = holdJoin();
    const entering = nodes.enter(bob);
    await answer.reached;
    const deliver = vi.spyOn(nodes.presence, 'deliver').mockImplementation(() => {});
    await nodes.store.join(nodes.elsewhere('c_x', 'carol'));
    await settle();
    deliver.mockRestore();
    nodes.presence.afterGap();
    answer.go();
    await entering;
    expect(told(bob)).toEqual(['present 3 alice bob carol']);
  });

  it('is of no use to one who has gone', async () => {
    const answer = holdJoin();
    nodes.presence.entered(alice, SID);
    await answer.reached;
    nodes.leave(alice, 0);
    answer.go();
    await vi.waitFor(async () => expect((await nodes.store.read(SID)).count).toBe(0));
    expect(alice.frames).toEqual([]);
  });
});

it('an event that comes again is not told again', async () => {
  await nodes.enter(alice);
  const deliver = vi.spyOn(nodes.presence, 'deliver');
  await nodes.store.join(nodes.elsewhere('c_x', 'carol'));
  await settle();
  const event = deliver.mock.calls.at(-1)?.[0];
  if (event !== undefined) nodes.presence.deliver(event);
  expect(told(alice)).toEqual(['present 1 alice', 'joined 2 carol']);
});

describe('who leaves', () => {
  it('and comes back in time was never away', async () => {
    await nodes.enter(alice);
    await nodes.enter(bob);
    nodes.leave(bob, GRACE_MS);
    const again = person('bob');
    await nodes.enter(again);
    await sleep(GRACE_MS + 20);
    expect(await nodes.store.sweep(0, 100)).toEqual({ ended: 1, more: false });
    await settle();
    expect(told(alice)).toEqual(['present 1 alice', 'joined 2 bob']);
    expect(told(again)).toEqual(['present 2 alice bob']);
    expect((await nodes.store.read(SID)).members).toContainEqual({ principal: 'bob', connections: 1 });
  });

  it('and enters again over the same connection is there', async () => {
    await nodes.enter(alice);
    await nodes.enter(bob);
    nodes.leave(bob, 0);
    bob.frames.length = 0;
    await nodes.enter(bob);
    await settle();
    expect(told(alice)).toEqual(['present 1 alice', 'joined 2 bob', 'left 1 bob', 'joined 2 bob']);
    expect((await nodes.store.read(SID)).count).toBe(2);
  });

  it('is gone also when it left before it was entered', async () => {
    nodes.presence.entered(alice, SID);
    nodes.presence.left(alice, SID, 0);
    nodes.presence.left(bob, SID, 0);
    await settle();
    expect((await nodes.store.read(SID)).count).toBe(0);
  });

  it('is not entered again by a renewal that was under way', async () => {
    await restart(undefined, 100);
    const crowd = Array.from({ length: 600 }, () => person('alice'));
    await nodes.enter(...crowd);
    const renew = nodes.store.renew.bind(nodes.store);
    let go = () => {};
    const renewal = vi.spyOn(nodes.store, 'renew').mockImplementationOnce(async (entries) => {
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      await renew(entries);
    });
    nodes.presence.start();
    await vi.waitFor(() => expect(renewal).toHaveBeenCalled());
    for (const one of crowd) nodes.leave(one, 0);
    go();
    await vi.waitFor(async () => expect((await nodes.store.read(SID)).count).toBe(0));
    await sleep(20);
    expect((await nodes.store.read(SID)).count).toBe(0);
  });
});

describe('a store that is away', () => {
  it('is told of who came and who went when it is back', async () => {
    await nodes.enter(alice);
    vi.spyOn(nodes.store, 'join').mockRejectedValueOnce(away());
    vi.spyOn(nodes.store, 'leave').mockRejectedValueOnce(away());
    nodes.leave(alice, 0);
    const entering = nodes.enter(bob);
    await settle();
    expect(bob.frames).toEqual([]);
    await entering;
    expect(told(bob)).toEqual(['present 1 bob']);
  });

  it('hears that somebody went before it hears that it came back', async () => {
    await nodes.enter(bob);
    const leave = vi.spyOn(nodes.store, 'leave').mockRejectedValueOnce(away());
    nodes.leave(bob, 0);
    bob.frames.length = 0;
    await nodes.enter(bob);
    await vi.waitFor(() => expect(leave).toHaveBeenCalledTimes(2));
    await settle();
    expect((await nodes.store.read(SID)).count).toBe(1);
  });

  it('in one part holds up nobody of another', async () => {
    const join = nodes.store.join.bind(nodes.store);
    const part = vi.spyOn(nodes.store, 'join').mockImplementation((entry) => {
      return entry.sessionId === SID ? join(entry) : Promise.reject(away());
    });
    nodes.presence.entered(alice, 'room:away');
    for (let i = 0; i < 600; i++) nodes.presence.entered(person(`p${i}`), 'room:away');
    await nodes.enter(bob);
    expect(told(bob)).toEqual(['present 1 bob']);
    part.mockRestore();
    await vi.waitFor(() => expect(alice.frames[0]?.event).toBe('present'));
  });
});

describe('renewal', () => {
  it('keeps the entries of connections that are here, and no others', async () => {
    await restart(undefined, 5);
    await nodes.enter(alice, bob);
    nodes.leave(bob, 60_000);
    await settle();
    const renew = vi.spyOn(nodes.store, 'renew');
    nodes.presence.start();
    await vi.waitFor(() => expect(renew.mock.calls.length).toBeGreaterThan(2));
    const renewed = new Set(renew.mock.calls.flatMap(([entries]) => entries.map(({ connectionId }) => connectionId)));
    expect([...renewed]).toEqual([alice.id]);
  });

  it('is repeated after one that failed', async () => {
    await restart(undefined, 5);
    await nodes.enter(alice);
    const renew = vi.spyOn(nodes.store, 'renew').mockRejectedValueOnce(away());
    nodes.presence.start();
    await vi.waitFor(() => expect(renew.mock.results.at(-1)?.type).toBe('return'));
    await vi.waitFor(() => expect(renew.mock.calls.length).toBeGreaterThan(1));
  });
});

describe('after a gap in the events', () => {
  it('who is there is told to those who missed something', async () => {
    await nodes.enter(alice);
    const deliver = vi.spyOn(nodes.presence, 'deliver').mockImplementation(() => {});
    await nodes.store.join(nodes.elsewhere('c_x', 'carol'));
    await settle();
    deliver.mockRestore();
    nodes.presence.afterGap();
    await vi.waitFor(() => expect(told(alice)).toEqual(['present 1 alice', 'present 2 alice carol']));
    await nodes.store.leave([nodes.elsewhere('c_x', 'carol')], 0);
    await vi.waitFor(() => expect(told(alice).at(-1)).toBe('left 1 carol'));
  });

  it('nothing is told where nothing was missed', async () => {
    await nodes.enter(alice);
    await nodes.enter(bob);
    await settle();
    nodes.presence.afterGap();
    await settle();
    await nodes.store.join(nodes.elsewhere('c_x', 'carol'));
    await settle();
    expect(told(alice)).toEqual(['present 1 alice', 'joined 2 bob', 'joined 3 carol']);
    expect(told(bob)).toEqual(['present 2 alice bob', 'joined 3 carol']);
  });

  it('who the store lost is entered again', async () => {
    await nodes.enter(alice, bob);
    const entries = [alice, bob].map(({ id, principal }) => nodes.elsewhere(id, principal));
    const deliver = vi.spyOn(nodes.presence, 'deliver').mockImplementation(() => {});
    await nodes.store.leave(entries, 0);
    await settle();
    deliver.mockRestore();
    nodes.presence.afterGap();
    await vi.waitFor(async () => expect((await nodes.store.read(SID)).count).toBe(2));
    await settle();
    expect(told(alice)).toEqual(['present 2 alice bob', 'present 2 alice bob']);
  });
});
