/** Output of `f.panel()` and `%faas panel` in JupyterLab and Notebook 7: live from the server. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';
import { mount } from '../components/mount';
import { subjectOf } from '../components/subject';
import type { MenuItem } from '../components/Menu';
import type { Feed } from '../connection/feed';

export const MIME_TYPE = 'application/vnd.jupyter-faas.panel+json';

/** Before the widget's own view (-10): that one needs the kernel, this one does not. */
const RANK = -20;

/** Return what makes panels of outputs; `items` are added to the menu of a function. */
export function panelFactory(
  feed: Feed,
  items: (name: string) => readonly MenuItem[]
): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [MIME_TYPE],
    defaultRank: RANK,
    createRenderer: () => new RenderedPanel(feed, items)
  };
}

/** One output. What it shows is not in the notebook: only whose panel it is. */
class RenderedPanel extends Widget implements IRenderMime.IRenderer {
  private unmount: () => void = () => undefined;

  constructor(
    private readonly feed: Feed,
    private readonly items: (name: string) => readonly MenuItem[]
  ) {
    super();
    this.addClass('faas-output');
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const subject = subjectOf(model.data[MIME_TYPE]);
    this.unmount();
    this.unmount = mount(this.node, { feed: this.feed, items: this.items, ...subject });
    return Promise.resolve();
  }

  override dispose(): void {
    if (this.isDisposed) return;
    this.unmount();
    super.dispose();
  }
}
