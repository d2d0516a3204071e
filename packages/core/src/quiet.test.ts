import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { quietStack, quietText } from './quiet.ts'

const SECRET = 'ana@example.org'

function thrown(make: () => void): unknown {
  try {
    make()
  } catch (error) {
    return error
  }
  return undefined
}

describe('an error without its message', () => {
  it('keeps its kind, its code and the line that threw', () => {
    const error = Object.assign(new RangeError(`no ${SECRET}\nat all`), { code: 'ENOENT' })
    assert.match(
      quietText(error),
      /^RangeError \[ENOENT\]: message withheld, at quiet\.test\.ts:\d+:\d+$/,
    )
    assert.match(quietStack(error), /^RangeError \[ENOENT\]: message withheld\n +at /)
  })

  it('has the first line of a file when the machine itself threw', () => {
    const error = thrown(() => void JSON.parse(`{"mail": ${SECRET}}`))
    assert.match(quietText(error), /^SyntaxError: message withheld, at quiet\.test\.ts:\d+:\d+$/)
    assert.equal(quietStack(error).includes('example'), false)
  })

  it('has no frames when the message is not the one that the stack began with', () => {
    const changed = new Error(`first ${SECRET}`)
    // The stack is written when it is first asked for.
    assert.ok(changed.stack?.includes(SECRET))
    changed.message = 'first'
    const replaced = new Error(`first ${SECRET}`)
    assert.ok(replaced.stack?.includes(SECRET))
    replaced.message = 'second'
    const like = new Error('like a frame')
    like.stack = `Error: like a frame\n    at a (/a.ts:1:1)\n${SECRET}`
    for (const error of [changed, replaced, like]) {
      assert.equal(quietStack(error), 'Error: message withheld')
      assert.equal(quietText(error), 'Error: message withheld')
    }
  })

  it('takes nothing from what is no error, from other names and from other codes', () => {
    assert.equal(quietText(SECRET), 'Thrown: message withheld')
    const named = Object.assign(new Error(SECRET), { name: SECRET, code: SECRET, stack: undefined })
    assert.equal(quietText(named), 'Error: message withheld')
  })
})
