/** Commands that change something: delete, start the gateway, insert cells. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, Notification, showDialog } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { problemOf } from '../connection/transport';
import { codeOf } from '../invoke/code';
import { EXAMPLE_CELL, lookupCell } from '../invoke/lookup';
import { plural } from '../model/format';
import { find, living } from '../model/state';
import { CommandIDs } from './commands';
import { IFaas } from './tokens';

export const acting: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-faas:acting',
  description: 'Commands that delete functions, start the gateway and insert cells.',
  autoStart: true,
  requires: [IFaas],
  optional: [INotebookTracker, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    faas: IFaas,
    notebooks: INotebookTracker | null,
    palette: ICommandPalette | null
  ) => {
    const { commands } = app;
    const insert = (source: string): void => insertCell(app, notebooks, source);
    commands.addCommand(CommandIDs.remove, {
      label: 'Delete Function',
      describedBy: { args: NAME },
      execute: args => remove(faas, nameOf(args))
    });
    commands.addCommand(CommandIDs.insertLookup, {
      label: 'Insert a Cell That Looks a Function Up',
      describedBy: { args: NAME },
      execute: async args => {
        const name = nameOf(args);
        insert(lookupCell(name, await signatureOf(faas, name)));
      }
    });
    commands.addCommand(CommandIDs.insertExample, {
      label: 'Insert an Example Cell with a Function',
      execute: () => insert(EXAMPLE_CELL)
    });
    commands.addCommand(CommandIDs.startGateway, {
      label: 'Start the Gateway',
      execute: async () => complain(problemOf(await faas.feed.transport.act('POST', 'start')))
    });
    for (const command of [CommandIDs.insertExample, CommandIDs.startGateway]) {
      palette?.addItem({ command, category: 'Functions' });
    }
  }
};

const NAME = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', description: 'Name of the function.' } }
} as const;

function nameOf(args: ReadonlyPartialJSONObject): string {
  const name = args['name'];
  return typeof name === 'string' ? name : '';
}

async function remove({ feed }: IFaas, name: string): Promise<void> {
  const one = find(feed.store.state, name);
  const running = one ? living(one.replicas) : 0;
  const replicas = running > 0 ? ` and ${plural(running, 'running replica')}` : '';
  const answer = await showDialog({
    title: `Delete ${name}?`,
    body: `Its revisions${replicas} go too. Calls of it fail from then on.`,
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Delete' })],
    defaultButton: 0
  });
  if (!answer.button.accept) return;
  const path = `v1/functions/${encodeURIComponent(name)}`;
  complain(problemOf(await feed.transport.act('DELETE', path)));
}

async function signatureOf({ feed }: IFaas, name: string): Promise<string> {
  const number = find(feed.store.state, name)?.view.latest ?? 1;
  const path = `v1/functions/${encodeURIComponent(name)}/revisions/${number}`;
  const answer = await feed.transport.act('GET', path);
  return codeOf(answer.body)?.signature ?? '(...)';
}

function insertCell(
  { shell }: JupyterFrontEnd,
  notebooks: INotebookTracker | null,
  source: string
): void {
  const current = notebooks?.currentWidget;
  if (!current) {
    Notification.info('Open a notebook: the cell goes below its active one.', { autoClose: 5000 });
    return;
  }
  const active = current.content.activeCell;
  // An empty cell is what a new notebook begins with: it is used instead of staying above.
  if (active?.model.type !== 'code' || active.model.sharedModel.getSource().trim() !== '') {
    NotebookActions.insertBelow(current.content);
  }
  current.content.activeCell?.model.sharedModel.setSource(source);
  shell.activateById(current.id);
}

function complain(problem: string): void {
  if (problem !== '') Notification.error(problem, { autoClose: 10_000 });
}
