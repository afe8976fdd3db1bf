/** The documentation of the configuration says what the schema says. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { CONFIG_VARIABLES, parseConfig } from '../../src/config/load.js'
import { configSchema } from '../../src/config/schema.js'

const text = readFileSync(join(import.meta.dirname, '../../../../docs/service.md'), 'utf8')
const yaml = /```yaml\n([^]*?)```/.exec(text)?.[1] ?? ''

it('the example of the documentation is a configuration', () => {
  const config = parseConfig(parse(yaml) as object)
  expect(config.clients.map(({ id }) => id)).toEqual(['billing', 'gateway'])
  expect(config.profiles.api?.routes).toHaveLength(2)
})

it('and has every setting, with the environment variable for it', () => {
  const names = new Set<string>()
  const collect = (schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'properties') for (const name of Object.keys(value as object)) names.add(name)
      collect(value)
    }
  }
  collect(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }))
  expect(names.size).toBeGreaterThan(50)
  expect([...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(yaml)).sort()).toEqual([])
  expect(CONFIG_VARIABLES.filter((name) => !text.includes(name))).toEqual([])
})
