/** A process that writes records as fast as it can, and tells of each when it was acknowledged. */
import { LmdbRecords } from '../../src/records/lmdb.js'

const records = new LmdbRecords({ folder: process.argv[2] as string, trailMax: 1000 })
for (let number = 1; number <= 900; number++) {
  await records.write('client', String(number), 'x')
  await records.append(String(number))
  process.send?.(number)
}
