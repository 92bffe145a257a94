const SESSION_ID = /^[A-Za-z0-9._~:-]{1,128}$/;

export const SESSION_ID_RULE = '1 to 128 characters out of A-Z a-z 0-9 . _ ~ : -';

export function isSessionId(value: unknown): value is string {
  return typeof value === 'string' && SESSION_ID.test(value);
}

/** What stands before the first colon, by which settings and rights are given; `default` where there is none. */
export function namespaceOf(sessionId: string): string {
  const colon = sessionId.indexOf(':');
  return colon > 0 ? sessionId.slice(0, colon) : 'default';
}
