/**
 * Takes secrets out of a rendered JSON line. It works on the text and not on the fields, so it also covers what no list
 * of fields can: error messages, stacks, URLs inside sentences. Every pattern matches characters that stand for
 * themselves in JSON, so the line stays valid.
 */

const REDACTED = '[redacted]';

const SECRET_KEYS =
  '(?:set-)?cookie|authorization|password|attempt_?id|(?:api|admin)_?key|signing_?keys|dpop_?key|ticket|login_?code|' +
  'sealed_?access|[a-z_]{0,32}secret|[a-z_]{0,32}token';

const RULES: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [new RegExp(`"(${SECRET_KEYS})":"(?:[^"\\\\]|\\\\.)*"`, 'gi'), `"$1":"${REDACTED}"`],
  // JSON and form data inside of text.
  [new RegExp(`\\\\"(${SECRET_KEYS})\\\\":\\s?\\\\"[^"\\\\]*`, 'gi'), `\\"$1\\":\\"${REDACTED}`],
  [new RegExp(`\\b(${SECRET_KEYS})=[^\\s"\\\\&;,]+`, 'gi'), `$1=${REDACTED}`],
  // Refresh tokens, tickets and login codes of the gateway; then whatever is offered as a ticket.
  [/hf(?:r1\.|[tc]_)[A-Za-z0-9_.-]{8,}/g, REDACTED],
  [/(holdfast\.ticket\.)[^\s"\\,;]+/gi, `$1${REDACTED}`],
  // What `crypto/seal.ts` made: key id, nonce, ciphertext.
  [/\b[\w-]{1,32}\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{22,}/g, REDACTED],
  // JWTs, also when cut off.
  [/(?:\b|(?<=%[0-9A-Fa-f]{2}))eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}/g, REDACTED],
  // Reconnect tokens: a uuid and a MAC.
  [/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[A-Za-z0-9_-]{8,}/gi, REDACTED],
  [/\b(Bearer|Basic)\s+[^\s"\\,;]+/gi, `$1 ${REDACTED}`],
  // URLs: the user's name and password, and the query.
  [/(:\/\/)[^\s"\\/@]+@/g, `$1${REDACTED}@`],
  [/((?:\b[a-z][a-z0-9+.-]{1,24}:\/|[\s":(])\/[^\s"\\?]{0,2048})\?[^\s"\\]+/gi, `$1?${REDACTED}`],
];

/** What every match of a rule contains. Most lines hold nothing of it, and the rules cost ten times as much. */
const SUSPICIOUS =
  /token|secret|password|authorization|cookie|attempt|(?:api|admin)_?key|signing|dpop|ticket|code["=\\]|sealed|hf[tc]_|hfr1|eyJ|bearer|basic|[?@]|-[0-9a-f]{12}\.|\.[\w-]{16}\./i;

export function censor(line: string): string {
  if (!SUSPICIOUS.test(line)) return line;
  let censored = line;
  for (const [pattern, replacement] of RULES) censored = censored.replace(pattern, replacement);
  return censored;
}
