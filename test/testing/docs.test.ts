import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FakeGateway } from '../../src/testing/index.js';

const text = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const docs = text('../../docs/testing.md');

describe('docs/testing.md', () => {
  it.each(['example-taken-over', 'example-clock'])('shows %s as it is run', (example) => {
    const code = text(`./${example}.test.ts`)
      .replace('../../src/client/index.js', 'holdfast-client')
      .replace('../../src/testing/index.js', 'holdfast-client/testing');
    expect(docs).toContain(`\`\`\`ts\n${code}\`\`\``);
  });

  it('names everything that the gateway does when told', () => {
    const members = Object.getOwnPropertyDescriptors(FakeGateway.prototype);
    const verbs = Object.entries(members).flatMap(([name, { value }]) => (typeof value === 'function' ? [name] : []));
    const told = new Set(['constructor', 'session', 'sent']);
    for (const verb of verbs.filter((name) => !told.has(name))) expect(docs).toContain(`\`${verb}(`);
  });
});
