import { describe, expect, it, onTestFinished } from 'vitest';
import { keyPrints } from '../../src/config/fingerprint.js';
import { Peers } from '../../src/ops/peers.js';
import type { ListedNode } from '../../src/ops/ports.js';
import { silent } from '../support/silent.js';

const [A, B] = ['a', 'b'].map((letter) => letter.repeat(32)) as [string, string];

function node(nodeId: string, secret: string | undefined, rest: Partial<ListedNode> = {}): ListedNode {
  const keys = keyPrints({ secret, signingKeys: undefined });
  const facts = {
    version: '1',
    connections: 0,
    leases: 0,
    configFingerprint: '',
    silentMs: 0,
    state: 'ready',
  } as const;
  return { nodeId, bootId: nodeId, ...facts, ...(keys && { keys }), ...rest };
}

function peersOf(secret: string | undefined, ...others: ListedNode[]) {
  const fleet = { nodes: [node('self', secret), ...others], fails: false };
  const lines: string[] = [];
  const say = (_fields: object, message: string) => lines.push(message);
  const peers = new Peers({
    registry: {
      async list() {
        if (fleet.fails) throw new Error('away');
        return fleet.nodes;
      },
    },
    bootId: 'self',
    keys: keyPrints({ secret, signingKeys: undefined }),
    log: { ...silent, error: say, info: say },
  });
  onTestFinished(() => peers.stop());
  return { peers, fleet, lines };
}

const FINE = { reasons: [], degraded: [] };
const OUT = { reasons: ['secrets_differ'], degraded: [] };
const DEGRADED = { reasons: [], degraded: ['secrets_differ'] };

describe('a node', () => {
  it.each([
    ['alone', A, []],
    ['among nodes with its secret', A, [node('n1', A), node('n2', A)]],
    ['whose new key the others verify', `new:${B},old:${A}`, [node('n1', `old:${A},new:${B}`)]],
    ['that makes up its secret', undefined, [node('n1', A)]],
    ['beside one of a version that tells nothing', A, [node('n1', undefined)]],
    ['beside one that is lost', A, [node('n1', B, { silentMs: 15_001 })]],
  ])('is fine %s', async (_where, secret, others) => {
    const { peers, lines } = peersOf(secret, ...others);
    await peers.start();
    expect([peers.verdict(), lines]).toEqual([FINE, []]);
  });

  it('that comes with another secret than those that are ready is not ready until it agrees', async () => {
    const { peers, fleet, lines } = peersOf(B, node('n1', A), node('n2', A));
    await peers.start();
    await peers.look();
    expect(peers.verdict()).toEqual(OUT);
    expect(lines).toEqual([expect.stringContaining('this one is not ready')]);
    fleet.nodes = [node('n3', B)];
    await peers.look();
    expect(peers.verdict()).toEqual(FINE);
    expect(lines).toHaveLength(2);
  });

  it('stays out while the others are not listed again after an outage, and comes in when they are gone', async () => {
    const { peers, fleet, lines } = peersOf(B, node('n1', A));
    await peers.start();
    const others = fleet.nodes;
    for (let outages = 0; outages < 2; outages += 1) {
      fleet.nodes = [];
      await peers.look();
      expect(peers.verdict()).toEqual(OUT);
      fleet.nodes = others;
      await peers.look();
      expect(peers.verdict()).toEqual(OUT);
    }
    expect(lines).toHaveLength(1);
    fleet.nodes = [];
    await peers.look();
    await peers.look();
    expect(peers.verdict()).toEqual(FINE);
    expect(lines).toHaveLength(2);
  });

  it('that was there before stays ready and says so', async () => {
    const { peers, fleet, lines } = peersOf(A);
    await peers.start();
    fleet.nodes.push(node('late', B, { state: 'not_ready' }));
    await peers.look();
    expect(peers.verdict()).toEqual(DEGRADED);
    expect(lines).toEqual([expect.stringContaining('give all the same HOLDFAST_SECRET')]);
  });

  it('that agrees with one that is ready is ready too', async () => {
    const { peers } = peersOf(A, node('n1', A), node('wrong', B));
    await peers.start();
    expect(peers.verdict()).toEqual(DEGRADED);
  });

  it('whose own signatures nobody verifies differs, though it verifies theirs', async () => {
    const { peers } = peersOf(`new:${B},old:${A}`, node('n1', A));
    await peers.start();
    expect(peers.verdict()).toEqual(OUT);
  });

  it('stays as it was judged while the store is away', async () => {
    const { peers, fleet } = peersOf(B, node('n1', A));
    await peers.start();
    fleet.fails = true;
    await peers.look();
    expect(peers.verdict()).toEqual(OUT);
  });
});

it('a fingerprint says nothing of the secret and is that of its value, not of its name', () => {
  const { signs = [], verifies = [] } =
    keyPrints({ secret: `x:${A},y:${B}`, signingKeys: `k:${'c'.repeat(43)}` }) ?? {};
  expect([signs.length, verifies.length]).toEqual([2, 3]);
  expect(signs[0]).toMatch(/^[0-9a-f]{12}$/);
  expect(keyPrints({ secret: A, signingKeys: undefined })?.signs).toEqual(signs.slice(0, 1));
});
