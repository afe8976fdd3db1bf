/** All benchmarks, by name. */
import type { Benchmark } from './benchmark.js'
import { check } from './benchmarks/check.js'
import { memory } from './benchmarks/memory.js'
import { verify } from './benchmarks/verify.js'

export const BENCHMARKS: readonly Benchmark[] = [check, verify, memory]
