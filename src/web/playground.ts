/** What the page asks of the server behind it, which stands for an application's backend. Not through the faulty network. */

export interface Capabilities {
  readonly logins: boolean;
  readonly killNode: boolean;
}

const BASE = new URL('playground/', new URL('.', location.href));

/** Nothing, where the server does not answer. */
export async function capabilities(): Promise<Capabilities> {
  const answer = await ask('GET', 'capabilities').catch(() => undefined);
  return { logins: answer?.['logins'] === true, killNode: answer?.['kill_node'] === true };
}

/** @returns a login code for this page @throws Error */
export async function createLogin(name: string): Promise<string> {
  const { login_code: code } = await ask('POST', 'logins', { name });
  if (typeof code !== 'string') throw new Error('the answer holds no login code');
  return code;
}

/** Ends a login as the application's backend does, or another device. @throws Error */
export async function endLogin(loginId: string): Promise<void> {
  await ask('POST', `logins/${encodeURIComponent(loginId)}/end`);
}

/** The node is started again after a few seconds. @throws Error */
export async function killNode(node: string): Promise<void> {
  await ask('POST', `nodes/${encodeURIComponent(node)}/kill`);
}

async function ask(method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(new URL(path, BASE), {
    method,
    ...(body !== undefined && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  if (response.ok) return answer;
  const { detail } = answer;
  throw new Error(typeof detail === 'string' ? detail : `HTTP ${response.status}`);
}
