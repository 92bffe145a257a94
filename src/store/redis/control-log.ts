import type { NoticeLog } from '../../lib/notice-log.js';
import type { ControlNotice } from '../../login/ports.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';

const KEPT = 10_000;
const START = '0-0';

/** A stream. A position is the id of the last entry that was read; one notice may stand there twice. */
export class RedisControlLog<Notice = ControlNotice> implements NoticeLog<Notice> {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  async append(notice: Notice): Promise<void> {
    const { commands, keys, telemetry } = this.#connection;
    const text = JSON.stringify(notice);
    await call(telemetry, 'xadd', () => commands.xadd(keys.control, 'MAXLEN', '~', KEPT, '*', 'notice', text));
  }

  async end(): Promise<string> {
    const { commands, keys, telemetry } = this.#connection;
    const [newest] = await call(telemetry, 'xrevrange', () => commands.xrevrange(keys.control, '+', '-', 'COUNT', 1));
    return newest?.[0] ?? START;
  }

  async read(position: string): Promise<{ notices: Notice[]; position: string }> {
    const { commands, keys, telemetry } = this.#connection;
    const entries = await call(telemetry, 'xrange', () => commands.xrange(keys.control, `(${position}`, '+'));
    return {
      notices: entries.flatMap(([, fields]) => noticeIn<Notice>(fields)),
      position: entries.at(-1)?.[0] ?? position,
    };
  }
}

/** None in an entry of a form that this version cannot read: it must not keep those behind it from being read. */
function noticeIn<Notice>([name, text = '']: readonly string[]): Notice[] {
  if (name !== 'notice') return [];
  try {
    const notice: unknown = JSON.parse(text);
    return typeof notice === 'object' && notice !== null ? [notice as Notice] : [];
  } catch {
    return [];
  }
}
