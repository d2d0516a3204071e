// #region put
/** Puts a clip, as the product's own server does. */
export async function putClip(url: string): Promise<void> {
  await fetch(`${url}/v1/items/clip/c1`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ topics: ['pasta', 'cooking'], durationMs: 20_000 }),
  })
}
// #endregion

// #region read
/** What a model that ranks clips for Ana reads: a row for each clip. */
export async function readRows(url: string): Promise<unknown> {
  const answer = await fetch(`${url}/v1/features/read`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      service: 'ranking',
      rows: [
        { person: 'ana', clip: 'c1' },
        { person: 'ana', clip: 'c2' },
      ],
      context: { hour: 20 },
    }),
  })
  return await answer.json()
}
// #endregion
