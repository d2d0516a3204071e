/**
 * The figures of the first recommender. They were chosen on the validation parts of MovieLens-1M and
 * MovieLens-small together (hold out the last ten positives of each person, then tune on the ten
 * before them). The parts that `bench/recommend-quality.ts` reports were looked at as well while the
 * first versions were compared, so its figures may flatter a little. Where the two data sets
 * disagreed, a value between was taken: most of these are flat around the value.
 */

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** How events become item statistics. A change is another version of the `item-stats` fold. */
export const STATISTICS_DEFAULTS = {
  /** Half-life of popularity. Long: "what people like". */
  popularHalfLifeMs: 180 * DAY_MS,
  /** Half-life of trending. Short: "what people turn to now". */
  trendingHalfLifeMs: 2 * DAY_MS,
  /**
   * Half-life of transitions and co-occurrence, within a row. 730 days were equal on the larger data
   * set and a third worse on the one that spans twenty years.
   */
  relatedHalfLifeMs: 3_650 * DAY_MS,
  /** An event relates to this many distinct items that the person acted on before. */
  contextItems: 8,
  /** The transition from the r-th item before weighs r^-this. */
  contextExponent: 0.5,
  /** A gap between two interactions shrinks their transition with this half-life... */
  gapHalfLifeMs: DAY_MS,
  /** ...but not below this share. */
  gapShareMin: 0.2,
  /** Transitions kept per item. */
  nextMax: 256,
  /** Co-occurring items kept per item. */
  nearMax: 64,
} as const

/** How statistics and a person's history become scores. */
export const SCORING_DEFAULTS = {
  /** The newest distinct items of the history that count. */
  historyItems: 20,
  /** The r-th newest item counts 2^(-r / this). */
  rankHalfLife: 4,
  /** An item of the history that is older than the newest by this counts half... */
  ageHalfLifeMs: 90 * DAY_MS,
  /** ...but not below this share. */
  ageShareMin: 0.25,
  /** A row's transitions are divided by (its total + shrink)^sourceExponent: rows with little evidence count less. */
  sourceShrink: 50,
  sourceExponent: 0.8,
  /** A candidate's score is divided by (its count + popularityShrink)^popularityExponent. */
  popularityShrink: 5,
  popularityExponent: 0.2,
  /** Co-occurrence is divided by the root of (count a + shrink) (count b + shrink): the cosine, shrunk. */
  similarShrink: 5,
  /** What each built-in source adds for a candidate whose normalised score is 1. */
  sourceWeights: { forYou: 1, because: 0.1, trending: 0.05, popular: 0.05, fresh: 0.02 },
} as const
