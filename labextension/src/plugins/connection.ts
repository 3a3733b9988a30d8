/** One WebSocket per page, shared by everything that the page shows. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { browser, Feed, restWhileHidden } from '../connection/feed';
import { SocketTransport, type Server } from '../connection/socket';
import { IFaas } from './tokens';

export const connection: JupyterFrontEndPlugin<IFaas> = {
  id: 'jupyter-faas:connection',
  description: 'The connection to the gateway, by way of the Jupyter server.',
  autoStart: true,
  provides: IFaas,
  activate: (app: JupyterFrontEnd) => {
    const server = serverOf(app.serviceManager.serverSettings);
    const transport = new SocketTransport(server);
    const feed = new Feed(transport, browser());
    restWhileHidden(feed, document);
    window.addEventListener('online', () => transport.look());
    return { feed, server };
  }
};

function serverOf(settings: ServerConnection.ISettings): Server {
  return {
    open: () => {
      const url = URLExt.join(settings.wsUrl, 'jupyter-faas/api/events');
      const token = settings.appendToken && settings.token !== '' ? settings.token : null;
      const query = token === null ? '' : `?token=${encodeURIComponent(token)}`;
      return new settings.WebSocket(url + query);
    },
    request: (path, init) =>
      ServerConnection.makeRequest(
        URLExt.join(settings.baseUrl, 'jupyter-faas/api', path),
        init,
        settings
      )
  };
}
