/** What is looked for when somebody first asks, and once for all of them; after a failure whoever comes next looks again. */
export function foundOnce<T>(find: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined
  return async () => {
    known ??= find()
    const finding = known
    try {
      return await finding
    } catch (error) {
      if (known === finding) known = undefined
      throw error
    }
  }
}
