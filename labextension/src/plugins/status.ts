/** The item of the status bar: which gateway, how many functions and replicas. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import { statusText } from '../components/side/statusText';
import { CommandIDs } from './commands';
import { IFaas, IFaasSettings } from './tokens';

export const status: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-faas:status',
  description: 'Gateway, functions and replicas in the status bar.',
  autoStart: true,
  requires: [IFaas, IFaasSettings],
  // Notebook 7 has no status bar.
  optional: [IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    { feed }: IFaas,
    settings: IFaasSettings,
    bar: IStatusBar | null
  ) => {
    if (!bar) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'faas-status';
    button.onclick = () => void app.commands.execute(CommandIDs.showPanel);
    const show = (): void => {
      const { text, title } = statusText(feed.store.state);
      if (button.textContent !== text) button.textContent = text;
      if (button.title !== title) button.title = title;
    };
    feed.store.subscribe(show);
    show();
    const item = new Widget({ node: button });
    const changed = new Signal<Widget, void>(item);
    settings.changed.connect(() => changed.emit());
    bar.registerStatusItem('jupyter-faas:status', {
      item,
      align: 'left',
      rank: 50,
      isActive: () => settings.isOn('status'),
      activeStateChanged: changed
    });
  }
};
