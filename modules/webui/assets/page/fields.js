// Native form fields by kind. `studio.field(kind, options)` gives `{ input, beside, read(), write(value) }`: the
// element that takes the focus, what stands beside it, and its value.
const make = (...parts) => studio.make(...parts);

const checkbox = () => {
  const input = make('input', { type: 'checkbox' });
  return { input, read: () => input.checked, write: (value) => { input.checked = value === true; } };
};
const text = ({ lines = 1, type = 'text' }) => {
  const input = lines > 1 ? make('textarea', { rows: lines }) : make('input', { type });
  return { input, read: () => input.value, write: (value) => { input.value = value ?? ''; } };
};
const number = ({ step = 'any' }) => {
  const input = make('input', { type: 'number', step: String(step) });
  const write = (value) => { input.value = value ?? ''; };
  return { input, read: () => (Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : null), write };
};
/** A number with a range beside it: what is typed may lie beyond the range's ends. */
const slider = ({ minimum, maximum, step = 'any' }) => {
  const field = number({ step });
  const range = make('input', { type: 'range', min: String(minimum), max: String(maximum), step: String(step), 'aria-hidden': 'true', tabindex: '-1' });
  field.input.classList.add('field-slid');
  range.addEventListener('input', () => { field.input.value = range.value; });
  field.input.addEventListener('input', () => { range.value = field.input.value; });
  return { ...field, beside: range, write: (value) => { field.write(value); range.value = value; } };
};
const select = ({ choices }) => {
  const input = make('select', {}, ...choices.map((choice) => make('option', { value: choice }, choice || '—')));
  return {
    input, read: () => input.value,
    write: (value) => {
      if (!choices.includes(value ?? '') && ![...input.options].some((option) => option.value === value)) input.append(make('option', { value }, value));
      input.value = value ?? '';
    },
  };
};
/** One or several of a few choices, all of them seen. */
const boxes = (type) => ({ choices, name }) => {
  const inputs = choices.map((choice) => make('input', { type, name, value: choice }));
  const input = make('span', { class: 'field-boxes', role: type === 'radio' ? 'radiogroup' : 'group' }, ...inputs.map((one) => make('label', {}, one, make('span', {}, one.value))));
  const chosen = () => inputs.filter((one) => one.checked).map((one) => one.value);
  return {
    input, read: () => (type === 'radio' ? chosen()[0] ?? null : chosen()),
    write: (value) => inputs.forEach((one) => { one.checked = [value].flat().includes(one.value); }),
  };
};
/** Entries between commas; quotes keep a comma inside an entry. */
const splitList = (written) => [...written.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,\n]*))\s*(?:,|\n|$)/g)].map(([, quoted, plain]) => (quoted === undefined ? plain.trim() : quoted.replaceAll('""', '"'))).filter(Boolean);
const writeList = (entries) => entries.map((entry) => (/[",\n]/.test(entry) ? `"${entry.replaceAll('"', '""')}"` : entry)).join(',');
const words = () => {
  const input = make('input', { type: 'text', placeholder: studio.text('separated by commas') });
  return { input, read: () => input.value.split(',').map((word) => word.trim()).filter(Boolean), write: (value) => { input.value = (value || []).join(', '); } };
};
/** Names in the order in which they were chosen: tokens, and a list to add from. */
const tokens = ({ choices, name }) => {
  let names = choices, chosen = [];
  const list = make('datalist', { id: `${name}_choices` });
  const entry = make('input', { type: 'text', placeholder: studio.text('Add'), autocomplete: 'off' });
  entry.setAttribute('list', list.id);
  const input = make('span', { class: 'field-tokens', translate: 'no' }, list, entry);
  const show = () => {
    input.querySelectorAll('.token').forEach((token) => token.remove());
    entry.before(...chosen.map((one) => make('button', { type: 'button', class: 'token', 'aria-label': studio.text('Remove {0}', one), onclick: () => set(chosen.filter((other) => other !== one)) }, one)));
    list.replaceChildren(...names.filter((one) => !chosen.includes(one)).map((one) => make('option', { value: one })));
  };
  const set = (value) => { chosen = value; show(); input.dispatchEvent(new Event('input', { bubbles: true })); };
  const add = () => {
    if (!names.includes(entry.value)) return;
    const one = entry.value;
    entry.value = '';
    if (!chosen.includes(one)) set([...chosen, one]);
  };
  entry.addEventListener('input', (event) => { event.stopPropagation(); add(); });
  entry.addEventListener('keydown', (event) => { if (event.key === 'Backspace' && !entry.value && chosen.length) set(chosen.slice(0, -1)); });
  return { input, read: () => [...chosen], write: (value) => { chosen = [...(value || [])]; show(); }, offer: (value) => { names = value; show(); } };
};

const KINDS = { checkbox, text, number, slider, select, dropdown: select, radio: boxes('radio'), checkboxes: boxes('checkbox'), words, multiselect: tokens };
studio.field = (kind, options) => KINDS[kind](options);
studio.splitList = splitList;
studio.writeList = writeList;
