/**
 * Answers a gateway that asks whether a request may pass: 200 with the identity of who asks, or the denial.
 *
 * Everything is decided by the path of the question, as it was sent, and by headers; its query string is the client's
 * (Caddy appends it) and its body too, so neither is read. A question is answered before any other route of the service
 * is looked at: those match a path after resolving it, and `/verify/envoy/x/../../../healthz` must not be healthy. And it
 * is answered on the socket itself: a `Request` and a `Response` for each cost as much as all the rest.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Denial, Verdict } from 'rescind'
import { requestHead } from 'rescind/node'
import { problemBody } from '../problem.js'
import type { Config } from '../config/schema.js'
import { failureFields } from '../log.js'
import { type RequestSpan, startRequestSpan } from '../observe/tracing.js'
import type { Parts } from '../parts.js'
import { ENVOY, type Gateway, NGINX, STANDARD, toldIn } from './gateway.js'
import { allowedHeaders, type AllowedHeaders, NOBODY } from './identity.js'
import { Profile, PUBLIC } from './profile.js'

/** Answers what is asked under `/verify`; false for everything else. */
export type Forward = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean

/** What is written to the socket. */
interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

interface Endpoint {
  readonly profile: Profile
  readonly gateway: Gateway
  /** The pattern of its path, for log and metrics. */
  readonly route: string
}

const BASE = '/verify'
const ENVOY_BASE = `${BASE}/envoy/`
/** The profile of `/verify` without a name; where none is configured, every genuine token passes. */
const PROFILE_NORMAL = 'default'
const ROUTE_UNKNOWN = `${BASE}/*`
/** An unknown profile is a mistake in a gateway: it is written down, but not for every request. */
const UNKNOWN_LOGGED_EVERY_MS = 1000
/** Nobody is let in by a mistake of ours. */
const FAILED: Answer = { status: 500, headers: { 'content-length': '0', 'cache-control': 'no-store' } }

export function forwardRoutes(parts: Parts): Forward {
  const { gate, metrics, log } = parts
  const isTraced = parts.config.tracing
  const endpoints = endpointsOf(parts.config.profiles)
  const unknown = answersUnknown(parts)

  function decide(incoming: IncomingMessage, endpoint: Endpoint, rest: string): Answer | Promise<Answer> {
    const { profile, gateway } = endpoint
    const { demand, problem } = profile.demandFor(
      gateway.pathHeader === undefined ? rest : toldIn(incoming, gateway.pathHeader),
      gateway.methodHeader === undefined ? incoming.method : toldIn(incoming, gateway.methodHeader),
    )
    if (problem !== undefined) return deny(gate.denial('request_invalid', problem), gateway)
    if (demand === PUBLIC) return allow(NOBODY)
    const verdict = gate.check(requestHead(incoming), demand)
    return verdict instanceof Promise
      ? verdict.then((later) => settle(later, gateway))
      : settle(verdict, gateway)
  }
  function settle(verdict: Verdict, gateway: Gateway): Answer {
    return verdict.allowed ? allow(allowedHeaders(verdict.auth)) : deny(verdict.denial, gateway)
  }
  function allow(headers: AllowedHeaders): Answer {
    metrics.checks.inc({ answer: 'allowed' })
    // Exactly 200: Envoy takes nothing else for a yes.
    return { status: 200, headers }
  }
  function deny(denial: Denial, { isWithout400 }: Gateway): Answer {
    metrics.checks.inc({ answer: denial.code })
    const status = isWithout400 && denial.status === 400 ? 401 : denial.status
    return problemAnswer({ ...denial.body, status }, denial.headers)
  }
  function finish(
    outgoing: ServerResponse,
    answer: Answer,
    route: string,
    startedMs: number,
    span?: RequestSpan,
  ): void {
    outgoing.writeHead(answer.status, answer.headers)
    outgoing.end(answer.body)
    const seconds = (performance.now() - startedMs) / 1000
    metrics.requests.observe({ route, status: answer.status }, seconds)
    if (log.isLevelEnabled('debug'))
      log.debug({ route, status: answer.status, ms: Math.round(seconds * 1e6) / 1000 }, 'request')
    span?.end(route, answer.status)
  }

  return (incoming, outgoing) => {
    const { url = '' } = incoming
    if (!url.startsWith(BASE)) return false
    const startedMs = performance.now()
    const end = url.indexOf('?')
    const path = end === -1 ? url : url.slice(0, end)
    const slash = path.startsWith(ENVOY_BASE) ? path.indexOf('/', ENVOY_BASE.length) : -1
    const endpoint = endpoints.get(slash === -1 ? path : path.slice(0, slash))
    if (endpoint === undefined && path[BASE.length] !== '/') return false
    const span = isTraced ? startRequestSpan(incoming.method ?? '', incoming.headers) : undefined
    if (endpoint === undefined) {
      finish(outgoing, unknown(), ROUTE_UNKNOWN, startedMs, span)
      return true
    }
    const { route } = endpoint
    const fail = (error: Error) => {
      log.error(failureFields(error), 'request failed')
      // What has begun as one answer cannot go on as another.
      if (outgoing.headersSent) outgoing.destroy()
      else finish(outgoing, FAILED, route, startedMs, span)
    }
    try {
      const answer = decide(incoming, endpoint, slash === -1 ? '' : path.slice(slash))
      if (answer instanceof Promise)
        answer.then((later) => finish(outgoing, later, route, startedMs, span)).catch(fail)
      else finish(outgoing, answer, route, startedMs, span)
    } catch (error) {
      fail(error as Error)
    }
    return true
  }
}

/** Every endpoint by its path; Envoy's go on with the path of the request. */
function endpointsOf(profiles: Config['profiles']): ReadonlyMap<string, Endpoint> {
  const endpoints = new Map<string, Endpoint>()
  for (const [name, config] of Object.entries({ [PROFILE_NORMAL]: { routes: [] }, ...profiles })) {
    const profile = new Profile(config)
    const standard = { profile, gateway: STANDARD, route: `${BASE}/:profile` }
    const nginx = { profile, gateway: NGINX, route: `${BASE}/nginx/:profile` }
    endpoints.set(`${BASE}/${name}`, standard)
    endpoints.set(`${BASE}/nginx/${name}`, nginx)
    endpoints.set(`${ENVOY_BASE}${name}`, { profile, gateway: ENVOY, route: `${ENVOY_BASE}:profile/*` })
    if (name !== PROFILE_NORMAL) continue
    endpoints.set(BASE, { ...standard, route: BASE })
    endpoints.set(`${BASE}/nginx`, { ...nginx, route: `${BASE}/nginx` })
  }
  return endpoints
}

/** No profile of that name: no gateway takes it for a yes, and the log says what is wrong. */
function answersUnknown({ metrics, log }: Parts): () => Answer {
  let loggedAtMs = -Infinity
  return () => {
    metrics.checks.inc({ answer: 'profile_unknown' })
    if (performance.now() - loggedAtMs >= UNKNOWN_LOGGED_EVERY_MS) {
      loggedAtMs = performance.now()
      log.warn('a gateway asks for a profile that is not configured: see `profiles` of the configuration')
    }
    const body = problemBody(404, 'profile_unknown', 'There is no such profile')
    return problemAnswer(body, { 'content-type': 'application/problem+json', 'cache-control': 'no-store' })
  }
}

/** Sent on to the client by most gateways. */
function problemAnswer(problem: { status: number }, headers: Readonly<Record<string, string>>): Answer {
  const body = JSON.stringify(problem)
  const length = String(Buffer.byteLength(body))
  return {
    status: problem.status,
    headers: { ...headers, 'content-length': length, 'x-content-type-options': 'nosniff' },
    body,
  }
}
