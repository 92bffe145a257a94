/**
 * At most one run of something at a time: who asks while it is under way gets the same promise. The run ends, well or
 * badly, because its work is bounded, and with it the guard.
 */
export class SingleFlight<T> {
  #flight: Promise<T> | undefined;

  /** @param work ends in bounded time */
  run(work: () => Promise<T>): Promise<T> {
    if (this.#flight !== undefined) return this.#flight;
    const flight = work().finally(() => {
      if (this.#flight === flight) this.#flight = undefined;
    });
    this.#flight = flight;
    return flight;
  }

  /** Who asks from now on does not join the run that is under way. */
  leave(): void {
    this.#flight = undefined;
  }
}
