/** What somebody who has taken a reader over might send, to undo a revocation or to harm the server. */

export interface AttackedKeys {
  readonly record: string
  readonly meta: string
  readonly shapes: string
  readonly log: string
  readonly nodes: string
}

/** Commands with their arguments; `dump` is a record as DUMP gives it. */
export function attacksOn(
  { record, meta, shapes, log, nodes }: AttackedKeys,
  dump: Buffer,
): (string | number | Buffer)[][] {
  return [
    ['SET', record, 'x'],
    ['SET', record, 'x', 'EX', 1],
    ['GETSET', record, 'x'],
    ['GETDEL', record],
    ['GETEX', record, 'EX', 1],
    ['DEL', record],
    ['UNLINK', record, log],
    ['EXPIRE', record, 1],
    ['PEXPIREAT', record, 1],
    ['PERSIST', log],
    ['RENAME', record, nodes],
    ['RENAME', nodes, record],
    ['COPY', nodes, record, 'REPLACE'],
    ['RESTORE', record, 0, dump, 'REPLACE'],
    ['MIGRATE', '127.0.0.1', 1, record, 0, 100],
    ['MOVE', record, 1],
    ['APPEND', log, 'x'],
    ['SETRANGE', log, 32, 'x'],
    ['SETBIT', record, 0, 1],
    ['BITOP', 'NOT', record, log],
    ['HSET', meta, 'epoch', '0000000000000000'],
    ['HDEL', meta, 'epoch'],
    ['HSET', shapes, 'x', 'x'],
    ['HDEL', record, 'x'],
    ['SORT', nodes, 'BY', 'nosort', 'STORE', record],
    ['SPOP', record],
    ['LPOP', meta],
    ['LMOVE', meta, record, 'LEFT', 'LEFT'],
    ['EVAL', `return redis.call('DEL', KEYS[1])`, 1, record],
    ['EVAL', `return redis.call('DEL', '${record}')`, 0],
    ['EVAL', `return redis.call('DEL', '${record}')`, 1, nodes],
    ['EVALSHA', 'ffffffffffffffffffffffffffffffffffffffff', 1, record],
    ['EVAL_RO', 'return 1', 0],
    ['FCALL', 'x', 1, record],
    ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function("x", function() end)'],
    ['SCRIPT', 'LOAD', 'return 1'],
    ['SCRIPT', 'FLUSH'],
    ['MULTI'],
    ['FLUSHALL'],
    ['FLUSHDB', 'ASYNC'],
    ['SWAPDB', 0, 1],
    ['CONFIG', 'SET', 'maxmemory', '1mb'],
    ['CONFIG', 'GET', '*'],
    ['CONFIG', 'RESETSTAT'],
    ['DEBUG', 'SET-ACTIVE-EXPIRE', 0],
    ['REPLICAOF', '127.0.0.1', 1],
    ['FAILOVER'],
    ['SHUTDOWN', 'NOSAVE'],
    ['ACL', 'SETUSER', 'reader', '+@all', '~*'],
    ['ACL', 'GETUSER', 'reader'],
    ['CLIENT', 'KILL', 'TYPE', 'normal'],
    ['CLIENT', 'PAUSE', 1000],
    ['PUBLISH', 'rescind:{main}:bell', 'change'],
    ['KEYS', '*'],
    ['SCAN', 0],
    ['MONITOR'],
    ['PSYNC', '?', -1],
    ['MODULE', 'LOAD', '/tmp/x.so'],
    ['GET', 'rescind:{main.other.0}:shapes'],
    ['GET', 'sessions:1'],
    ['SUBSCRIBE', 'another'],
  ]
}
