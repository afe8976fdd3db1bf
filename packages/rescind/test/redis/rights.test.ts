/** Rights that the doctor reads where it may not try them. */
import { expect, it } from 'vitest'
import { namedBy } from '../support/net-namespaces.js'
import { redisServerBinary } from '../support/redis-binary.js'
import { figures, inspectAt, start } from './inspected.js'

const PASSWORD = 's3cret-of-a-test'
const isSeven = !/^6/.test((await redisServerBinary()).version) || 'Redis 6 knows no selectors'

it.skipIf(isSeven !== true)(
  namedBy('what a selector allows is allowed, also where ACL GETUSER alone tells of it', isSeven),
  async () => {
    const server = await start()
    const rules = ['-@all', '~*', '+@connection', '+info', '+acl|whoami', '+acl|getuser', '+get']
    await server.command('ACL', 'SETUSER', 'node', 'on', `>${PASSWORD}`, ...rules)
    const inspection = () => inspectAt(server, {}, { username: 'node', password: PASSWORD })
    expect(figures(await inspection(), 'may_destroy')).toBeUndefined()
    await server.command('ACL', 'SETUSER', 'node', '(~rescind:* -@all +del)', '(~x +set)')
    expect(figures(await inspection(), 'may_destroy')).toEqual({ user: 'node', commands: 'DEL' })
    expect(figures(await inspection(), 'may_write')).toEqual({ user: 'node', commands: 'SET' })
  },
)
