/** Marks at the prompts of cells: what is deployed from them, and whether it still is what they say. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { Cell } from '@jupyterlab/cells';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import type { Store } from '../model/store';
import { deploymentsOf, type OlderValues } from '../marks/deployments';
import { markOf, type Deployment, type Mark } from '../marks/mark';
import { sha256 } from '../marks/sha256';
import { olderValuesOf } from '../marks/values';
import { CommandIDs } from './commands';
import { IFaas, IFaasSettings } from './tokens';

export const marks: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-faas:marks',
  description: 'Marks on cells from which functions were deployed.',
  autoStart: true,
  requires: [IFaas, IFaasSettings, INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    { feed }: IFaas,
    settings: IFaasSettings,
    notebooks: INotebookTracker
  ) => {
    // The mark says what is deployed as long as a notebook is open: the state is wanted for it.
    feed.watch();
    const show = (mark: Mark): void =>
      void app.commands.execute(CommandIDs.showPanel, { name: mark.function });
    const follow = (panel: NotebookPanel): void => {
      const marked = new MarkedNotebook(panel, feed.store, settings, show);
      panel.disposed.connect(() => marked.dispose());
    };
    notebooks.forEach(follow);
    notebooks.widgetAdded.connect((_, panel) => follow(panel));
  }
};

/** After the last key: a mark that changes with each letter would flicker. */
const PAUSE_MS = 100;

const NOTHING_OLDER: OlderValues = new Map();
/** A kernel that comes after these knows of no values. */
const ENDINGS: ReadonlySet<Kernel.Status> = new Set(['restarting', 'autorestarting', 'terminating', 'dead']);

class MarkedNotebook {
  private readonly digests = new WeakMap<Cell, { source: string; digest: string }>();
  private readonly awaited = new WeakSet<Cell>();
  private readonly unsubscribe: () => void;
  /** Of the kernel that runs: what another one held is gone. */
  private older: OlderValues = NOTHING_OLDER;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly panel: NotebookPanel,
    private readonly store: Store,
    private readonly settings: IFaasSettings,
    private readonly show: (mark: Mark) => void
  ) {
    this.unsubscribe = store.subscribe(this.update);
    panel.content.modelContentChanged.connect(() => this.updateSoon());
    panel.content.modelChanged.connect(() => this.updateSoon());
    settings.changed.connect(this.update);
    const session = panel.sessionContext;
    session.iopubMessage.connect((_, message) => {
      const older = olderValuesOf(message.header.msg_type, message.content);
      if (older !== null) this.becomeOlder(older);
    });
    session.kernelChanged.connect(() => this.becomeOlder(NOTHING_OLDER));
    session.statusChanged.connect((_, status) => {
      if (ENDINGS.has(status)) this.becomeOlder(NOTHING_OLDER);
    });
    void panel.context.ready.then(() => this.update());
  }

  dispose(): void {
    this.unsubscribe();
    this.settings.changed.disconnect(this.update);
    clearTimeout(this.timer);
  }

  private becomeOlder(older: OlderValues): void {
    if (older.size === 0 && this.older.size === 0) return;
    this.older = older;
    this.update();
  }

  private updateSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.update(), PAUSE_MS);
  }

  private readonly update = (): void => {
    if (this.panel.isDisposed) return;
    const isWanted = this.settings.isOn('marks');
    const deployments = isWanted ? deploymentsOf(this.store.state, this.older) : [];
    for (const cell of this.panel.content.widgets) {
      if (cell.model.type === 'code') this.mark(cell, deployments);
    }
  };

  private mark(cell: Cell, deployments: readonly Deployment[]): void {
    const wrapper = cell.node.querySelector<HTMLElement>('.jp-Cell-inputWrapper');
    if (wrapper === null) {
      this.markWhenReady(cell);
      return;
    }
    const id = cell.model.sharedModel.getId();
    const digest = deployments.length === 0 ? '' : this.digestOf(cell);
    draw(wrapper, markOf({ id, digest }, deployments), this.show);
  }

  /** Cells out of sight are made later: JupyterLab makes what is needed first. */
  private markWhenReady(cell: Cell): void {
    if (this.awaited.has(cell)) return;
    this.awaited.add(cell);
    void cell.ready.then(() => this.updateSoon());
  }

  private digestOf(cell: Cell): string {
    const source = cell.model.sharedModel.getSource();
    const known = this.digests.get(cell);
    if (known?.source === source) return known.digest;
    const digest = source === '' ? '' : sha256(source);
    this.digests.set(cell, { source, digest });
    return digest;
  }
}

/** Put a mark beside the prompt, change it, or take it away. */
function draw(wrapper: HTMLElement, mark: Mark | null, show: (mark: Mark) => void): void {
  const there = wrapper.querySelector<HTMLButtonElement>(':scope > .faas-mark');
  wrapper.classList.toggle('faas-marked', mark !== null);
  if (mark === null) {
    there?.remove();
    return;
  }
  const button = there ?? document.createElement('button');
  button.onclick = () => show(mark);
  if (button.textContent === mark.text && button.title === mark.tooltip) return;
  button.type = 'button';
  button.className = 'faas-mark';
  button.dataset['kind'] = mark.kind;
  button.dataset['function'] = mark.function;
  button.textContent = mark.text;
  button.title = mark.tooltip;
  button.setAttribute('aria-label', mark.tooltip);
  // Tab goes from cell to cell; the command shows the function of the active one.
  button.tabIndex = -1;
  if (!there) wrapper.append(button);
}
