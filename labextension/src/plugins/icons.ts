/** The one icon of ours: λ in a hexagon, in the colours of the theme. */

import { LabIcon } from '@jupyterlab/ui-components';

export const functionsIcon = new LabIcon({
  name: 'jupyter-faas:functions',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 1.5 21.2 6.8v10.4L12 22.5 2.8 17.2V6.8zm0 2.1L4.6 7.8v8.4l7.4 4.2 7.4-4.2V7.8z"/>
    <path d="M8.2 17.5 11 10.9l-.6-1.5c-.3-.8-.6-1-1.3-1h-.6V6.8h1.2c1.4 0 2.1.5 2.6 1.8l2.5 6.3c.3.8.6 1 1.2 1h.4v1.6h-1.1c-1.4 0-2-.5-2.5-1.7l-1-2.6-1.9 4.3z"/>
  </g>
</svg>`
});
