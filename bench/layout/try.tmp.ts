import { RedisServer } from './redis-server.js'
import { connectTo, LAYOUTS, loadScripts } from './layouts.js'
import { measurePhases } from './phases.js'
const server = await RedisServer.start('none')
try {
  const redis = await connectTo(server.socket)
  for (const layout of Object.values(LAYOUTS)) await loadScripts(redis, layout)
  for (const batch of [1,8,64,256,1024])  for (let r = 0; r<2; r++) for (const layout of Object.values(LAYOUTS)) { const n = 20000; const p = await measurePhases(redis, layout, {count:n, bytes:32, batch});
   if (r==1) console.log(batch, layout.name, Object.entries(p).map(([k,u])=>`${k} cpu ${(u.cpuUs/n).toFixed(2)} script ${(u.scriptUs/n).toFixed(2)} call ${(u.scriptUs/u.scripts).toFixed(0)} cmds ${(u.commands/n).toFixed(2)} mem ${(u.dataBytes/n).toFixed(1)}`).join('\n    ')) }
  redis.disconnect()
} finally { await server.stop() }
