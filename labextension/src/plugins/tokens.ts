/** What the plugins share. */

import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import type { Feed } from '../connection/feed';
import type { Server } from '../connection/socket';

/** The page's one connection: all that shows or does something uses this one. */
export interface IFaas {
  readonly feed: Feed;
  /** Requests to the server extension. */
  readonly server: Server;
}

export const IFaas = new Token<IFaas>(
  'jupyter-faas:IFaas',
  'The connection of a page to the gateway: its state, and what can be done there.'
);

export interface IFaasSettings {
  readonly changed: ISignal<IFaasSettings, void>;
  isOn(name: 'marks' | 'status'): boolean;
}

export const IFaasSettings = new Token<IFaasSettings>(
  'jupyter-faas:IFaasSettings',
  'What of the extension a person wants to see.'
);
