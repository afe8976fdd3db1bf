/**
 * Traces by OpenTelemetry, where the configuration turns them on: one span a request, a child of what the caller sends as
 * `traceparent`. Who collects them is for whoever starts the process to say: `node --import ./telemetry.mjs …`.
 */
import { type Context, context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'

const NAME = '@rescind/server'

export interface RequestSpan {
  /** For what is done in answering. */
  readonly context: Context
  /** `route`: the pattern, as in the metrics, for a path may name people. */
  end(route: string, status: number): void
}

export function startRequestSpan(method: string, headers: Readonly<Record<string, unknown>>): RequestSpan {
  const parent = propagation.extract(context.active(), headers)
  const attributes = { 'http.request.method': method }
  const span = trace.getTracer(NAME).startSpan(method, { kind: SpanKind.SERVER, attributes }, parent)
  return {
    context: trace.setSpan(parent, span),
    end: (route, status) => {
      span.updateName(`${method} ${route}`)
      span.setAttributes({ 'http.route': route, 'http.response.status_code': status })
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },
  }
}

export function traceRequests(): MiddlewareHandler {
  return async (c, next) => {
    const span = startRequestSpan(c.req.method, Object.fromEntries(c.req.raw.headers))
    try {
      await context.with(span.context, next)
    } finally {
      span.end(routePath(c, -1), c.res.status)
    }
  }
}
