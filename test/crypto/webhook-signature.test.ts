import { describe, expect, it } from 'vitest';
import {
  parseWebhookSecret,
  signWebhook,
  verifyWebhook,
  WebhookVerificationError,
} from '../../src/crypto/webhook-signature.js';

const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)] as const;
const NOW_S = 1_700_000_000;
const BODY = '{"type":"session.owned","text":"ä"}';

describe('a webhook', () => {
  it('is signed as the specification’s example is', () => {
    const secret = parseWebhookSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    const headers = signWebhook([secret], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}');
    expect(headers).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('is verified by who knows any of the secrets that it was signed with', () => {
    const headers = signWebhook([first, second], 'msg_1', NOW_S, BODY);
    for (const secrets of [[first], [second], [Buffer.alloc(24), second]]) verifyWebhook(secrets, headers, BODY, NOW_S);
    verifyWebhook([first], headers, Buffer.from(BODY), NOW_S);
    expect(() => verifyWebhook([Buffer.alloc(24)], headers, BODY, NOW_S)).toThrow(WebhookVerificationError);
  });

  it.each([
    ['another body', {}, `${BODY} `],
    ['another id', { 'webhook-id': 'msg_2' }, BODY],
    ['another time', { 'webhook-timestamp': String(NOW_S + 1) }, BODY],
    ['no signature', { 'webhook-signature': '' }, BODY],
    ['a signature of another version', { 'webhook-signature': 'v1a,AAAA' }, BODY],
    ['a signature cut short', { 'webhook-signature': 'v1,AAAA' }, BODY],
    ['no header', { 'webhook-signature': undefined }, BODY],
    ['a header twice', { 'webhook-id': ['msg_1', 'msg_1'] }, BODY],
    ['a time that is none', { 'webhook-timestamp': `${NOW_S}.0` }, BODY],
  ])('is refused with %s', (_name, changed, body) => {
    const headers = { ...signWebhook([first], 'msg_1', NOW_S, BODY), ...changed };
    expect(() => verifyWebhook([first], headers, body, NOW_S)).toThrow(WebhookVerificationError);
  });

  it.each([
    [-301, true],
    [-300, false],
    [300, false],
    [301, true],
  ])('that was signed %i s from now: refused is %s', (seconds, refused) => {
    const headers = signWebhook([first], 'msg_1', NOW_S + seconds, BODY);
    const verify = () => verifyWebhook([first], headers, BODY, NOW_S);
    if (refused) expect(verify).toThrow('too old or too new');
    else verify();
  });
});

describe('a webhook secret', () => {
  it.each([
    '',
    'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    'whsec_',
    'whsec_c2hvcnQ=',
    'whsec_not base64 at all, but long enough',
  ])('is not %j', (text) => {
    expect(() => parseWebhookSecret(text)).toThrow(TypeError);
  });

  it('of a wrong form is not repeated in the error', () => {
    expect(() => parseWebhookSecret('whsec_c2hvcnQ=')).toThrow(/^a webhook secret has 24 to 64 bytes$/);
  });
});
