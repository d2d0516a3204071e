/** Runs the tasks of one name one after the other; those of different names run side by side. */
export class Turns {
  /** The last task of each name. */
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs a task after those of its name, whether they failed or not; gives what it gives. */
  async run(name: string, task: () => Promise<void>): Promise<void> {
    const before = this.#last.get(name) ?? Promise.resolve()
    const mine = before.then(task, task)
    this.#last.set(name, mine)
    try {
      await mine
    } finally {
      if (this.#last.get(name) === mine) this.#last.delete(name)
    }
  }

  /** Resolves when the tasks begun so far have ended, well or not. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#last.values())
  }
}
