import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommandDefinition, RouteDefinition } from '../module.ts'
import { audience, clips, clipsApp } from '../testing/clips-app.ts'
import { openTestProduct } from '../testing/open-product.ts'
import { recommendationCommands } from './commands.ts'

const command = (name: string): CommandDefinition =>
  recommendationCommands.find(entry => entry.name === name) as CommandDefinition

test('each command asks for a route that is there, and prints its answer for people', async () => {
  const product = await openTestProduct(clipsApp())
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
      for (const line of text.split('\n')) assert.ok(line.length <= 60, `${name}: ${line}`)
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
    const behind = await run('explain', [answerId], { item, stage: 'forYou', n: '2' })
    assert.match(behind.text, /(watched|rated) +p\d+/)
  } finally {
    await product.close()
  }
})
