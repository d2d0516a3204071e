/**
 * Plants one fault in one source file while it is loaded, for the process that imports this file:
 * MILLRACE_PLANTED is JSON {file, find, replace}. The text must be there exactly once, so that a
 * fault whose place was rewritten is noticed.
 */
import { registerHooks } from 'node:module'

const { file, find, replace } = JSON.parse(process.env.MILLRACE_PLANTED)

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (!url.endsWith(file)) return loaded
    const parts = Buffer.from(loaded.source).toString('utf8').split(find)
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${find}`)
    return { ...loaded, source: parts.join(replace) }
  },
})
