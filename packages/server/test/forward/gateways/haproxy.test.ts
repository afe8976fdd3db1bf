import { join } from 'node:path'
import { gatewayContract } from './contract.js'

gatewayContract(
  {
    name: 'HAProxy',
    package: 'haproxy',
    program: 'usr/sbin/haproxy',
    files: ['haproxy.cfg', 'rescind.lua'],
    adapt: (example, folder) => example.replaceAll('/etc/haproxy', folder),
    arguments: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
  },
  { malformedStatus: 400, keepsConnections: false },
)
