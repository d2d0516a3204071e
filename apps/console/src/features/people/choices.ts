import type { SlateItem } from '../../api.ts'
import { formatMinutes } from '../../ui/format.ts'
import { topicsOf } from '../catalogue/trending.tsx'

/** Surfaces that the desk shows. */
export type SurfaceName = 'home' | 'courses'

/** Something that can be done with a slot: an event of the product. */
export interface Choice {
  readonly label: string
  readonly type: string
  data(person: string, slot: SlateItem): Readonly<Record<string, unknown>>
}

/** Watching an item whose length is not known counts as this long. */
const WATCHED_MS_DEFAULT = 30_000

/** What can be done with the items of each surface. */
export const CHOICES: Readonly<Record<SurfaceName, readonly Choice[]>> = {
  home: [
    {
      label: 'Watch',
      type: 'watched',
      data: (viewer, slot) => ({
        viewer,
        clip: slot.id,
        watchedMs: numberOf(slot, 'durationMs') || WATCHED_MS_DEFAULT,
      }),
    },
    { label: 'Like', type: 'liked', data: (viewer, slot) => ({ viewer, clip: slot.id }) },
    { label: 'Hide', type: 'hid', data: (viewer, slot) => ({ viewer, clip: slot.id }) },
  ],
  courses: [
    { label: 'Enrol', type: 'enrolled', data: (learner, slot) => ({ learner, course: slot.id }) },
    {
      label: 'Study 20 min',
      type: 'studied',
      data: (learner, slot) => ({ learner, course: slot.id, minutes: 20 }),
    },
  ],
}

function numberOf(slot: SlateItem, field: string): number {
  const value = slot.attributes?.[field]
  return typeof value === 'number' ? value : 0
}

/** Topics, level and length of an item in one line. */
export function metaOf(slot: SlateItem): string {
  const minutes = numberOf(slot, 'minutes') || numberOf(slot, 'durationMs') / 60_000
  const level = slot.attributes?.['level']
  return [topicsOf(slot.attributes), typeof level === 'string' ? level : '', formatMinutes(minutes)]
    .filter(part => part !== '')
    .join(' · ')
}
