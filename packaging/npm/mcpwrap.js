#!/usr/bin/env node
// Starts the program of the package for this system. Client configs never name this file: `mcpwrap adopt` writes the path
// of a copy of the program, which needs no Node.js and outlives npm's cache.
"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");

const name = `@{{package}}/${process.platform}-${process.arch}`;

function fail(what, why, hint) {
  console.error(`mcpwrap: ${what}\nmcpwrap: cause: ${why}\nmcpwrap: hint: ${hint}`);
  process.exit(127);
}

let program;
try {
  program = require.resolve(`${name}/bin/mcpwrap`);
} catch {
  const systems = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];
  if (systems.includes(`${process.platform}-${process.arch}`)) {
    fail("cannot start mcpwrap", `the package \`${name}\` is not installed`,
      "install again, without `--omit=optional` and `--no-optional`");
  }
  fail("cannot start mcpwrap", `there is no program for ${process.platform} on ${process.arch}`,
    "build it with `cargo install --locked`");
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
// The program ends as it likes; until then this process stays. The terminal sends SIGINT to both.
for (const signal of ["SIGHUP", "SIGTERM"]) {
  process.on(signal, () => child.kill(signal));
}
process.on("SIGINT", () => {});
child.on("error", (error) => fail(`cannot start \`${program}\``, error.message, "install again"));
child.on("exit", (code, signal) => {
  if (signal === null) {
    process.exit(code);
  }
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // If the signal does not end this process, as shells say it.
  process.exitCode = 128 + constants.signals[signal];
});
