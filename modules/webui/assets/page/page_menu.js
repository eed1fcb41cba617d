// The menu of the page: how it looks, how forms begin, which keys there are.
let menu, keys;

const isCompact = () => localStorage.getItem('studio-compact') === 'yes';
document.body.classList.toggle('compact', isCompact());
const setCompact = (wanted) => {
  localStorage.setItem('studio-compact', wanted ? 'yes' : 'no');
  document.body.classList.toggle('compact', wanted);
};

const shortcuts = () => [
  ['Ctrl+Enter', studio.text('Generate; while a job runs, stop it and start anew')],
  ['Ctrl+Shift+Enter', studio.text('Put a job into the queue')],
  ['Alt+Enter', studio.text('Skip to the next picture')],
  ['Esc', studio.text('Interrupt')],
  ['Ctrl+↑ ↓', studio.text('Weight of the word at the cursor')],
  ['Alt+← →', studio.text('Move the phrase at the cursor')],
  ['Ctrl+Alt+Z', studio.text('Undo a change of the settings')],
  ['Ctrl+Alt+Y', studio.text('Redo a change of the settings')],
  ['Alt+1 … 9', studio.text('Open a tab')],
  ['/', studio.text('Go to the prompt')],
  ['?', studio.text('Show these keys')],
  ['← →', studio.text('Previous and next picture, on the pictures')],
  ['S', studio.text('Save the picture, in full size')],
];
const showKeys = () => {
  keys?.remove();
  keys = studio.make('dialog', { class: 'studio-dialog', id: 'shortcuts', 'aria-labelledby': 'shortcuts_title' },
    studio.make('header', {}, studio.make('h2', { id: 'shortcuts_title' }, studio.text('Keys')),
      studio.make('button', { type: 'button', class: 'dialog-close', 'aria-label': studio.text('Close'), onclick: () => keys.close() }, '✕')),
    studio.make('div', { class: 'shortcuts' }, shortcuts().map(([key, meaning]) => studio.make('div', {}, studio.make('span', {}, meaning), studio.make('kbd', { translate: 'no' }, key)))));
  studio.overlay(keys);
  keys.showModal();
};

const fill = async () => {
  const { editable } = await studio.visitor();
  const tab = studio.activeTab();
  const item = (label, act, hint) => studio.make('button', { type: 'button', onclick: () => { menu.hidePopover(); act(); } }, label, hint ? studio.make('kbd', { translate: 'no' }, hint) : null);
  const compact = studio.make('input', { type: 'checkbox', checked: isCompact(), onchange: (event) => setCompact(event.target.checked) });
  const notify = studio.make('input', { type: 'checkbox', checked: studio.notify.isOn(), onchange: (event) => studio.notify.set(event.target.checked) });
  const keep = async () => {
    await studio.attempt(async () => { await studio.form.keepAsDefaults(tab); studio.say(studio.text('This form is what everybody’s {0} begins with now.', tab)); });
  };
  const drop = async () => {
    await studio.attempt(async () => { await studio.form.dropDefaults(tab); studio.press(`${tab}_reset_form`); });
  };
  menu.replaceChildren(...[
    studio.make('label', {}, studio.text('Compact layout'), compact),
    studio.notify.isPossible() ? studio.make('label', {}, studio.text('Tell me when a job is done'), notify) : null,
    item(studio.text('Keys'), showKeys, '?'),
    ...(tab ? [
      studio.make('hr'),
      item(studio.text('Undo'), () => studio.press(`${tab}_undo`), 'Ctrl+Alt+Z'),
      item(studio.text('Redo'), () => studio.press(`${tab}_redo`), 'Ctrl+Alt+Y'),
      item(studio.text('Reset this form'), () => studio.press(`${tab}_reset_form`)),
      ...(editable ? [item(studio.text('Let this form be the default'), keep), item(studio.text('Forget the changed default'), drop)] : []),
    ] : []),
  ].filter(Boolean));
};
document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('#page_menu_button');
  if (!button) return;
  if (!menu) {
    menu = studio.make('div', { class: 'studio-popover page-menu', popover: 'auto', id: 'page_menu' });
    studio.overlay(menu);
  }
  await fill();
  studio.openBeside(menu, button);
  menu.querySelector('button, input')?.focus({ preventScroll: true });
});

const isTyping = (target) => Boolean(target.closest?.('input, textarea, select, [contenteditable=true]'));
document.addEventListener('keydown', (event) => {
  if (event.isComposing || event.metaKey || document.querySelector('dialog[open]')) return;
  const tab = studio.activeTab();
  const isAltGraph = event.getModifierState('AltGraph');   // it types letters and reports Ctrl and Alt
  if (event.ctrlKey && event.altKey && !isAltGraph && ['z', 'y'].includes(event.key.toLowerCase()) && tab) {
    studio.press(`${tab}_${event.key.toLowerCase() === 'z' && !event.shiftKey ? 'undo' : 'redo'}`);
  } else if (event.altKey && !event.ctrlKey && !event.shiftKey && /^Digit[1-9]$/.test(event.code)) {
    const tabs = document.querySelectorAll('#tabs > .tab-wrapper [role=tab]');
    const wanted = tabs[Number(event.code.slice(5)) - 1];
    if (!wanted) return;
    wanted.click();
  } else if (event.key === '/' && !event.ctrlKey && !event.altKey && !isTyping(event.target) && tab) {
    studio.promptOf(tab).focus();
  } else if (event.key === '?' && !event.ctrlKey && !event.altKey && !isTyping(event.target)) {
    showKeys();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}, true);
