/** The plugins JupyterLab loads. This folder and `mime` are all that knows JupyterLab. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

const about: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-faas:about',
  description: 'Says that the extension of jupyter_faas is there.',
  autoStart: true,
  activate: (app: JupyterFrontEnd) => {
    app.shell.node.ownerDocument.documentElement.dataset['jupyterFaas'] = 'ready';
  }
};

export default [about];
