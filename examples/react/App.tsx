import { ReconnectingBanner, useMessages, useOwnership, useSession } from 'holdfast-client/react';
import { useState } from 'react';

interface Note {
  text: string;
}

export function App() {
  const { session, state } = useSession<Note>('example:notes', { since: 'oldest' });
  const { isOwner, claim, takeOver, release, pending, error } = useOwnership(session);
  const messages = useMessages(session);
  const [problem, setProblem] = useState<string>();

  async function add(form: FormData) {
    setProblem(undefined);
    await session?.send({ text: form.get('text') as string }).catch((error: Error) => setProblem(error.message));
  }

  return (
    <main>
      <ReconnectingBanner />
      <h1>{isOwner ? 'You write' : 'You read along'}</h1>
      <p>
        {state.name} {error?.message ?? problem}
      </p>
      <button type="button" onClick={isOwner ? release : claim} disabled={pending}>
        {isOwner ? 'Stop writing' : 'Write'}
      </button>
      <button type="button" onClick={takeOver} disabled={pending || isOwner}>
        Take over
      </button>
      <ol>
        {messages.map(({ offset, data }) => (
          <li key={offset}>{data?.text}</li>
        ))}
      </ol>
      <form action={add}>
        <input name="text" aria-label="Note" required disabled={!isOwner} />
      </form>
    </main>
  );
}
