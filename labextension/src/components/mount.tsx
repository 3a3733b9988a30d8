/** Puts a panel into an element, and lets it rest while the element cannot be seen. */

import { render } from 'preact';
import { Displayed } from './hooks';
import { Panel, type PanelProps } from './Panel';

/**
 * Show a panel.
 *
 * @param element Is filled; it needs no style of its own.
 * @returns Takes it away: no timer, no interest in the feed is left.
 */
export function mount(element: HTMLElement, props: PanelProps): () => void {
  element.classList.add('faas-root');
  element.addEventListener('focusin', keepKeys);
  let isDisplayed: boolean | null = null;
  const show = (isSeen: boolean) => {
    if (isSeen === isDisplayed) return;
    isDisplayed = isSeen;
    render(
      <Displayed.Provider value={isSeen}>
        <Panel {...props} />
      </Displayed.Provider>,
      element
    );
  };
  if (typeof IntersectionObserver === 'undefined') {
    show(true);
    return () => render(null, element);
  }
  show(false);
  // A little before it comes into sight: then it is up to date when it does.
  const observer = new IntersectionObserver(
    entries => show(entries.at(-1)?.isIntersecting ?? false),
    { rootMargin: '100px' }
  );
  observer.observe(element);
  return () => {
    observer.disconnect();
    render(null, element);
  };
}

/**
 * Keys pressed in here are ours: arrows move a slider, not JupyterLab's choice of a cell. It looks
 * at what has the focus before it looks further up, so each such element has to say so.
 */
function keepKeys({ target }: FocusEvent): void {
  if (target instanceof Element) target.setAttribute('data-lm-suppress-shortcuts', 'true');
}
