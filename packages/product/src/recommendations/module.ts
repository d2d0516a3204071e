/** The recommendations module: folds, surfaces, routes, commands and metrics. */
import type { Branch } from '@millrace/streams'
import { productErrors } from '../errors.ts'
import type { Catalogue } from '../catalogue/index.ts'
import {
  defineModule,
  type MetricDefinition,
  type ModuleContext,
  type ProductModule,
} from '../module.ts'
import type { Answer } from './answer.ts'
import { answerInBranch, type BranchAnswer, type BranchQuestion } from './branch-answers.ts'
import { branchSurfaceRoute } from './branch-routes.ts'
import { recommendationCommands } from './commands.ts'
import { recommendationStreams, type Exposure } from './events.ts'
import { itemStatsFold } from './item-stats-fold.ts'
import { explainAnswer, findExposure, type PastAnswer } from './past-answers.ts'
import { profileFold } from './profile-fold.ts'
import type { ProfileShard } from './profile-shard.ts'
import { Recommender, SCORING_VERSION, type ListAnswer, type ProfileView } from './recommender.ts'
import type { RecommendOptions } from './requests.ts'
import { recommendationRoutes } from './routes.ts'
import { AnswerTraces } from './trace/traces.ts'

/** What other modules and the host process may call. */
export interface Recommendations {
  /** Answers a surface and logs what was served; synchronous, from state in memory. */
  recommend(surface: string, options?: RecommendOptions): Answer
  similar(kind: string, id: string, options?: { n?: number | undefined }): ListAnswer
  trending(kind: string, options?: { n?: number | undefined }): ListAnswer
  popular(kind: string, options?: { n?: number | undefined }): ListAnswer
  /** What a person did last. */
  profile(person: string, limit: number): ProfileView
  /** The same from a shard of the profile fold, as of a moment for instance. */
  profileIn(shard: ProfileShard, person: string, limit: number): ProfileView
  /** Explains a past answer from its exposure; rejects with ANSWER_UNKNOWN, ANSWER_ERASED. */
  explainAnswer(answerId: string, person?: string): Promise<PastAnswer>
  /** How past answers came about. */
  readonly traces: AnswerTraces
  /** What a surface would answer in a branch; nothing is logged. Rejects as `answerInBranch`. */
  recommendIn(branch: Branch, question: BranchQuestion): Promise<BranchAnswer>
  /** The exposure of an answer's token; throws TOKEN_INVALID. */
  readToken(token: string): Exposure
  /** Names of the surfaces. */
  surfaces(): readonly string[]
  /** Waits until the exposures of all answers so far are written or dropped. */
  flush(): Promise<void>
}

/** The recommendations module. */
export function createRecommendations(): ProductModule<Recommendations> {
  return defineModule<Recommendations>({
    name: 'recommendations',
    errors: productErrors,
    uses: ['catalogue', 'features'],
    streams: recommendationStreams,
    folds: app => [profileFold(app), itemStatsFold(app)],
    commands: recommendationCommands,
    open(context) {
      const catalogue = context.modules.get('catalogue')?.api as Catalogue
      const recommender = new Recommender(context, catalogue)
      const api = createApi(context, recommender, catalogue)
      return {
        api,
        routes: [
          ...recommendationRoutes(context.app, api, (surface, options) =>
            recommender.recommendBytes(surface, options),
          ),
          ...(api.surfaces().length === 0
            ? []
            : [branchSurfaceRoute(api, context.streams.branches)]),
        ],
        metrics: metrics(recommender),
        close: async () => recommender.exposures.close(),
      }
    },
  })
}

function createApi(
  context: ModuleContext,
  recommender: Recommender,
  catalogue: Catalogue,
): Recommendations {
  const ports = {
    app: context.app,
    log: context.log,
    titleOf: (key: string) => recommender.titleOf(key),
    attributesOf: (key: string) => recommender.attributesOf(key),
  }
  const foldOf = (name: string) => context.streams.fold(name)
  const branchPorts = { ...context, catalogue, foldOf }
  return {
    recommend: (surface, options) => recommender.recommend(surface, options),
    similar: (kind, id, options) => recommender.similar(kind, id, options),
    trending: (kind, options) => recommender.trending(kind, options),
    popular: (kind, options) => recommender.popular(kind, options),
    profile: (person, limit) => recommender.profile(person, limit),
    profileIn: (shard, person, limit) => recommender.profileIn(shard, person, limit),
    async explainAnswer(answerId, person) {
      // The answer in question may have been given a moment ago.
      await recommender.exposures.flush()
      return explainAnswer(ports, await findExposure(ports, answerId, person))
    },
    traces: new AnswerTraces({
      ...ports,
      streams: context.streams,
      clock: context.clock,
      scoring: SCORING_VERSION,
      isKnown: key => recommender.isKnown(key),
      flush: () => recommender.exposures.flush(),
    }),
    recommendIn: (branch, question) => answerInBranch(branchPorts, branch, question),
    readToken: token => recommender.signer.read(token),
    surfaces: () => recommender.surfaceNames,
    flush: () => recommender.exposures.flush(),
  }
}

function metrics(recommender: Recommender): MetricDefinition[] {
  const counter = (name: string, help: string, read: () => number): MetricDefinition => ({
    name: `millrace_recommendations_${name}`,
    help,
    type: 'counter',
    collect: () => [{ value: read() }],
  })
  const { counters, exposures } = recommender
  return [
    counter('answers_total', 'Answers of surfaces.', () => counters.answers),
    counter('cold_starts_total', 'Answers without a history.', () => counters.coldStarts),
    counter('slots_total', 'Slots filled.', () => counters.slots),
    counter('explored_slots_total', 'Slots given to exploration.', () => counters.exploredSlots),
    counter('effect_failures_total', 'Effects that failed.', () => counters.effectFailures),
    counter('exposures_written_total', 'Exposures in the log.', () => exposures.counters.written),
    counter(
      'exposures_dropped_total',
      'Exposures dropped because the log took no more.',
      () => exposures.counters.dropped,
    ),
    {
      name: 'millrace_recommendations_term_failures_total',
      help: 'Candidates for which a term of a ranker threw or gave no number, and added nothing, since the process started.',
      type: 'counter',
      collect: () => [...(recommender.terms?.failures ?? [])].map(([term, value]) => ({ labels: { term }, value })), // prettier-ignore
    },
    {
      name: 'millrace_recommendations_state_bytes',
      help: 'Bytes of statistics and profiles in memory.',
      type: 'gauge',
      collect: () =>
        Object.entries(recommender.bytes).map(([part, value]) => ({ labels: { part }, value })),
    },
  ]
}
