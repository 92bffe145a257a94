import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/protocol/error-codes.js';
import { type HttpOptions, httpApp } from '../../src/transport/http.js';
import { PUBLISH_PATHS } from '../../src/transport/routes/messages.js';
import { CONNECT_PATH } from '../../src/transport/upgrade.js';
import { FakeLoginApi } from './fake-login-api.js';
import { FakeSessions } from './fake-sessions.js';
import { QUIET } from './gateway.js';

const ROOT = resolve(import.meta.dirname, '../..');

interface Description {
  paths: Record<string, Record<string, unknown>>;
  components: { schemas: { ErrorCode: { enum: string[] } } };
}

/** `openapi.yaml`, made JSON by its own linter. */
function description(): Description {
  const folder = mkdtempSync(join(tmpdir(), 'openapi-'));
  try {
    const output = join(folder, 'openapi.json');
    const redocly = join(ROOT, 'node_modules/.bin/redocly');
    execFileSync(redocly, ['bundle', 'openapi.yaml', '--output', output], {
      cwd: ROOT,
      stdio: 'ignore',
      env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
    });
    return JSON.parse(readFileSync(output, 'utf8')) as Description;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Layer {
  route?: { path: string; methods: Record<string, boolean> };
  handle?: { stack?: Layer[] };
}

/** `get /v1/logins/{}` for every route of express, in routers too. */
function served(layers: readonly Layer[]): string[] {
  return layers.flatMap(({ route, handle }) => {
    if (route === undefined) return served(handle?.stack ?? []);
    // It answers everything but an upgrade alike.
    const methods = route.path === CONNECT_PATH ? ['get'] : Object.keys(route.methods);
    return methods.filter((method) => method !== '_all').map((method) => `${method} ${pathOf(route.path)}`);
  });
}

function pathOf(path: string): string {
  return path.replaceAll(/:\w+|\{\w+\}/g, '{}');
}

it('describes the routes that there are, and no others', () => {
  const options: HttpOptions = {
    sessions: new FakeSessions(),
    logins: new FakeLoginApi(),
    jwks: () => ({ keys: [] }),
    origins: { allowed: [], allowLoopback: false },
    apiKeyHashes: [],
    page: [],
    log: QUIET,
  };
  const { paths, components } = description();
  const described = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).flatMap((key) => (key === 'parameters' ? [] : [`${key} ${pathOf(path)}`])),
  );
  const plain = PUBLISH_PATHS.map((path) => `post ${pathOf(path)}`);
  const routes = [...served(httpApp(options).router.stack as unknown as Layer[]), ...plain];
  expect(described.toSorted()).toEqual(routes.toSorted());
  expect(routes).toContain('post /v1/logins/{}/upstream');
  expect(components.schemas.ErrorCode.enum.filter((code) => !Object.hasOwn(ERROR_CODES, code))).toEqual([]);
});
