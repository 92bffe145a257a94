/**
 * Walks a map round and round, two entries at a time, and drops what is over: a sweep that needs no timer and never
 * stops the process for a large map. Called at each use of the map, it comes by every entry once in half as many uses
 * as there are entries.
 */
export class Rounds<V> {
  readonly #map: Map<string, V>;
  readonly #isOver: (value: V, nowMs: number) => boolean;
  #walk: Iterator<[string, V]>;

  /** @param isOver called for each entry passed */
  constructor(map: Map<string, V>, isOver: (value: V, nowMs: number) => boolean) {
    this.#map = map;
    this.#isOver = isOver;
    this.#walk = map.entries();
  }

  step(nowMs: number): void {
    for (let i = 0; i < 2; i += 1) {
      const { done, value } = this.#walk.next();
      if (done) this.#walk = this.#map.entries();
      else if (this.#isOver(value[1], nowMs)) this.#map.delete(value[0]);
    }
  }
}
