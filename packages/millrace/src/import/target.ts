/** Chooses what the rows of a file become, when the user did not say it: the one thing that fits. */
import type { App, EventDefinition, ItemDefinition, PersonDefinition } from '@millrace/core'
import { importErrors } from './errors.ts'
import { fieldAliases, guessColumns } from './guess.ts'
import type { ImportTarget, MappingOptions } from './mapping.ts'

/** The target of a file with these columns; refuses when none or several fit (IMPORT_MAPPING_INVALID). */
export function chooseTarget(
  app: App,
  file: {
    readonly label: string
    readonly columns: readonly string[]
    /** The columns as messages list them. */
    readonly described: string
  },
  { map, atMs }: Pick<MappingOptions, 'map' | 'atMs'>,
): ImportTarget {
  const events = [...app.events.values()]
    .filter(event => !event.isTableChange)
    .map(event => event.definition)
  const tables = [...app.tables.values()].map(table => table.definition)
  const mapped = (definition: Definition): readonly string[] =>
    map === undefined
      ? Object.keys(guessColumns(definition, file.columns))
      : namesOf(definition, Object.keys(map))
  const fits = (definition: Definition): boolean => {
    const names = mapped(definition)
    if (map !== undefined && !names.every(name => isField(definition, name))) return false
    // Rows that say nothing about an item but its id are more likely what people did with it.
    const isBare =
      map === undefined &&
      definition.kind !== 'event' &&
      !names.some(name => name in definition.fields)
    return !isBare && requiredOf(definition).every(name => names.includes(name))
  }
  const isTimed = (event: EventDefinition): boolean =>
    map !== undefined || atMs !== undefined || mapped(event).includes('at')
  const timed = fullest(
    events.filter(event => fits(event) && isTimed(event)),
    mapped,
  )
  const kinds = timed.length > 0 ? [] : fullest(tables.filter(fits), mapped)
  // Nothing else fits: the mapping says that a time is missing, and how to tell it.
  const fitting = timed.length + kinds.length > 0 ? timed : fullest(events.filter(fits), mapped)
  if (fitting.length === 1) return { kind: 'event', name: (fitting[0] as EventDefinition).name }
  if (kinds.length === 1) return { kind: 'items', name: (kinds[0] as Definition).name }
  const names = (fitting.length > 0 ? fitting : kinds).map(definition => definition.name)
  throw importErrors.create('IMPORT_MAPPING_INVALID', {
    file: file.label,
    reason:
      names.length > 1
        ? `its rows could be ${names.join(' or ')}`
        : `no event or item kind of the app ${app.name} fits them`,
    next: helpFor(events, tables, file.described),
  })
}

/** Those that use the most columns: an event with fewer fields would lose some. */
function fullest<D extends Definition>(
  definitions: readonly D[],
  mapped: (definition: D) => readonly string[],
): readonly D[] {
  const most = Math.max(0, ...definitions.map(definition => mapped(definition).length))
  return definitions.filter(definition => mapped(definition).length === most)
}

type Definition = EventDefinition | ItemDefinition | PersonDefinition

function namesOf(definition: Definition, names: readonly string[]): readonly string[] {
  const aliases = definition.kind === 'event' ? fieldAliases(definition) : {}
  return names.map(name => (name in definition.fields ? name : (aliases[name] ?? name)))
}

function isField(definition: Definition, name: string): boolean {
  return (
    name === 'at' || name in definition.fields || (name === 'id' && definition.kind !== 'event')
  )
}

function requiredOf(definition: Definition): readonly string[] {
  const fields = Object.entries(definition.fields).filter(([, field]) => !field.isOptional)
  return [...(definition.kind === 'event' ? [] : ['id']), ...fields.map(([name]) => name)]
}

const SHOWN_MAX = 1_000

function helpFor(
  events: readonly EventDefinition[],
  tables: readonly Definition[],
  columns: string,
): string {
  const lines = [
    ...events.map(
      ({ name, fields }) => `--event ${name} --map ${wanted(['at', ...Object.keys(fields)])}`,
    ),
    ...tables.map(
      ({ name, fields }) => `--items ${name} --map ${wanted(['id', ...Object.keys(fields)])}`,
    ),
  ]
  const shown = columns.length > SHOWN_MAX ? `${columns.slice(0, SHOWN_MAX)}...` : columns
  return `Say what they are, by column name or number:\n  ${lines.join('\n  ')}\nThe columns: ${shown}.`
}

function wanted(names: readonly string[]): string {
  return names.map(name => `${name}=<column>`).join(',')
}
