/** Details of a function: a tab of the main area; in Notebook 7, which has one only, at the right. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, InputDialog, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { FunctionPanel } from '../components/FunctionPanel';
import { CommandIDs } from './commands';
import { functionsIcon } from './icons';
import { IFaas } from './tokens';
import { PreactWidget } from './widget';

export const details: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-faas:details',
  description: 'Details of one function.',
  autoStart: true,
  requires: [IFaas],
  optional: [ICommandPalette, ILabShell, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    faas: IFaas,
    palette: ICommandPalette | null,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null
  ) => {
    const tracker = new WidgetTracker<MainAreaWidget<PreactWidget>>({ namespace: 'jupyter-faas' });
    const open = (name: string): void => {
      const known = tracker.find(widget => widget.id === idOf(name));
      const widget = known ?? detailsOf(app, faas, name);
      if (!widget.isAttached) app.shell.add(widget, labShell ? 'main' : 'right', { type: 'Function' });
      if (!known) void tracker.add(widget);
      app.shell.activateById(widget.id);
    };
    app.commands.addCommand(CommandIDs.openDetails, {
      label: 'Open Function …',
      caption: 'Replicas, revisions, limits, calls and log of one function',
      icon: functionsIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: { name: { type: 'string', description: 'Name of the function; asked if empty.' } }
        }
      },
      execute: async args => {
        const name = typeof args['name'] === 'string' ? args['name'] : await ask(faas);
        if (name !== '') open(name);
      }
    });
    palette?.addItem({ command: CommandIDs.openDetails, category: 'Functions' });
    if (labShell && restorer) {
      void restorer.restore(tracker, {
        command: CommandIDs.openDetails,
        args: widget => ({ name: nameOf(widget) }),
        name: nameOf
      });
    }
  }
};

function detailsOf(
  { commands }: JupyterFrontEnd,
  { feed }: IFaas,
  name: string
): MainAreaWidget<PreactWidget> {
  const items = [
    { label: 'Insert a cell that looks it up', run: () => void commands.execute(CommandIDs.insertLookup, { name }) }
  ];
  const content = new PreactWidget(
    () => <FunctionPanel feed={feed} name={name} items={items} />,
    ['button, input, [tabindex="0"]']
  );
  const widget = new MainAreaWidget({ content });
  widget.toolbar.hide();
  widget.id = idOf(name);
  widget.title.label = name;
  widget.title.caption = `Function ${name}`;
  widget.title.icon = functionsIcon;
  widget.title.closable = true;
  return widget;
}

function idOf(name: string): string {
  return `jupyter-faas-function-${name}`;
}

function nameOf(widget: MainAreaWidget<PreactWidget>): string {
  return widget.title.label;
}

async function ask({ feed }: IFaas): Promise<string> {
  const items = [...feed.store.state.functions.values()].map(one => one.view.name);
  if (items.length === 0) return '';
  const answer = await InputDialog.getItem({ title: 'Which function?', items });
  return answer.button.accept ? (answer.value ?? '') : '';
}
