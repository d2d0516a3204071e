/** The real log on a simulated disk: syncs and other calls fail, the disk runs full. A file of its own, so that two cores share them. */
import { scenario } from '../testing/file-log-suite.ts'

scenario(
  import.meta.url,
  { name: 'a sync of the journal fails', seeds: 12 },
  {
    losesPower: true,
    trouble: world => {
      const effect = world.random.next() < 0.5 ? 'drop' : 'fail'
      world.disk.inject({ on: 'sync', path: /journal/, nth: 1 + world.random.integer(40), effect })
    },
  },
)
scenario(
  import.meta.url,
  { name: 'any call fails', seeds: 12 },
  {
    losesPower: true,
    trouble: world => {
      const on = (['write', 'rename', 'remove', 'open', 'syncDirectory', 'read'] as const)[
        world.random.integer(6)
      ]
      if (on === undefined || on === 'read') return
      const effect = on === 'write' && world.random.next() < 0.5 ? 'short' : 'fail'
      world.disk.inject({ on, nth: 1 + world.random.integer(30), effect })
    },
  },
)
scenario(
  import.meta.url,
  { name: 'the disk runs full', seeds: 10 },
  {
    losesPower: true,
    trouble: world => world.disk.limitFree(world.random.integer(40_000)),
  },
)
