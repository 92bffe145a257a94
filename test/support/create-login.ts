import { randomBytes, randomUUID } from 'node:crypto';
import { loginHandle, newLoginId, principalHandle } from '../../src/login/handles.js';
import type { LoginStore } from '../../src/login/ports.js';

/** A new login of a principal of its own. @returns its handle */
export async function createLogin(logins: LoginStore, maxMs = 3_600_000): Promise<string> {
  const loginId = newLoginId();
  const handle = loginHandle(loginId);
  const principal = `user-${randomUUID()}`;
  const { result } = await logins.create({
    handle,
    loginId,
    chosen: false,
    requestHash: '',
    principal,
    principalHandle: principalHandle(principal),
    attributes: '{}',
    rights: '[]',
    idleMs: maxMs,
    maxMs,
    expiresAtMs: 0,
    tokenHash: randomBytes(32).toString('base64url'),
  });
  if (result !== 'created') throw new Error(`the login was not created: ${result}`);
  return handle;
}
