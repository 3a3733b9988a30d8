/** The side panel "Functions", and the command that shows it. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { SidePanel, type Wanted } from '../components/side/SidePanel';
import type { SideActs } from '../components/side/acts';
import { problemOf } from '../connection/transport';
import { CommandIDs } from './commands';
import { functionsIcon } from './icons';
import { IFaas } from './tokens';
import { PreactWidget } from './widget';

export const panel: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-faas:panel',
  description: 'The side panel "Functions".',
  autoStart: true,
  requires: [IFaas],
  optional: [INotebookTracker, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    faas: IFaas,
    notebooks: INotebookTracker | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    let wanted: Wanted | null = null;
    const acts = actsOf(app, faas);
    const widget = new PreactWidget(
      () => <SidePanel feed={faas.feed} acts={acts} wanted={wanted} />,
      ['.faas-side-row[tabindex="0"]', '.faas-filter']
    );
    widget.id = 'jupyter-faas-functions';
    widget.title.icon = functionsIcon;
    widget.title.caption = 'Functions';
    widget.node.setAttribute('role', 'region');
    widget.node.setAttribute('aria-label', 'Functions');
    app.shell.add(widget, 'left', { rank: 550, type: 'Functions' });
    restorer?.add(widget, widget.id);

    app.commands.addCommand(CommandIDs.showPanel, {
      label: 'Show Functions',
      caption: 'Show the functions that are deployed, and what they do',
      icon: functionsIcon,
      describedBy: { args: FUNCTION_ARGUMENT },
      execute: args => {
        const name = args['name'] ?? markedFunction(notebooks);
        app.shell.activateById(widget.id);
        if (typeof name !== 'string') return;
        wanted = { name };
        widget.redraw();
      }
    });
    palette?.addItem({ command: CommandIDs.showPanel, category: 'Functions' });
  }
};

/** The function at whose cell the cursor stands, if it has a mark. */
function markedFunction(notebooks: INotebookTracker | null): string | undefined {
  const cell = notebooks?.activeCell?.node;
  return cell?.querySelector<HTMLElement>('.faas-mark')?.dataset['function'];
}

const FUNCTION_ARGUMENT = {
  type: 'object',
  properties: {
    name: { type: 'string', description: "Function to show; none: that of the active cell's mark." }
  }
} as const;

function actsOf({ commands, shell }: JupyterFrontEnd, { feed, server }: IFaas): SideActs {
  return {
    server,
    openDetails: name => void commands.execute(CommandIDs.openDetails, { name }),
    insertLookup: name => commands.execute(CommandIDs.insertLookup, { name }) as Promise<void>,
    insertExample: () => void commands.execute(CommandIDs.insertExample),
    remove: name => commands.execute(CommandIDs.remove, { name }) as Promise<void>,
    startGateway: async () => problemOf(await feed.transport.act('POST', 'start')),
    leave: () => {
      if (shell.currentWidget) shell.activateById(shell.currentWidget.id);
    }
  };
}
