#!/usr/bin/env node
// An MCP server that says which copy of it runs, and what it sees.
let optional = 'absent';
try { optional = require('optional-thing'); } catch {}
let dependency = 'absent';
try { dependency = require('helper'); } catch {}
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const facts = {
    args: process.argv.slice(2), cwd: process.cwd(), path: process.env.PATH, optional, dependency,
    execPath: process.execPath, file: __filename,
  };
  const result = method === 'initialize'
    ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} },
        serverInfo: { name: 'COPY', version: 'VERSION' } }
    : { tools: [], facts };
  console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
});
