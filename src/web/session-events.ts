import { type ClientError, isSubscribed, type Session, type SessionState } from '../client/index.js';
import type { EventLog } from './event-log.js';
import { REASONS } from './words.js';

const owns = ({ name }: SessionState) => name === 'owner' || name === 'unconfirmed';

/** Tells the log what happens to a session. */
export function logSession(session: Session, log: EventLog, onProblem: (error: ClientError) => void): void {
  session.on('state', ({ state, previous }) => {
    if (state.name === 'owner' && previous.name !== 'owner') {
      log.add(`You are the owner, epoch ${state.ownership.ownerEpoch}`, 'good');
    }
    if (owns(previous) && isSubscribed(state) && !owns(state)) log.add('You are no longer the owner');
    if (state.name === 'unconfirmed') log.add('The node cannot be sure that you are the owner', 'problem');
  });
  session.on('ownership', ({ ownership, reason }) => {
    log.add(`Session ${ownership.state}: ${REASONS[reason] ?? reason} (rev ${ownership.rev})`);
  });
  session.on('reset', ({ offset }) => log.add(`What came before offset ${offset} is no longer all there`, 'problem'));
  session.on('lagged', ({ offset }) => log.add(`This tab reads too slowly: catching up from offset ${offset}`));
  session.on('presence', ({ event, members }) => {
    const names = (members ?? []).map(({ principal }) => principal).join(', ');
    if (event !== 'present') log.add(`${names === '' ? 'Somebody' : names} ${event}`);
  });
  session.on('error', onProblem);
}
