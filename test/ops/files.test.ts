import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { connectionsWithin, fileLimit } from '../../src/ops/file-limit.js';
import { FileShortage } from '../../src/ops/file-shortage.js';
import { silent } from '../support/silent.js';

function limits(line: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-limits-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'limits');
  writeFileSync(path, `Limit                     Soft Limit           Hard Limit           Units     \n${line}\n`);
  return path;
}

describe('the limit of open files', () => {
  it('is the soft one, where it is known', () => {
    expect(fileLimit(limits('Max open files            1024                 4096                 files     '))).toBe(
      1024,
    );
    expect(fileLimit(limits('Max open files            unlimited            unlimited            files     '))).toBe(
      undefined,
    );
    expect(fileLimit('/nowhere/at/all')).toBe(undefined);
  });

  it.each([
    ['unknown', 50_000, undefined, 0, 50_000],
    ['ample', 50_000, 65_536, 0, 50_000],
    ['short', 50_000, 1_024, 0, 960],
    ['short beside calls of the application', 50_000, 1_024, 64, 896],
    ['more than the connections need', 100, 1_024, 0, 100],
    ['hardly enough', 50_000, 128, 256, 32],
  ])('%s leaves room for connections', (_what, wanted, limit, outgoing, room) => {
    expect(connectionsWithin(wanted, limit, outgoing)).toBe(room);
  });
});

describe('a shortage of files', () => {
  afterEach(() => vi.useRealTimers());

  it('is told once, lasts while opening fails, and is told when it is over', () => {
    vi.useFakeTimers();
    const lines: unknown[] = [];
    const say = (fields: object) => lines.push((fields as { failures?: number }).failures ?? 'began');
    const shortage = new FileShortage({ ...silent, error: say, info: say });
    onTestFinished(() => shortage.stop());
    expect(shortage.noticed(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))).toBe(false);
    expect(shortage.lasts).toBe(false);
    for (let s = 0; s < 30; s += 1) {
      expect(shortage.noticed(Object.assign(new Error('files'), { code: s % 2 === 0 ? 'EMFILE' : 'ENFILE' }))).toBe(
        true,
      );
      vi.advanceTimersByTime(1_000);
      expect(shortage.lasts).toBe(true);
    }
    expect(lines).toEqual(['began']);
    vi.advanceTimersByTime(11_000);
    expect([shortage.lasts, lines]).toEqual([false, ['began', 30]]);
  });
});
