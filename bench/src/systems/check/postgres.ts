/** A table with the jti as its primary key, and a statement that every connection prepares once. */
import { randomUUID } from 'node:crypto'
import { sharedText, type Shared, type System } from '../../system.js'
import { flat } from '../../tokens.js'

const POOL_SIZE = 10

export function postgres({ inFlight }: { inFlight: number }) {
  return async (shared: Shared): Promise<System> => {
    const { Pool } = (await import('pg')).default
    const pool = new Pool({
      connectionString: sharedText(shared, 'postgresUrl'),
      max: POOL_SIZE,
      min: POOL_SIZE,
    })
    let ids: string[] = []
    const isRevoked = {
      name: 'is-revoked',
      text: 'SELECT 1 FROM revoked_tokens WHERE jti = $1 AND expires_at > now()',
    }
    await pool.query({ ...isRevoked, values: [randomUUID()] })
    return {
      inFlight,
      prepare: (count) => (ids = Array.from({ length: count }, () => flat(randomUUID()))),
      run: async (index) => {
        const { rowCount } = await pool.query({ ...isRevoked, values: [ids[index] as string] })
        if (rowCount !== 0) throw new Error('the table has a token that was never stored')
      },
      close: () => pool.end(),
    }
  }
}
