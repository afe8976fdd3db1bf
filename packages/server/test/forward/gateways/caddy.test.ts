import { join } from 'node:path'
import { gatewayContract } from './contract.js'

gatewayContract(
  {
    name: 'Caddy',
    package: 'caddy',
    program: 'usr/bin/caddy',
    files: ['Caddyfile'],
    // Several may run at once, and its port for administration is one and the same.
    adapt: (example) => `{\n\tadmin off\n}\n${example}`,
    arguments: (folder) => ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')],
  },
  { malformedStatus: 400, keepsConnections: true },
)
