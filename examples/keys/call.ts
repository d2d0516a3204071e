import { createClient } from 'millrace/client'
import type { app } from '../quickstart/app.ts'

/** Tracks an event as a page of the shop does, and reads as the shop's own server does. */
export async function call(url: string, keys: { web: string; backend: string }): Promise<unknown> {
  // #region call
  const headers = { origin: 'https://shop.example' } // a browser sends it by itself
  const page = createClient<typeof app>({ url, key: keys.web, headers })
  await page.track('watched', { viewer: 'ann', clip: 'c1', watchedMs: 9000 })

  const backend = createClient<typeof app>({ url, key: keys.backend })
  return backend.recommend('home', { person: 'ann' })
  // #endregion
}
