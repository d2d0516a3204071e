/**
 * Guesses which column means which field, from its name alone. A guess is always said, and any
 * `--map` overrides it.
 */
import type { EventDefinition, ItemDefinition, PersonDefinition } from '@millrace/core'

const PERSON = words(
  'user userid person personid viewer viewerid customer customerid member memberid uid account ' +
    'accountid visitor visitorid reviewer reviewerid learner learnerid student studentid reader ' +
    'readerid player playerid subscriber subscriberid client clientid session sessionid',
)
const ITEM = words(
  'item itemid movie movieid product productid asin clip clipid article articleid course courseid ' +
    'video videoid track trackid song songid book bookid isbn content contentid post postid ' +
    'listing listingid news newsid show showid game gameid business businessid sku id',
)
const TIME = words(
  'at timestamp time ts date datetime eventtime eventtimestamp created createdat unixreviewtime ' +
    'publishedat published publishedtimestamp releasedate release occurredat when day',
)
const BY_FIELD: Readonly<Record<string, readonly string[]>> = {
  value: words('rating score stars overall weight strength points'),
  rating: words('score stars overall value'),
  title: words('name headline label coursetitle producttitle'),
  topics: words('genres genre topic tags categories category subjects subject'),
  genres: words('genre categories category topics'),
  creator: words('creatorid author authorid channel channelid instructor director publisher brand'),
  description: words('abstract overview summary text plot'),
  url: words('link href'),
}

/** The column of each field that a name gives away: `{field: column}`, `at` included. */
export function guessColumns(
  definition: EventDefinition | ItemDefinition | PersonDefinition,
  columns: readonly string[],
): Record<string, string> {
  const found: Record<string, string> = {}
  const free = new Set(columns)
  const take = (field: string, names: readonly string[]): void => {
    for (const name of names) {
      for (const column of free) {
        if (normalise(column) !== name) continue
        found[field] = column
        free.delete(column)
        return
      }
    }
  }
  const fields = Object.entries(definition.fields)
  const wanted: { name: string; synonyms: readonly string[] }[] = []
  if (definition.kind === 'event') {
    const others = fields.filter(([, field]) => field.ref !== undefined && field.ref !== 'person')
    for (const [name, field] of fields) {
      wanted.push({ name, synonyms: synonymsOf(name, field.ref, others.length === 1) })
    }
  } else {
    const kind = normalise(definition.name)
    const own = definition.kind === 'person' ? PERSON : ITEM
    wanted.push({ name: 'id', synonyms: [`${kind}id`, 'id', kind, ...own] })
    for (const [name, field] of fields) {
      const synonyms = synonymsOf(name, field.ref, false)
      wanted.push({ name, synonyms: [...synonyms, `${kind}${normalise(name)}`] })
    }
  }
  for (const { name } of wanted) take(name, [normalise(name)])
  for (const { name, synonyms } of wanted) if (!(name in found)) take(name, synonyms)
  if (!('at' in found)) take('at', TIME)
  return found
}

/** Field names as the options may call them: `person` and `item` stand for the fields that hold these ids. */
export function fieldAliases(definition: EventDefinition): Record<string, string> {
  const aliases: Record<string, string> = {}
  const fields = Object.entries(definition.fields)
  const people = fields.filter(([, field]) => field.ref === 'person')
  const others = fields.filter(([, field]) => field.ref !== undefined && field.ref !== 'person')
  if (!('person' in definition.fields) && people.length === 1) {
    aliases['person'] = (people[0] as [string, unknown])[0]
  }
  if (!('item' in definition.fields) && others.length === 1) {
    aliases['item'] = (others[0] as [string, unknown])[0]
  }
  return aliases
}

/** Whether a name is one that the guesses know: the sign of a header line. */
export function isKnownColumn(column: string): boolean {
  const name = normalise(column)
  const all = [PERSON, ITEM, TIME, Object.keys(BY_FIELD).map(normalise), ...Object.values(BY_FIELD)]
  return all.some(names => names.includes(name))
}

function synonymsOf(name: string, ref: string | undefined, isOnlyOther: boolean): string[] {
  const synonyms = [...(BY_FIELD[name] ?? [])]
  if (ref === 'person') synonyms.push(...PERSON)
  else if (ref !== undefined) {
    synonyms.push(normalise(ref), `${normalise(ref)}id`, ...(isOnlyOther ? ITEM : []))
  }
  return synonyms
}

function normalise(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

function words(text: string): readonly string[] {
  return text.split(' ')
}
