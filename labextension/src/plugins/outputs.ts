/**
 * Outputs that a kernel writes anew: cards, bars, and what is printed after its cell has ended.
 *
 * JupyterLab passes such an update on as long as the page lives that ran the cell. After a reload it
 * drops it; then it is done here.
 */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { isCodeCellModel } from '@jupyterlab/cells';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { KernelMessage } from '@jupyterlab/services';
import { displayIdOf, isSame } from '../outputs/ours';

export const outputs: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-faas:outputs',
  description: 'Output of functions goes on under its cell after a reload of the page.',
  autoStart: true,
  requires: [INotebookTracker],
  activate: (_app, notebooks: INotebookTracker) => {
    notebooks.forEach(follow);
    notebooks.widgetAdded.connect((_, panel) => follow(panel));
  }
};

function follow(panel: NotebookPanel): void {
  panel.sessionContext.iopubMessage.connect((_, message) => {
    if (KernelMessage.isUpdateDisplayDataMsg(message)) write(panel, message.content);
  });
}

/** Write an update into the outputs it is about, unless JupyterLab has done so. */
function write(panel: NotebookPanel, content: KernelMessage.IUpdateDisplayDataMsg['content']): void {
  const id = displayIdOf(content.metadata);
  const cells = panel.content.model?.cells;
  if (id === '' || cells === undefined) return;
  for (const cell of cells) {
    if (!isCodeCellModel(cell)) continue;
    for (let index = 0; index < cell.outputs.length; index++) {
      const output = cell.outputs.get(index);
      if (displayIdOf(output.metadata) !== id || isSame(output.data, content.data)) continue;
      const { data, metadata } = content;
      const written = { output_type: 'display_data', data, metadata };
      cell.outputs.set(index, written);
    }
  }
}
