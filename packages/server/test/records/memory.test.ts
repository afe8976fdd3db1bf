import { MemoryRecords } from '../../src/records/memory.js'
import { describeRecords } from './contract.js'

describeRecords('MemoryRecords', {
  open: async (trailMax) => {
    const records = new MemoryRecords({ trailMax })
    return { records, other: records, stop: () => records.close() }
  },
})
