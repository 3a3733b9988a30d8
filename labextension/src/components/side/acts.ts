/** What the side panel asks of whoever shows it: JupyterLab, by commands. */

import type { Server } from '../../connection/socket';

export interface SideActs {
  readonly server: Server;
  /** Show a function beside the work, or in front of it. */
  openDetails(name: string): void;
  /** Put a cell into the current notebook that looks a function up. */
  insertLookup(name: string): Promise<void>;
  insertExample(): void;
  /** Ask, then delete. */
  remove(name: string): Promise<void>;
  /** Start the embedded gateway; return why it could not be, or nothing. */
  startGateway(): Promise<string>;
  /** Give the focus back to the work. */
  leave(): void;
}
