export { simErrors } from './errors.ts'
export { createSimRandom, type SimRandom } from './random.ts'
export { createSimClock, type SimClock, type SimClockOptions } from './clock.ts'
export {
  createSimDisk,
  type DiskLatency,
  type DiskMount,
  type DiskSnapshot,
  type SimDisk,
  type SimDiskOptions,
} from './disk/disk.ts'
export type { ArmedFault, DiskCall, DiskFault, FaultEffect } from './disk/faults.ts'
export { failEachCall, type FailureSweep } from './fail-each-call.ts'
export { createSimProcess, type SimProcess } from './process.ts'
export {
  createSimWorld,
  replayCommand,
  simulate,
  type SimWorld,
  type SimWorldOptions,
  type Simulation,
  type SimulationReport,
} from './simulate.ts'
export { faultOf, findingOf, inputOf, type Corpus, type FuzzTarget } from './fuzz/index.ts'
