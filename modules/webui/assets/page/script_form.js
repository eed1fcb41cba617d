// The arguments of the chosen script: native fields, built from /api/v1/scripts when a script is chosen.
const make = (...parts) => studio.make(...parts);
const forms = new Map();  // tab -> form
const chosen = new Map(); // tab -> title, for forms that are not there yet

class ScriptForm {
  constructor(parts) {
    Object.assign(this, parts);
    this.root = this.element.querySelector('.script-form');
    this.tab = this.root.dataset.tab;
    this.fields = [];
    this.root.addEventListener('input', () => { this.arrange(); this.send(); });
    this.watch('value', () => this.follow());
  }

  async choose(title) {
    if (title === this.title) return;
    this.title = title;
    const found = title && title !== 'None' ? await studio.attempt(() => studio.ask('GET', `scripts/${this.tab}`)) : undefined;
    if (this.title !== title) return;   // another one was chosen meanwhile
    this.axes = found?.axes || {};
    this.script = found?.scripts.find((script) => script.title === title);
    this.build();
    this.follow();
  }

  build() {
    const { arguments: declared = [], swaps = [] } = this.script || {};
    this.fields = declared.map((argument) => (argument.kind === 'note' ? null : this.field(argument)));
    this.byKey = Object.fromEntries(this.fields.filter(Boolean).map((field) => [field.argument.key, field]));
    const rows = [];
    declared.forEach((argument, place) => {
      const field = this.fields[place], last = rows.at(-1);
      if (!field) rows.push(make('p', { class: 'script-note' }, argument.label));
      else if (last?.dataset?.row === this.rowOf(argument)) last.append(field.row);
      else rows.push(make('div', { class: `script-line ${argument.kind}`, dataset: { row: this.rowOf(argument) } }, field.row));
    });
    if (swaps.length) rows.push(make('div', { class: 'script-swaps' }, ...swaps.map((swap) => make('button', { type: 'button', id: swap.id, onclick: () => this.swap(swap.pairs) }, swap.label))));
    this.root.replaceChildren(...rows);
    this.shown = undefined;
  }

  /** Arguments with the same name here stand in one row: an axis and its values; boxes beside boxes. */
  rowOf({ key, kind, choices_by: axis }) {
    const head = axis || this.fields.find((field) => field?.argument.instead_of === key)?.argument.choices_by;
    return head || (kind === 'checkbox' ? 'boxes' : key);
  }

  field(argument) {
    const { id, label, kind, choices = [] } = argument;
    const field = studio.field(kind, { ...argument, choices, name: id });
    field.argument = argument;
    field.input.id = `${id}_input`;
    const head = make(kind === 'radio' || kind === 'checkboxes' || kind === 'multiselect' ? 'span' : 'label', { class: 'script-label', for: `${id}_input` }, label);
    if (head.tagName === 'SPAN') field.input.setAttribute('aria-label', label);
    const tools = [];
    if (argument.fill) tools.push(field.fill = make('button', { type: 'button', class: 'icon icon-apply', id: id.replace(argument.key, `fill_${argument.key}`), title: argument.fill, onclick: () => this.fill(field) }, argument.fill));
    if (argument.upload) tools.push(this.upload(argument, field));
    const parts = kind === 'checkbox' ? [field.input, head] : kind === 'slider' ? [make('span', { class: 'script-head' }, head, field.input), field.beside] : [head, field.input];
    field.row = make('div', { class: `script-field ${kind}`, id }, ...parts, ...tools);
    return field;
  }

  upload({ id, key, upload }, field) {
    const file = make('input', { type: 'file', accept: '.txt,text/plain', hidden: true, onchange: async () => {
      if (!file.files[0]) return;
      if (file.files[0].size > 2 * 1024 * 1024) { studio.say(studio.text('Choose a text file of at most 2 MB.'), 'bad'); return; }
      field.write((await file.files[0].text()).replace(/^\uFEFF/, ''));
      file.value = '';
      this.send();
    } });
    return make('span', { class: 'script-upload', id: id.replace(key, 'file') }, file, make('button', { type: 'button', onclick: () => file.click() }, upload));
  }

  /** Names that may be chosen for an axis now. */
  names(field) { return this.axes[this.byKey[field.argument.choices_by].read()] || []; }

  /** Show a choice instead of a text while there is something to choose. */
  arrange() {
    for (const field of this.fields) {
      if (!field?.argument.choices_by) continue;
      const names = this.names(field), text = this.byKey[field.argument.instead_of];
      const choosing = names.length > 0 && !this.byKey[field.argument.plain_text].read();
      const were = field.read().filter((name) => names.includes(name));
      if (choosing) field.write(were.length ? were : studio.splitList(text.read()).filter((name) => names.includes(name)));
      else {
        if (were.length) text.write(studio.writeList(were));
        field.write([]);
      }
      field.offer(names);
      text.row.hidden = choosing;
      field.row.classList.toggle('only-fill', !choosing);
      field.row.hidden = !names.length;
    }
  }

  fill(field) {
    const names = this.names(field), text = this.byKey[field.argument.instead_of];
    if (text.row.hidden) field.write(names);
    else text.write(studio.writeList(names));
    this.send();
  }

  swap(pairs) {
    for (const [one, other] of pairs) {
      const [first, second] = [this.byKey[one], this.byKey[other]];
      const value = first.read();
      first.write(second.read());
      second.write(value);
    }
    this.arrange();
    this.send();
  }

  send() {
    if (!this.script) return;
    const values = this.fields.map((field) => (field ? field.read() : null));
    this.shown = JSON.stringify(values);
    this.props.value = { ...this.props.value, [this.title]: values };
    studio.form.look(this.tab);
  }

  /** Show the value that the page has, where it is not what the fields say already. */
  follow() {
    if (!this.script) return;
    const values = this.props.value?.[this.title] || [];
    if (this.shown === JSON.stringify(values)) return;
    this.shown = JSON.stringify(values);
    this.fields.forEach((field, place) => field?.write(values[place] ?? field.argument.default));
    this.arrange();
  }
}

studio.scripts = {
  begin(parts) {
    const form = new ScriptForm(parts);
    forms.set(form.tab, form);
    form.choose(chosen.get(form.tab));
  },
  choose(tab, title) {
    chosen.set(tab, title);
    forms.get(tab)?.choose(title);
  },
};
