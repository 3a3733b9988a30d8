// Runs the unit tests: each `*.test.ts(x)` is bundled (esbuild knows TypeScript, Node 20 does not)
// and given to Node's own test runner. Arguments choose files: `npm test -- format history`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import esbuild from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, '../.tests');
const wanted = process.argv.slice(2);
const files = readdirSync(here, { recursive: true })
  .filter(name => /\.test\.tsx?$/.test(name))
  .filter(name => wanted.length === 0 || wanted.some(word => name.includes(word)));

rmSync(out, { recursive: true, force: true });
mkdirSync(out);
await esbuild.build({
  entryPoints: files.map(name => path.join(here, name)),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning'
});
const built = readdirSync(out, { recursive: true }).filter(name => name.endsWith('.test.mjs'));
const flags = ['--enable-source-maps', '--test', '--test-reporter=spec', '--test-timeout=20000', '--disable-warning=ExperimentalWarning'];
const done = spawnSync(process.execPath, [...flags, ...built.map(name => path.join(out, name))], {
  stdio: 'inherit'
});
process.exit(done.status ?? 1);
