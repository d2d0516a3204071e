import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommandDefinition, RouteDefinition } from '../module.ts'
import { surface } from '@millrace/core'
import { audience, Clip, clips, clipsApp, rankedClips } from '../testing/clips-app.ts'
import { openTestProduct } from '../testing/open-product.ts'
import { recommendationCommands } from './commands.ts'

const command = (name: string): CommandDefinition =>
  recommendationCommands.find(entry => entry.name === name) as CommandDefinition

test('each command asks for a route that is there, and prints its answer for people', async () => {
  const ranked = surface({ items: Clip, ranker: rankedClips.ranker, explore: 0 })
  const product = await openTestProduct(clipsApp({ ranked }, rankedClips.features))
  try {
    await product.catalogue.put('clip', clips(150))
    await product.track(audience({ events: 300, people: 12, clips: 150, seed: 2 }))
    await product.settle()
    const run = async (
      name: string,
      values: readonly string[],
      options: Record<string, string | boolean>,
    ): Promise<{ text: string; body: unknown }> => {
      const { method, path, query = {} } = command(name).request({ arguments: values, options })
      let params: Record<string, string> = {}
      const route = product.routes.find(entry => {
        const pattern = new RegExp(`^${entry.path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`)
        const match = pattern.exec(path)
        if (entry.method !== method || match === null) return false
        params = Object.fromEntries(
          Object.entries(match.groups ?? {}).map(([key, value]) => [
            key,
            decodeURIComponent(value),
          ]),
        )
        return true
      }) as RouteDefinition
      const converted = Object.fromEntries(
        Object.entries(query).map(([key, value]) => [
          key,
          key === 'n' || key === 'limit'
            ? Number(value)
            : key === 'explain'
              ? value === 'true'
              : value,
        ]),
      )
      const told = await route.handle({ params, query: converted, body: undefined })
      const sent =
        told.bytes === undefined ? undefined : Buffer.from(told.bytes, 'latin1').toString()
      const body: unknown = JSON.parse(sent ?? JSON.stringify(told.body))
      const text = command(name).print(body, 60)
      for (const line of text.split('\n')) {
        // What is to be copied is never cut, and a position is one word.
        if (line.startsWith('      millrace ') || !line.trim().includes(' ')) continue
        assert.ok(line.length <= 60, `${name}: ${line}`)
      }
      return { text, body }
    }
    const answer = await run('recommend', [], {
      surface: 'home',
      person: 'p1',
      n: '5',
      explain: true,
    })
    assert.match(answer.text, /home for person p1/)
    assert.match(answer.text, /Clip \d+/)
    assert.match(answer.text, /because of Clip/)
    assert.match(answer.text, /exploration: 10 %/)
    assert.match((await run('recommend', [], { surface: 'home' })).text, /anybody \(nothing known/)
    assert.match((await run('similar', ['clip', 'c1'], { n: '3' })).text, /Clip/)
    assert.match((await run('trending', [], { n: '3' })).text, /Clip/)
    await product.recommendations.flush()
    const { answerId } = answer.body as { answerId: string }
    const brief = await run('explain', [answerId], { brief: true })
    const explained = await run('explain', [answerId], {})
    assert.ok(explained.text.startsWith(brief.text))
    assert.match(explained.text, /history then: (watched|rated) Clip/)
    assert.match(explained.text, /The same code and state give it again\. Candidates: shown 5,/)
    assert.match(explained.text, /behind clip\/c\d+:\n  forYou: transition clip\/c\d+ \d/)
    assert.match(explained.text, /More candidates: --after 15/)
    const { traced } = explained.body as { traced: { id: string }[] }
    const item = `clip/${traced[0]?.id ?? ''}`
    const whole = (await run('explain', [answerId], { item })).text
    assert.match(whole, new RegExp(`\\nbehind ${item}:\\n  forYou \\d\\.\\d{4}\\n    transition clip/c\\d+ `)) // prettier-ignore
    assert.ok(!whole.includes('More candidates'))
    const byFeatures = await run('recommend', [], { surface: 'ranked', person: 'p1', n: '5', explain: true }) // prettier-ignore
    assert.match(byFeatures.text, /ranked by plays \+\d\.\d\d; proposed: /)
    await product.recommendations.flush()
    const { answerId: id, items: [first] } = byFeatures.body as { answerId: string; items: { id: string }[] } // prettier-ignore
    const { text } = await run('explain', [id], { item: `clip/${first?.id}` })
    assert.match(text, /\n {2}taste \d\.\d{4}\n {4}acts \d/)
    assert.match(text, new RegExp(`\\n {6}millrace features explain taste.acts p1 --pair 'topic \\d' --at \\S+ --ends \\d+\\n`)) // prettier-ignore
    const behind = await run('explain', [answerId], { item, stage: 'forYou', n: '2' })
    assert.match(behind.text, /(watched|rated) +p\d+/)
  } finally {
    await product.close()
  }
})
