/** Names of the commands. */

export const CommandIDs = {
  showPanel: 'jupyter-faas:show-panel',
  openDetails: 'jupyter-faas:open-details',
  insertLookup: 'jupyter-faas:insert-lookup',
  insertExample: 'jupyter-faas:insert-example',
  remove: 'jupyter-faas:delete',
  startGateway: 'jupyter-faas:start-gateway'
} as const;
