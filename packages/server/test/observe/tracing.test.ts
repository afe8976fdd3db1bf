import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { expect, it } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import { startWorld } from '../support/service.js'

it('traces each request under the span of its caller, by its route', async () => {
  const exporter = new InMemorySpanExporter()
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  provider.register({ contextManager: new AsyncLocalStorageContextManager().enable() })
  try {
    await using world = await startWorld({ config: { tracing: true } })
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    await world.ask('/healthz', { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } })
    await world.ask('/api/v1/revocations/of-somebody', { key: world.keys.viewer })
    await world.ask('/verify/envoy/default/of-somebody', {
      headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
    })
    const spans = await until(() => exporter.getFinishedSpans().length >= 3 && exporter.getFinishedSpans(), {
      what: 'all spans',
    })
    expect(spans[0]).toMatchObject({
      name: 'GET /healthz',
      attributes: { 'http.route': '/healthz', 'http.response.status_code': 200 },
      parentSpanContext: { traceId },
    })
    expect(spans[2]).toMatchObject({
      name: 'GET /verify/envoy/:profile/*',
      attributes: { 'http.response.status_code': 401 },
      parentSpanContext: { traceId },
    })
    expect(JSON.stringify(spans.map(({ name, attributes }) => [name, attributes]))).not.toContain(
      'of-somebody',
    )
  } finally {
    await provider.shutdown()
  }
})
