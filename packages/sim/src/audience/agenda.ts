/** What happens next: a binary heap of moments, in two flat arrays. Ties go to the smaller number. */
export class Agenda {
  #atMs = new Float64Array(1_024)
  #who = new Int32Array(1_024)
  #count = 0

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Time of the next moment, Infinity when there is none. */
  get nextMs(): number {
    return this.#count === 0 ? Infinity : (this.#atMs[0] as number)
  }

  add(atMs: number, who: number): void {
    if (this.#count === this.#who.length) this.#grow()
    let at = this.#count++
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isAfter(parent, atMs, who)) break
      this.#move(parent, at)
      at = parent
    }
    this.#atMs[at] = atMs
    this.#who[at] = who
  }

  /** Takes the next moment and answers whose it is. There must be one. */
  take(): number {
    const taken = this.#who[0] as number
    const last = --this.#count
    const atMs = this.#atMs[last] as number
    const who = this.#who[last] as number
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= last) break
      const right = child + 1
      if (
        right < last &&
        this.#isAfter(child, this.#atMs[right] as number, this.#who[right] as number)
      ) {
        child = right
      }
      if (this.#isAfter(child, atMs, who)) break
      this.#move(child, at)
      at = child
    }
    this.#atMs[at] = atMs
    this.#who[at] = who
    return taken
  }

  #isAfter(at: number, atMs: number, who: number): boolean {
    const own = this.#atMs[at] as number
    return own > atMs || (own === atMs && (this.#who[at] as number) > who)
  }

  #move(from: number, to: number): void {
    this.#atMs[to] = this.#atMs[from] as number
    this.#who[to] = this.#who[from] as number
  }

  #grow(): void {
    const times = new Float64Array(this.#count * 2)
    times.set(this.#atMs)
    const whos = new Int32Array(this.#count * 2)
    whos.set(this.#who)
    this.#atMs = times
    this.#who = whos
  }
}
