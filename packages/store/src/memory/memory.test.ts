import { testSnapshotStore } from '../suite.ts'
import { createMemorySnapshotStore } from './index.ts'

testSnapshotStore('memory', () => Promise.resolve(createMemorySnapshotStore()))
