const TEXT = `This is a simulated agent. It lives in the tab that owns the session and sends its answer word by word; the
gateway gives each word the next offset, keeps it, and delivers it to every tab. Reload this tab or another in the middle
of it, drop the connection, or take the session over from a second tab: who comes back gets exactly the words it missed,
in their order, and whoever owns the session then goes on from the last one. An owner that was overtaken cannot write
any more, however late it wakes up, so no word is said twice. That is all there is to say, and it was said in full.`;

/** The agent's answer, in the pieces that it sends: the same for the same prompt, so that another tab can go on with it. */
export function replyTo(prompt: string): string[] {
  return `You said “${prompt}”. ${TEXT.replace(/\n/g, ' ')}`.split(/(?<= )/);
}
