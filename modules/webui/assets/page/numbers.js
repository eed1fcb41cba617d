// Numbers are checked before they travel.
const complain = (input, sentence) => {
  const block = input.closest('.block');
  block.querySelector('.field-error')?.remove();
  const note = document.createElement('p');
  note.className = 'field-error';
  note.setAttribute('role', 'alert');
  note.textContent = sentence;
  block.append(note);
  block.classList.add('has-error');
  block.scrollIntoView({ block: 'center' });
  input.addEventListener('input', () => { note.remove(); block.classList.remove('has-error'); }, { once: true });
};
const firstBadNumber = (tab) => {
  for (const input of studio.page(tab).querySelectorAll('input[type=number]')) {
    if (input.offsetParent === null) continue;
    const block = input.closest('.block');
    const label = (block.querySelector('[data-testid=block-info]') || block.querySelector('label'))?.textContent.trim() || studio.text('This field');
    if (input.validity.badInput || input.value.trim() === '') return [input, studio.text('{0} needs a number.', label)];
    const value = Number(input.value), range = block.querySelector('input[type=range]');
    const low = range && range.min !== '' ? Number(range.min) : -Infinity, high = range && range.max !== '' ? Number(range.max) : Infinity;
    if (value < low || value > high) return [input, studio.text('{0} must be between {1} and {2} (you gave {3}).', label, low, high, input.value)];
  }
  return null;
};
document.addEventListener('click', (event) => {
  const button = event.target.closest?.('button[id$=_generate], button[id$=_queue]');
  if (!button) return;
  const stop = () => { event.stopImmediatePropagation(); event.preventDefault(); };
  const bad = firstBadNumber(button.id.replace(/_generate$|_queue$/, ''));
  if (bad) { stop(); complain(...bad); }
  if (event.detail > 1) stop();  // a double click is one wish
}, true);
