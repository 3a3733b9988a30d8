/** The plugins JupyterLab loads. This folder and `mime` are all that knows JupyterLab. */

import { mime } from '../mime';
import { connection } from './connection';

export default [connection, mime];
