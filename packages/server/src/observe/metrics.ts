/** The metrics of the service, in one registry: what is counted, and what is looked up when somebody asks. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Gate, Store, TokenManager } from 'rescind'
import { RecentDurations } from './recent-durations.js'

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export class Metrics {
  readonly registry = new Registry()
  /** By `route` (a pattern, never a path) and `status`. */
  readonly requests = new Histogram({
    name: 'rescind_http_request_duration_seconds',
    help: 'Time to answer, by route and status',
    labelNames: ['route', 'status'],
    buckets: SECONDS,
    registers: [this.registry],
  })
  /** By `answer` (allowed, or the code of a denial). */
  readonly checks = new Counter({
    name: 'rescind_checks_total',
    help: 'Checks of tokens by answer',
    labelNames: ['answer'],
    registers: [this.registry],
  })
  /** By `operation` (revoke, restore) and `scope` (token, claims, everything). */
  readonly changes = new Counter({
    name: 'rescind_changes_total',
    help: 'Revocations and restores made through this process',
    labelNames: ['operation', 'scope'],
    registers: [this.registry],
  })
  /** Of revocations that waited for every node: until the last of them had said so. */
  readonly propagation = new Histogram({
    name: 'rescind_propagation_seconds',
    help: 'From a revocation that waits for every node to the answer that all of them have it',
    buckets: SECONDS,
    registers: [this.registry],
  })
  /** The same of late. */
  readonly recentPropagation = new RecentDurations()
  readonly followers = new Gauge({
    name: 'rescind_event_followers',
    help: 'Connections that follow /events',
    registers: [this.registry],
  })

  constructor() {
    collectDefaultMetrics({ register: this.registry })
  }

  observePropagation(ms: number): void {
    this.propagation.observe(ms / 1000)
    this.recentPropagation.add(ms)
  }

  /** What the library counts by itself is read when somebody asks. */
  observe({ gate, manager, store }: { gate: Gate; manager: TokenManager; store: Store }): void {
    const { replica } = manager
    const registers = [this.registry]
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read())
        },
      })
    gauge('rescind_staleness_seconds', 'Time since the store last answered; -1 before it has', () => {
      const ms = replica?.stalenessMs ?? Infinity
      return Number.isFinite(ms) ? ms / 1000 : -1
    })
    gauge('rescind_fresh', '1 while answers from memory count as fresh', () =>
      replica?.isFreshWithin(replica.stalenessMaxMs) === true ? 1 : 0,
    )
    gauge('rescind_entries', 'Statements in memory', () => replica?.size ?? 0)
    new Gauge({
      name: 'rescind_store_up',
      help: '1 when the store answered just now',
      labelNames: ['kind'],
      registers,
      async collect() {
        this.set(
          { kind: store.kind },
          await store.ping().then(
            () => 1,
            () => 0,
          ),
        )
      },
    })
    // Counted by the gate since its start; a gauge would reset at nothing and be summed wrongly.
    new Counter({
      name: 'rescind_decisions_total',
      help: 'How checks were decided: fresh, strict, store; and when nobody could tell: stale, open, closed',
      labelNames: ['source'],
      registers,
      collect() {
        this.reset()
        for (const [source, count] of Object.entries(gate.counts)) this.inc({ source }, count)
      },
    })
  }
}
