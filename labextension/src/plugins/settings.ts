/** The extension's settings (`schema/plugin.json`). */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal, type ISignal } from '@lumino/signaling';
import { IFaasSettings } from './tokens';

export const settings: JupyterFrontEndPlugin<IFaasSettings> = {
  id: 'jupyter-faas:plugin',
  description: 'Settings of the extension.',
  autoStart: true,
  provides: IFaasSettings,
  optional: [ISettingRegistry],
  activate: (_, registry: ISettingRegistry | null) => new Settings(registry)
};

class Settings implements IFaasSettings {
  private readonly signal = new Signal<this, void>(this);
  private read: ((name: string) => unknown) | undefined;

  constructor(registry: ISettingRegistry | null) {
    void registry?.load(settings.id).then(
      loaded => {
        this.read = name => loaded.composite[name];
        loaded.changed.connect(() => this.signal.emit());
        this.signal.emit();
      },
      // They could not be read: everything stays on.
      () => undefined
    );
  }

  get changed(): ISignal<this, void> {
    return this.signal;
  }

  /** True until they are read, and without a registry. */
  isOn(name: 'marks' | 'status'): boolean {
    return this.read?.(name) !== false;
  }
}
