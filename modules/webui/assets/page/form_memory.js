// Each browser remembers the form of each tab for each user, with all its changes: undo and redo of everything.
const LONGEST_HISTORY = 100;        // changes
const LONGEST_MOVE = 30000, LONGEST_LOOK = 5000;   // milliseconds
const LARGEST_VALUE = 20000;        // characters of JSON; what is larger is not remembered
const OFTEN = 150, AT_REST = 500;   // milliseconds between looks at a form: while somebody works in it, and after that
const forms = new Map();            // tab -> form

class FormMemory {
  constructor(tab, fields, accordions) {
    Object.assign(this, { tab, accordions, keys: fields.map(([key]) => key) });
    this.labels = Object.fromEntries(fields.map(([key, label]) => [key, label]));
    this.choices = Object.fromEntries(fields.map(([key, , choices]) => [key, choices]));
    this.built = this.named(fields.map(([, , , value]) => value));
    this.now = { ...this.built };
    this.first = { ...this.built };    // with the defaults of this installation
    this.noted = { ...this.built };    // the state that the history ends with
    this.past = [];
    this.future = [];
    this.moving = new Map();           // key -> what it has been and what it is to become, until Gradio has done so
    this.note = studio.settled(600, () => this.record());
  }

  /** Values by key; a text that was never shown has none, which is an empty one. */
  named(values) { return Object.fromEntries(this.keys.map((key, i) => [key, values[i] ?? (this.built?.[key] === '' ? '' : null)])); }

  async open() {
    this.place = `studio-form:${await visitorName()}:${this.tab}`;
    const defaults = await studio.ask('GET', `page/defaults/${this.tab}`).catch(() => ({ values: {} }));
    for (const key of this.keys) {
      if (Object.hasOwn(defaults.values, this.labels[key])) this.first[key] = defaults.values[this.labels[key]];
    }
    const stored = this.read();
    this.past = stored?.past || [];
    this.future = stored?.future || [];
    document.dispatchEvent(new CustomEvent('studio-form', { detail: this.tab }));
    if (this.tab === studio.activeTab()) await this.seen();   // somebody may have typed already
    const wanted = { ...this.first, ...(stored?.now || {}) };
    for (const key of this.keys) {
      if (same(this.now[key], this.built[key])) continue;
      delete wanted[key];   // touched meanwhile
      this.note();
    }
    this.isOpen = true;
    return this.moveTo(wanted);
  }

  /** Wait for the values that the form has now. */
  seen() {
    return new Promise((resolve) => {
      this.isSeen = resolve;
      setTimeout(resolve, LONGEST_LOOK);
      studio.form.look(this.tab);
    });
  }

  read() {
    try { return JSON.parse(localStorage.getItem(this.place)); } catch { return null; }
  }

  write() {
    const kept = Object.fromEntries(this.keys.filter((key) => isKept(this.noted[key])).map((key) => [key, this.noted[key]]));
    const content = { now: kept, past: this.past, future: this.future };
    while (true) {
      try { localStorage.setItem(this.place, JSON.stringify(content)); return; } catch {
        if (!content.past.length) return;   // the browser's store is full of other things
        content.past = content.past.slice(Math.ceil(content.past.length / 2));
      }
    }
  }

  /** Outputs for Gradio that bring the form to some values; what stays as it is is left out. */
  moveTo(values) {
    const outputs = [];
    this.keys.forEach((key, i) => {
      if (Object.hasOwn(values, key) && !same(values[key], this.now[key]) && this.takes(key, values[key])) {
        outputs[i] = values[key];
        const passed = [...(this.moving.get(key)?.passed || []), this.now[key]];
        this.moving.set(key, { passed, to: values[key], until: Date.now() + LONGEST_MOVE });
        this.now[key] = values[key];
        this.noted[key] = values[key];
      }
    });
    this.accordions.forEach((key, i) => { outputs[this.keys.length + i] = { __type__: 'update', open: this.now[key] === true }; });
    this.show();
    if (this.moving.size) studio.form.written(this.tab);
    return Array.from({ length: this.keys.length + this.accordions.length }, (_, i) => outputs[i]);
  }

  /** Whether a field can have a value: remembered ones may be of an older page, or name what is gone. */
  takes(key, value) {
    const built = this.built[key], choices = this.choices[key];
    if (value === null || built === null || built === undefined) return true;
    return typeof value === typeof built && Array.isArray(value) === Array.isArray(built) && (!choices || choices.includes(value));
  }

  /** Values as they will be: Gradio takes its time to show those that `moveTo` has given it. */
  moved(values) {
    const ahead = { ...values };
    for (const [key, { passed, to, until }] of this.moving) {
      const waits = !same(values[key], to) && passed.some((one) => same(values[key], one)) && Date.now() < until;
      if (waits) ahead[key] = to;
      else this.moving.delete(key);
    }
    if (this.moving.size) studio.form.written(this.tab);
    return ahead;
  }

  changed(seen) {
    const values = this.moved(seen);
    this.isSeen?.();
    this.take(values);
  }

  take(values) {
    if (same(this.now, values)) return;
    this.now = values;
    document.dispatchEvent(new CustomEvent('studio-form', { detail: this.tab }));
    if (this.place) this.note();
  }

  /** Put what has changed since the last time into the history. */
  record() {
    const before = {}, after = {};
    for (const key of this.keys) {
      if (same(this.noted[key], this.now[key])) continue;
      before[key] = this.noted[key] ?? null;
      after[key] = this.now[key] ?? null;
    }
    if (!Object.keys(after).length) return;
    this.noted = { ...this.now };
    if (Object.keys(after).every((key) => isKept(before[key]) && isKept(after[key]))) {
      this.past = [...this.past, { before, after }].slice(-LONGEST_HISTORY);
      this.future = [];
    }
    this.write();
    this.show();
  }

  step(back) {
    this.record();
    const [from, to] = back ? [this.past, this.future] : [this.future, this.past];
    const change = from.pop();
    if (!change) return this.moveTo({});
    to.push(change);
    const outputs = this.moveTo(back ? change.before : change.after);
    this.write();
    return outputs;
  }

  reset() {
    this.record();
    const before = { ...this.noted };
    const outputs = this.moveTo(this.first);
    const changed = this.keys.filter((key) => !same(before[key], this.noted[key]));
    if (changed.length) {
      const pick = (values) => Object.fromEntries(changed.map((key) => [key, values[key] ?? null]));
      this.past = [...this.past, { before: pick(before), after: pick(this.noted) }].slice(-LONGEST_HISTORY);
      this.future = [];
    }
    this.write();
    this.show();
    return outputs;
  }

  /** Name what the buttons would do. */
  show() {
    for (const [name, changes, sentence] of [['undo', this.past, 'Undo: {0}'], ['redo', this.future, 'Redo: {0}']]) {
      const button = document.getElementById(`${this.tab}_${name}`), change = changes.at(-1);
      if (!button) continue;
      button.setAttribute('aria-disabled', String(!change));
      const labels = change ? Object.keys(change.after).map((key) => studio.text(this.labels[key] || key)) : [];
      const shown = labels.length > 3 ? studio.text('{0} settings', labels.length) : labels.join(', ');
      button.title = change ? (sentence === 'Undo: {0}' ? studio.text('Undo: {0}', shown) : studio.text('Redo: {0}', shown)) : button.textContent.trim();
    }
  }
}
const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
/** Whose form it is; a server that does not answer is asked again, for elsewhere nothing would be found. */
const visitorName = async () => {
  const { user } = await studio.visitor();
  if (user) return user;
  await new Promise((resolve) => { setTimeout(resolve, 1000); });
  return visitorName();
};
const isKept = (value) => JSON.stringify(value ?? null).length <= LARGEST_VALUE;

studio.form = {
  begin(tab, fields, accordions) {
    const form = new FormMemory(tab, fields, accordions);
    forms.set(tab, form);
    return form.open();
  },
  changed(tab, values) {
    const form = forms.get(tab);
    if (!form) return;
    form.changed(form.named(values));
    const shared = Object.fromEntries(Object.entries(form.now).filter(([key]) => key.startsWith('setting_')));   // above the tabs
    forms.forEach((other) => { if (other !== form) other.take({ ...other.now, ...shared }); });
  },
  /** Whether a form shows what it remembers; for scripts of extensions, and for tests. */
  isSettled(tab) {
    const form = forms.get(tab);
    return Boolean(form?.isOpen) && [...form.moving.values()].every(({ until }) => Date.now() > until);
  },
  /** Ask for the values of a form; they come to `changed`. The window hears nothing: open menus close at any click. */
  look(tab = studio.activeTab()) {
    const hush = (event) => event.stopPropagation();
    document.addEventListener('click', hush);
    studio.press(`${tab}_look`);
    document.removeEventListener('click', hush);
  },
  /** The server has written into a form: each of its fields takes its value in its own time. */
  written(tab) { setTimeout(() => studio.form.look(tab), OFTEN); },
  undo(tab) { return forms.get(tab)?.step(true) ?? []; },
  redo(tab) { return forms.get(tab)?.step(false) ?? []; },
  reset(tab) { return forms.get(tab)?.reset() ?? []; },
  value(tab, key) { return forms.get(tab)?.now[key]; },
  /** Let everybody's form begin as this one is. The prompts and the seed belong to a picture, not to a default. */
  async keepAsDefaults(tab) {
    const form = forms.get(tab), values = {};
    for (const key of form.keys) {
      if (['prompt', 'neg_prompt', 'seed', 'subseed', 'styles', 'override_settings'].includes(key) || key.startsWith('setting_')) continue;
      if (!same(form.now[key], form.built[key])) values[form.labels[key]] = form.now[key];
    }
    await studio.ask('DELETE', `page/defaults/${tab}`);
    const kept = await studio.ask('PUT', `page/defaults/${tab}`, { values });
    form.first = { ...form.built };
    for (const key of form.keys) if (Object.hasOwn(kept.values, form.labels[key])) form.first[key] = kept.values[form.labels[key]];
  },
  async dropDefaults(tab) {
    await studio.ask('DELETE', `page/defaults/${tab}`);
    const form = forms.get(tab);
    form.first = { ...form.built };
  },
};

// Whatever somebody does may change a form. While it goes on the form is looked at now and then, and at its end.
let often;
const atRest = studio.settled(AT_REST, () => studio.form.look());
const touched = (event) => {
  if (event.target.id?.endsWith('_look')) return;
  often ||= setTimeout(() => { often = 0; studio.form.look(); }, OFTEN);
  atRest();
};
for (const name of ['input', 'change', 'click', 'keyup', 'pointerup', 'focusout', 'drop', 'paste']) document.addEventListener(name, touched, true);
addEventListener('pagehide', () => forms.forEach((form) => { if (form.place) form.record(); }));
