import { join } from 'node:path'
import { gatewayContract } from './contract.js'

gatewayContract(
  {
    name: 'nginx',
    package: 'nginx',
    program: 'usr/sbin/nginx',
    files: ['nginx.conf'],
    // The example is a file of conf.d; this is what Debian's own nginx.conf has around it, without root.
    adapt: (example, folder) => `
      daemon off;
      master_process off;
      pid ${folder}/pid;
      error_log stderr;
      events {}
      http {
        access_log off;
        client_body_temp_path ${folder}/body;
        proxy_temp_path ${folder}/proxy;
        fastcgi_temp_path ${folder}/fastcgi;
        uwsgi_temp_path ${folder}/uwsgi;
        scgi_temp_path ${folder}/scgi;
        ${example}
      }`,
    arguments: (folder) => ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')],
  },
  { malformedStatus: 401, keepsConnections: true },
)
