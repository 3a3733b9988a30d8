/** The plugins JupyterLab loads. This folder and `mime` are all that knows JupyterLab. */

import { mime } from '../mime';
import { acting } from './acting';
import { connection } from './connection';
import { details } from './details';
import { marks } from './marks';
import { outputs } from './outputs';
import { panel } from './panel';
import { settings } from './settings';
import { status } from './status';

export default [settings, connection, mime, panel, details, acting, marks, outputs, status];
