import { ClientError } from '../errors.js';

/**
 * Repeats `work` once when the gateway took its credential for one that is over, after `renew`.
 * @throws whatever `renew`, or `work` the second time, throws
 */
export async function repaired<T>(work: () => Promise<T>, renew?: () => Promise<unknown>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'invalid_credential') throw error;
    await renew?.();
    return work();
  }
}
