/** All benchmarks, by name. */
import type { Benchmark } from './benchmark.js'
import { bootstrap } from './benchmarks/bootstrap.js'
import { check } from './benchmarks/check.js'
import { fanout } from './benchmarks/fanout.js'
import { gate } from './benchmarks/gate.js'
import { http } from './benchmarks/http.js'
import { memory } from './benchmarks/memory.js'
import { propagation } from './benchmarks/propagation.js'
import { service } from './benchmarks/service.js'

export const BENCHMARKS: readonly Benchmark[] = [
  check,
  gate,
  http,
  service,
  propagation,
  bootstrap,
  fanout,
  memory,
]
