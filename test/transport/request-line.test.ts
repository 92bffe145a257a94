import { describe, expect, it } from 'vitest';
import { RequestLine } from '../../src/transport/request-line.js';

interface Request {
  shared: boolean;
  name: string;
}

function start(endsAtOnce: (request: Request) => boolean) {
  const started: string[] = [];
  let idle = 0;
  const line: RequestLine<Request> = new RequestLine(
    (request) => {
      started.push(request.name);
      if (endsAtOnce(request)) line.ended();
    },
    () => idle++,
  );
  return { line, started, idle: () => idle };
}

describe('a line of requests', () => {
  it('takes any number that end as they are started, in their order, and is idle once', () => {
    const { line, started, idle } = start(({ shared }) => shared);
    const names = Array.from({ length: 20_000 }, (_, index) => `send ${index}`);
    line.add({ shared: false, name: 'claim' });
    for (const name of names) line.add({ shared: true, name });
    expect(started).toEqual(['claim']);
    expect(idle()).toBe(0);
    line.ended();
    expect(started).toEqual(['claim', ...names]);
    expect(idle()).toBe(1);
  });

  it('starts one alone behind those that ended at once, and what comes later behind that', () => {
    const { line, started, idle } = start(({ shared }) => shared);
    for (const name of ['claim', 'send 1', 'send 2', 'release', 'send 3']) {
      line.add({ shared: name.startsWith('send'), name });
    }
    line.ended();
    expect(started).toEqual(['claim', 'send 1', 'send 2', 'release']);
    line.ended();
    expect(started).toEqual(['claim', 'send 1', 'send 2', 'release', 'send 3']);
    expect(idle()).toBe(1);
  });

  it('is idle when the only request ends as it is started', () => {
    const { line, idle } = start(() => true);
    line.add({ shared: true, name: 'send' });
    expect(idle()).toBe(1);
    line.add({ shared: false, name: 'claim' });
    expect(idle()).toBe(2);
  });
});
