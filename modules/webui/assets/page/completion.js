// While a prompt is typed: names of LoRAs, hypernetworks and embeddings that begin like the word at the caret.
const MOST = 8;
let names, list, area, from, chosen = 0;

const readNames = async () => {
  names ||= studio.ask('GET', 'prompts/names').catch(() => { names = undefined; return []; });
  return names;
};
studio.forgetNames = () => { names = undefined; };

const isOpen = () => Boolean(list?.matches(':popover-open'));
const close = () => {
  if (isOpen()) list.hidePopover();
  area?.removeAttribute('aria-activedescendant');
};
const fitting = (word, all) => {
  const wanted = word.toLowerCase().replace(/^<(?:(?:lora|lyco|hypernet)?:)?/, '');
  const isTag = word.startsWith('<');
  const kind = word.match(/^<(\w+):/)?.[1]?.toLowerCase().replace('lyco', 'lora');
  const bare = (name) => name.toLowerCase().replace(/^<\w+:|:$/g, '');
  return all
    .filter((name) => name.startsWith('<') === isTag && (!kind || name.startsWith(`<${kind}:`)) && bare(name).includes(wanted))
    .sort((a, b) => bare(a).indexOf(wanted) - bare(b).indexOf(wanted) || a.localeCompare(b))
    .slice(0, MOST);
};
const choose = (i) => {
  chosen = (i + list.children.length) % list.children.length;
  [...list.children].forEach((item, at) => item.setAttribute('aria-selected', String(at === chosen)));
  area.setAttribute('aria-activedescendant', list.children[chosen].id);
  list.children[chosen].scrollIntoView({ block: 'nearest' });
};
const accept = async (name) => {
  const { options } = await studio.visitor();
  const multiplier = options.extra_networks_default_multiplier ?? 1;
  const text = name.startsWith('<') ? `${name}${multiplier}>` : name;
  area.setRangeText(text, from, area.selectionStart, 'end');
  close();
  area.dispatchEvent(new Event('input', { bubbles: true }));
};
const offer = async (target) => {
  const before = target.value.slice(0, target.selectionStart);
  const word = before.match(/<[^<>,\n]*$|[\p{L}\p{N}_.-]{3,}$/u)?.[0];
  if (!word || target.selectionStart !== target.selectionEnd) { close(); return; }
  const found = fitting(word, await readNames());
  if (document.activeElement !== target || !found.length || found[0] === word) { close(); return; }
  if (!list) {
    list = studio.make('div', { class: 'studio-popover completion', popover: 'manual', role: 'listbox', id: 'completion', translate: 'no', 'aria-label': studio.text('Names that fit') });
    studio.overlay(list);
  }
  area = target;
  from = target.selectionStart - word.length;
  area.setAttribute('aria-controls', 'completion');
  list.replaceChildren(...found.map((name, i) => studio.make('div', {
    role: 'option', id: `completion-${i}`, onpointerdown: (event) => { event.preventDefault(); accept(name); },
  }, name.replace(/:$/, '').replace(/^<lora:/, '').replace(/^<hypernet:/, ''), studio.make('small', {}, name.startsWith('<lora') ? 'LoRA' : name.startsWith('<') ? 'Hypernetwork' : 'Textual Inversion'))));
  const place = studio.caretPlace(target);
  if (!isOpen()) list.showPopover();
  list.style.left = `${Math.max(8, Math.min(place.left, innerWidth - list.offsetWidth - 8))}px`;
  list.style.top = `${place.bottom + 6}px`;
  choose(0);
};
document.addEventListener('input', (event) => {
  if (event.target.matches?.('.prompt textarea') && event.isTrusted && !event.isComposing) offer(event.target);
});
document.addEventListener('keydown', (event) => {
  if (!isOpen() || event.target !== area || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === 'ArrowDown' || event.key === 'ArrowUp') choose(chosen + (event.key === 'ArrowDown' ? 1 : -1));
  else if ((event.key === 'Enter' || event.key === 'Tab') && !event.shiftKey) list.children[chosen].dispatchEvent(new Event('pointerdown'));
  else if (event.key === 'Escape') close();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
document.addEventListener('focusout', (event) => { if (event.target === area) close(); });
