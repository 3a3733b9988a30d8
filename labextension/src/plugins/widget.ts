/** A Lumino widget that shows Preact. */

import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { h, render, type ComponentChild } from 'preact';
import { Displayed } from '../components/hooks';

export class PreactWidget extends Widget {
  /**
   * @param draw Returns what is to be seen; called again by `redraw`.
   * @param focused Selectors: the first that finds something gets the focus when the widget is
   *   activated.
   */
  constructor(
    private readonly draw: () => ComponentChild,
    private readonly focused: readonly string[]
  ) {
    super();
    this.addClass('faas-widget');
  }

  redraw(): void {
    if (!this.isAttached) return;
    render(h(Displayed.Provider, { value: this.isVisible, children: this.draw() }), this.node);
  }

  protected override onAfterShow(): void {
    this.redraw();
  }

  protected override onAfterHide(): void {
    this.redraw();
  }

  protected override onAfterAttach(): void {
    this.redraw();
  }

  protected override onBeforeDetach(): void {
    render(null, this.node);
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    const found = this.focused.map(one => this.node.querySelector<HTMLElement>(one));
    found.find(one => one !== null)?.focus();
  }
}
