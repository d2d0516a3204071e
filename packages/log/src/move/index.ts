export { Move, type MovedPartition, type MoveSource } from './move.ts'
