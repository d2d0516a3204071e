/**
 * Errors told without their messages: a message quotes what the code stumbled over, and that may be
 * personal. What is left tells a programmer where to look: the kind, the code of the system, and the
 * line that threw.
 */

const KIND = /^[A-Za-z_$][\w$]{0,63}$/
const CODE = /^[A-Z][A-Z0-9_]{1,63}$/
const FRAME = /^\s+at /
/** A frame that names a file of its own: `at fold (file:///app/views.ts:17:30)`. */
const PLACE = /(?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?([^/\\()]+:\d+:\d+)\)?$/

/** The error as one line: `RangeError [CODE]: message withheld, at views.ts:17:30`. */
export function quietText(error: unknown): string {
  const place = framesOf(error).flatMap(frame => PLACE.exec(frame)?.[1] ?? [])[0]
  return place === undefined ? headOf(error) : `${headOf(error)}, at ${place}`
}

/** The error with the frames of its stack, one a line. */
export function quietStack(error: unknown): string {
  return [headOf(error), ...framesOf(error)].join('\n')
}

function headOf(error: unknown): string {
  if (!(error instanceof Error)) return 'Thrown: message withheld'
  const { name, code } = error as { readonly name: unknown; readonly code?: unknown }
  const kind = typeof name === 'string' && KIND.test(name) ? name : 'Error'
  return `${kind}${typeof code === 'string' && CODE.test(code) ? ` [${code}]` : ''}: message withheld`
}

/** The frames; none when the stack does not begin with the message, which then may hide in it. */
function framesOf(error: unknown): readonly string[] {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return []
  const { message, stack } = error
  const head = stack.indexOf(message)
  const lines = head < 0 ? [] : stack.slice(head + message.length).split('\n')
  // What follows the message on its line would be a part of a longer one, from before it was changed.
  if (lines.shift() !== '' || !lines.every(line => FRAME.test(line))) return []
  return lines
}
