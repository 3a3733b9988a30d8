// Builds what Jupyter loads: the lab extension (a federated module that shares JupyterLab's own
// packages) and the widget (one ESM file and one style sheet, for front ends without the extension).
//
// @jupyter/builder is started as `jupyter-builder build` starts it; so Node is all that is needed.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import esbuild from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const output = path.join(here, '../jupyter_faas/_labextension');
const widget = path.join(here, '../jupyter_faas/notebook/static');
const common = {
  absWorkingDir: here,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  minify: true,
  logLevel: 'warning'
};

// One module of ours with everything in it but what JupyterLab shares.
rmSync(path.join(here, 'lib'), { recursive: true, force: true });
await esbuild.build({
  ...common,
  entryPoints: ['src/plugins/index.ts'],
  outfile: 'lib/plugins/index.js',
  external: ['@jupyterlab/*', '@lumino/*', '@codemirror/*', 'react', 'react-dom']
});

const builder = path.join(here, 'node_modules/@jupyter/builder/lib/build-labextension.js');
const core = path.join(here, 'node_modules/@jupyterlab/core-meta/core.package.json');
execFileSync(process.execPath, [builder, '--core-package-file', core, here], {
  stdio: ['ignore', 'pipe', 'pipe'] // told only if it fails
});
copyFileSync(path.join(here, 'install.json'), path.join(output, 'install.json'));

if (existsSync(path.join(here, 'src/widget.ts'))) {
  rmSync(widget, { recursive: true, force: true });
  await esbuild.build({
    ...common,
    entryPoints: { panel: 'src/widget.ts' },
    outdir: widget
  });
  await esbuild.build({
    absWorkingDir: here,
    bundle: true,
    minify: true,
    entryPoints: { panel: 'style/panel.css' },
    outdir: widget
  });
}
