// The settings: one form of native fields, filled from /api/v1/settings when the tab is first opened.
const $ = (selector) => element.querySelector(selector);
const root = $('.settings-root'), list = $('.settings-list'), pages = $('.settings-pages');
const note = $('.settings-note'), apply = $('.settings-apply'), search = $('.settings-search'), only = $('.settings-changed input');
const fields = new Map();  // key -> { setting, row, read(), write(value) }
const same = (a, b) => JSON.stringify(a ?? '') === JSON.stringify(b ?? '');  // an empty field is no value
const make = (tag, attributes = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
};

// A list of choices is closed, but for those that are not known beforehand.
const KINDS = { checkbox: 'checkbox', slider: 'slider', number: 'number', radio: 'select', dropdown: 'select', multiselect: 'words' };
const fieldOf = (setting) => {
  const kind = setting.component === 'dropdown' && !setting.choices.length ? 'text' : KINDS[setting.component] || 'text';
  const whole = Number.isInteger(setting.default) && Number.isInteger(setting.step ?? 1);
  return studio.field(kind, { ...setting, step: setting.step ?? (whole ? 1 : 'any'), type: setting.component === 'color' ? 'color' : 'text' });
};

// --- the form
const differs = (field) => !same(field.read(), field.setting.value);
const refresh = (field) => {
  const custom = !same(field.read(), field.setting.default);
  field.row.classList.toggle('is-changed', custom);
  field.reset.hidden = !custom;
};
const refreshAll = () => {
  const waiting = [...fields.values()].filter(differs).length;
  apply.disabled = waiting === 0 || root.dataset.editable !== 'true';
  if (waiting) note.textContent = studio.text(waiting === 1 ? '1 change is not applied yet' : '{0} changes are not applied yet', waiting);
  else if (root.dataset.editable === 'true') note.textContent = '';
};
const addRow = (setting, parent) => {
  const { input, beside, read, write } = fieldOf(setting);
  input.id = `setting_${setting.key}_input`;
  input.disabled = root.dataset.editable !== 'true';
  if (beside) beside.disabled = input.disabled;
  const reset = make('button', { type: 'button', className: 'settings-reset', textContent: studio.text('Reset') });
  reset.setAttribute('aria-label', studio.text('Reset {0} to its default', setting.label));
  const label = make('label', { htmlFor: input.id }, make('span', { textContent: setting.label }));
  if (setting.restart) label.append(make('small', { textContent: studio.text('needs a reload of the page') }));
  const row = make('div', { id: `setting_${setting.key}_row`, className: 'settings-row' }, label, make('div', { className: 'settings-field' }, ...[beside, input].filter(Boolean)), reset);
  const field = { setting, row, read, write, reset, input };
  write(setting.value);
  row.addEventListener('input', () => { row.querySelector('.field-error')?.remove(); refresh(field); refreshAll(); });
  reset.onclick = () => { write(setting.default); refresh(field); refreshAll(); };
  if (input.disabled) reset.disabled = true;
  refresh(field);
  fields.set(setting.key, field);
  parent.append(row);
};
const build = ({ settings, editable }) => {
  root.dataset.editable = String(editable);
  const sections = new Map();
  for (const setting of settings) {
    if (!sections.has(setting.section)) {
      const id = `settings_${sections.size}`;
      const section = make('section', { id }, make('h3', { textContent: setting.section }));
      section.setAttribute('aria-labelledby', id);
      const link = make('button', { type: 'button', textContent: setting.section });
      link.onclick = () => { search.value = ''; filter(); section.scrollIntoView({ block: 'start' }); };
      pages.append(link);
      list.append(section);
      sections.set(setting.section, section);
    }
    addRow(setting, sections.get(setting.section));
  }
  root.dataset.state = 'ready';
  $('.settings-actions').hidden = !editable;
  if (!editable) note.textContent = studio.text('Only an administrator can change settings.');
};
const filter = () => {
  const wanted = search.value.trim().toLowerCase().split(/\s+/);
  for (const { setting, row } of fields.values()) {
    const hay = `${setting.key} ${setting.label} ${row.querySelector('label').textContent} ${setting.section}`.toLowerCase();
    row.hidden = !wanted.every((word) => hay.includes(word)) || (only.checked && !row.classList.contains('is-changed'));
  }
  for (const section of list.children) section.hidden = !section.querySelector('.settings-row:not([hidden])');
};
search.addEventListener('input', filter);
only.addEventListener('change', filter);

const complain = (key, sentence) => {
  const field = fields.get(key);
  note.textContent = field ? '' : sentence;
  if (!field) return;
  const error = make('p', { className: 'field-error', textContent: sentence });
  error.setAttribute('role', 'alert');
  field.row.append(error);
  field.row.scrollIntoView({ block: 'center' });
  field.input.focus();
};
apply.onclick = async () => {
  const changed = [...fields.values()].filter(differs);
  const body = JSON.stringify(Object.fromEntries(changed.map((field) => [field.setting.key, field.read()])));
  apply.disabled = true;
  try {
    const answer = await fetch('api/v1/settings', { method: 'PATCH', headers: { 'content-type': 'application/json' }, body });
    const said = await answer.json();
    if (!answer.ok) { complain(said.field, said.detail || said.message || studio.text('The settings were not applied.')); return; }
    for (const field of changed) {
      field.setting.value = said[field.setting.key];
      field.write(field.setting.value);
      refresh(field);
    }
    note.textContent = studio.text(changed.length === 1 ? '1 setting applied' : '{0} settings applied', changed.length);
  } catch {
    note.textContent = studio.text('The server does not answer; nothing was changed.');
  } finally {
    apply.disabled = ![...fields.values()].some(differs);
  }
};

$('#sett_unload_sd_model').onclick = async () => {
  const answer = await fetch('sdapi/v1/unload-checkpoint', { method: 'POST' }).catch(() => null);
  note.textContent = answer?.ok ? studio.text('The next job loads what it needs.') : studio.text('The server does not answer; nothing was changed.');
};

const load = async () => {
  try {
    const answer = await fetch('api/v1/settings');
    if (!answer.ok) throw new Error(String(answer.status));
    build(await answer.json());
  } catch {
    note.textContent = studio.text('The settings cannot be read; reload the page to try again.');
  }
};
new IntersectionObserver((seen, observer) => {
  if (!seen.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  load();
}).observe(root);
