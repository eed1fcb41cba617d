() => {
  // --- small things that Gradio's own events call -------------------------------------------------
  const shownPicture = (live) => (live?.images || []).find((picture) => picture.id === live.selected);
  const page = (tab) => document.getElementById(`${tab}_page`);
  const activeTab = () => [...document.querySelectorAll('.studio-tab')].find((tab) => tab.offsetParent !== null)?.id.replace('_page', '');
  const press = (id) => document.getElementById(id)?.click();
  window.studio = {
    seedOf(live, name) {
      const picture = shownPicture(live);
      if (!picture) return -1;
      const found = picture.infotext.match(new RegExp(`\\b${name}: (\\d+)`));
      return found ? Number(found[1]) : name === 'Seed' ? Number(picture.seed) : -1;
    },
    sizeOf(picture, width, height) {
      const round = (side) => Math.max(64, Math.round(side / 8) * 8);
      return picture?.size ? picture.size.map(round) : [width, height];
    },
    download(tab) {
      document.getElementById(`${tab}_gallery`)?.querySelector('.live-root')?.parentElement.dispatchEvent(new Event('studio-download'));
    },
  };

  // --- light and dark -------------------------------------------------------------------------------
  const remembered = localStorage.getItem('studio-theme') || 'DEFAULT_THEME';  // '' follows the system
  if (remembered) document.body.classList.toggle('dark', remembered === 'dark');
  document.addEventListener('click', (event) => {
    if (!event.target.closest?.('#theme_switch')) return;
    const dark = document.body.classList.toggle('dark');
    localStorage.setItem('studio-theme', dark ? 'dark' : 'light');
  });

  // --- tooltips of icon buttons are their names -------------------------------------------------------
  document.addEventListener('pointerover', (event) => {
    const button = event.target.closest?.('button.icon');
    if (button && !button.title) button.title = button.textContent.trim();
  });

  // --- numbers are checked before they travel -----------------------------------------------------------
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
    for (const input of page(tab).querySelectorAll('input[type=number]')) {
      if (input.offsetParent === null) continue;
      const block = input.closest('.block');
      const label = (block.querySelector('[data-testid=block-info]') || block.querySelector('label'))?.textContent.trim() || 'This field';
      if (input.validity.badInput || input.value.trim() === '') return [input, `${label} needs a number.`];
      const value = Number(input.value), range = block.querySelector('input[type=range]');
      const low = range && range.min !== '' ? Number(range.min) : -Infinity, high = range && range.max !== '' ? Number(range.max) : Infinity;
      if (value < low || value > high) return [input, `${label} must be between ${low} and ${high} (you gave ${input.value}).`];
    }
    return null;
  };
  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('button[id$=_generate]');
    if (!button) return;
    const stop = () => { event.stopImmediatePropagation(); event.preventDefault(); };
    const bad = firstBadNumber(button.id.replace('_generate', ''));
    if (bad) { stop(); complain(...bad); }
    if (event.detail > 1) stop();  // a double click is one wish
  }, true);

  // --- prompts: weights, order, dropped pictures ----------------------------------------------------------
  const write = (area, from, to, text, selectFrom, selectTo) => {
    area.setRangeText(text, from, to, 'preserve');
    area.setSelectionRange(selectFrom, selectTo);
    area.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const DELIMITERS = new Set('.,\\/!?%^*;:{}=`~() \t\r\n');
  const enclosing = (text, from, to, open, close) => {
    let depth = 0, start = -1;
    for (let i = from - 1; i >= 0; i--) {
      if (text[i] === close && text[i - 1] !== '\\') depth++;
      else if (text[i] === open && text[i - 1] !== '\\' && depth-- === 0) { start = i; break; }
    }
    if (start < 0) return null;
    depth = 0;
    for (let i = to; i < text.length; i++) {
      if (text[i] === open && text[i - 1] !== '\\') depth++;
      else if (text[i] === close && text[i - 1] !== '\\' && depth-- === 0) return [start, i];
    }
    return null;
  };
  const changeWeight = (area, up) => {
    const text = area.value;
    let from = area.selectionStart, to = area.selectionEnd;
    const angle = enclosing(text, from, to, '<', '>');
    const step = (angle ? 0.05 : 0.1) * (up ? 1 : -1);
    const bracket = angle || enclosing(text, from, to, '(', ')');
    const inside = bracket && text.slice(bracket[0] + 1, bracket[1]).match(/^([^]*?):\s*(-?[\d.]+)\s*$/);
    if (bracket && inside) {
      const weight = Math.round((Number(inside[2]) + step) * 100) / 100;
      if (weight === 1 && !angle) {
        write(area, bracket[0], bracket[1] + 1, inside[1], bracket[0], bracket[0] + inside[1].length);
      } else {
        write(area, bracket[0] + 1, bracket[1], `${inside[1]}:${weight}`, bracket[0] + 1, bracket[0] + 1 + inside[1].length);
      }
      return;
    }
    if (angle) return;
    if (from === to) {
      while (from > 0 && !DELIMITERS.has(text[from - 1])) from--;
      while (to < text.length && !DELIMITERS.has(text[to])) to++;
    }
    while (to > from && text[to - 1] === ' ') to--;
    if (from === to) return;
    const word = text.slice(from, to);
    write(area, from, to, `(${word}:${Math.round((1 + step) * 100) / 100})`, from + 1, from + 1 + word.length);
  };
  const movePhrase = (area, by) => {
    const phrases = area.value.split(',');
    let at = 0, end = phrases[0].length;
    while (end < area.selectionStart && at < phrases.length - 1) end += 1 + phrases[++at].length;
    const other = at + by;
    if (other < 0 || other >= phrases.length) return;
    const bare = phrases.map((phrase) => phrase.trim());
    [bare[at], bare[other]] = [bare[other], bare[at]];
    const start = bare.slice(0, other).join(', ').length + (other ? 2 : 0);
    write(area, 0, area.value.length, bare.join(', '), start, start + bare[other].length);
  };
  const promptOf = (target) => target.closest?.('.prompt')?.querySelector('textarea');
  for (const name of ['dragover', 'drop']) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer || ![...event.dataTransfer.types].includes('Files')) return;
      if (event.target.closest?.('.picture-field, input[type=file]')) return;
      event.preventDefault();  // a picture dropped beside a field must not replace the page
      if (name !== 'drop') return;
      const tab = activeTab(), file = event.dataTransfer.files[0], input = document.querySelector(`#${tab}_prompt_image input[type=file]`);
      if (!tab || !file || !input) return;
      const carrier = new DataTransfer();
      carrier.items.add(file);
      input.files = carrier.files;
      input.dispatchEvent(new Event('change', { bubbles: true }));
    });
  }
  document.addEventListener('paste', (event) => {
    const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith('image/'));
    const field = file && [...document.querySelectorAll('.picture-field')].find((one) => one.offsetParent !== null);
    if (!field) return;
    event.preventDefault();
    field.querySelector('.canvas-view').parentElement.dispatchEvent(new CustomEvent('studio-picture', { detail: file }));
  });

  // --- keys -----------------------------------------------------------------------------------------------
  const busy = (tab) => page(tab)?.dataset.busy === 'true';
  const generate = (tab) => {
    if (!busy(tab)) { press(`${tab}_generate`); return; }
    press(`${tab}_interrupt`);  // A1111: generate while running stops and starts anew
    const watcher = new MutationObserver(() => {
      if (busy(tab)) return;
      watcher.disconnect();
      press(`${tab}_generate`);
    });
    watcher.observe(page(tab), { attributes: true, attributeFilter: ['data-busy'] });
  };
  document.addEventListener('keydown', (event) => {
    const tab = activeTab();
    if (!tab || event.isComposing) return;
    const command = event.ctrlKey || event.metaKey;
    const area = promptOf(event.target);
    if (event.key === 'Enter' && command) { if (!event.repeat) generate(tab); }
    else if (event.key === 'Enter' && event.altKey) press(`${tab}_skip`);
    else if (event.key === 'Escape' && busy(tab) && !document.querySelector('dialog[open]')) press(`${tab}_interrupt`);
    else if (area && command && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) changeWeight(area, event.key === 'ArrowUp');
    else if (area && event.altKey && (event.key === 'ArrowLeft' || event.key === 'ArrowRight')) movePhrase(area, event.key === 'ArrowLeft' ? -1 : 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
}
