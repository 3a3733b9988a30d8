/** Entry of the widget (anywidget): the panel for front ends that do not have our extension. */

import { mount } from './components/mount';
import { subjectOf } from './components/subject';
import { CommTransport, type WidgetModel } from './connection/comm';
import { browser, Feed, restWhileHidden } from './connection/feed';

interface RenderProps {
  readonly model: WidgetModel;
  readonly el: HTMLElement;
}

/** Show the panel of a model; the result takes it away. */
function render({ model, el }: RenderProps): () => void {
  const feed = new Feed(new CommTransport(model), browser());
  const stopResting = restWhileHidden(feed, el.ownerDocument);
  const unmount = mount(el, { feed, ...subjectOf(model.get('panel')) });
  return () => {
    unmount();
    stopResting();
    feed.dispose();
  };
}

export default { render };
