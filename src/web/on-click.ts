/** Runs what a person asks for with a button. */
export type OnClick = (target: HTMLButtonElement, action: () => Promise<void> | void) => void;

/** @param done after each action, whatever became of it */
export function clicks(onError: (error: unknown) => void, done: () => void): OnClick {
  return (target, action) => {
    target.addEventListener('click', async () => {
      try {
        await action();
      } catch (error) {
        onError(error);
      }
      done();
    });
  };
}
