/** Serves the page of these tests: a few files that the browser gets through HAProxy, as those of an application. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bundleClient } from '../../scripts/bundle.js';

export interface PageServer {
  readonly port: number;
  stop(): Promise<void>;
}

export async function servePage(): Promise<PageServer> {
  const file = (name: string) => readFile(new URL(`page/${name}`, import.meta.url));
  const files = new Map([
    ['/', { type: 'text/html', body: await file('index.html') }],
    ['/empty.html', { type: 'text/html', body: Buffer.from('<!doctype html><title>Elsewhere</title>') }],
    ['/probe.js', { type: 'text/javascript', body: await file('probe.js') }],
    ['/client.js', { type: 'text/javascript', body: await bundleClient('iife') }],
  ]);
  const server = createServer(({ url = '/' }, response) => {
    const found = files.get(url.replace(/\?.*/, ''));
    if (found === undefined) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': found.type }).end(found.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}
