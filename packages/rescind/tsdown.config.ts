import { defineConfig } from 'tsdown'

const ADAPTERS = ['node', 'express', 'fastify', 'hono', 'koa', 'nest', 'decorators', 'fetch', 'live']

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    lmdb: 'src/stores/lmdb.ts',
    ...Object.fromEntries(ADAPTERS.map((name) => [name, `src/adapters/${name}.ts`])),
  },
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  dts: true,
  clean: true,
  sourcemap: true,
})
