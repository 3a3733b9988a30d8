/** The plugin that shows panels in outputs. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { CommandIDs } from '../plugins/commands';
import { IFaas } from '../plugins/tokens';
import { panelFactory } from './renderer';

export const mime: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-faas:mime',
  description: 'Shows the panels of functions in outputs.',
  autoStart: true,
  requires: [IFaas, IRenderMimeRegistry],
  activate: ({ commands }: JupyterFrontEnd, { feed }: IFaas, rendermime: IRenderMimeRegistry) => {
    const items = (name: string) => {
      const open = () => void commands.execute(CommandIDs.openDetails, { name });
      return commands.hasCommand(CommandIDs.openDetails) ? [{ label: 'Open in a tab', run: open }] : [];
    };
    rendermime.addFactory(panelFactory(feed, items));
  }
};
