// Cards of textual inversions, LoRAs, hypernetworks and checkpoints. Thousands of them stay light: a list is
// fetched when its tab is opened, cards are made as they are scrolled to, pictures when they are seen.
const AT_ONCE = 60;
const KINDS = { textual_inversion: 'Textual Inversion', lora: 'LoRA', hypernetwork: 'Hypernetworks', checkpoint: 'Checkpoints' };
const TAGS = { lora: 'lora', hypernetwork: 'hypernet' };
const lists = new Map();      // kind -> { version, cards }, as the server told last
const panes = new Map();      // tab -> pane
const lastPrompt = new Map(); // tab -> whether the negative prompt was in use last

document.addEventListener('focusin', (event) => {
  const area = event.target.closest?.('.studio-tab .prompt textarea');
  if (area) lastPrompt.set(area.closest('.studio-tab').id.replace('_page', ''), Boolean(area.closest('[id$="_neg_prompt"]')));
});

studio.cards = {
  /** Fetch a list, from the server's memory or anew from disk. */
  fetch(kind, { refresh = false, checkpoint = '' } = {}) {
    const query = new URLSearchParams({ kind, checkpoint, ...(refresh ? { refresh: 'true' } : {}) });
    return studio.ask('GET', `networks?${query}`);
  },
  /** Put a changed card in place of the old one, wherever it is shown. */
  replace(card) {
    const list = lists.get(card.kind)?.cards;
    const at = list?.findIndex((one) => one.name === card.name) ?? -1;
    if (at >= 0) list[at] = card;
    panes.forEach((pane) => { if (pane.kind === card.kind) pane.draw(); });
  },
  previewOf: (card) => (card.preview ? `api/v1/networks/preview?${new URLSearchParams({ kind: card.kind, name: card.name, v: card.preview })}` : ''),
};

// --- tags in prompts
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const tagOf = (card) => (TAGS[card.kind]
  ? new RegExp(`<(?:${card.kind === 'lora' ? 'lora|lyco' : 'hypernet'}):(?:${escaped(card.called)}|${escaped(card.name)})(?::[^>]*)?>`, 'i')
  : new RegExp(`(?<![\\p{L}\\p{N}_-])${escaped(card.called)}(?![\\p{L}\\p{N}_-])`, 'iu'));
const isUsed = (card, tab) => {
  if (card.kind === 'checkpoint') return studio.form.value(tab, 'setting_sd_model_checkpoint') === card.called;
  return [false, true].some((negative) => tagOf(card).test(studio.promptOf(tab, negative)?.value || ''));
};
const without = (text, piece) => {
  const at = typeof piece === 'string' ? text.indexOf(piece) : text.search(piece);
  if (at < 0 || piece === '') return text;
  const length = typeof piece === 'string' ? piece.length : text.match(piece)[0].length;
  const before = text.slice(0, at).replace(/[\s,]+$/, ''), after = text.slice(at + length).replace(/^[\s,]+/, '');
  return before && after ? `${before}, ${after}` : before + after;
};
const toggle = async (card, tab) => {
  if (card.kind === 'checkpoint') {
    studio.cards.chosen = card.called;
    studio.press('card_checkpoint');
    return;
  }
  const { options } = await studio.visitor();
  const prompt = studio.promptOf(tab), negative = studio.promptOf(tab, true);
  const separator = options.extra_networks_add_text_separator ?? ' ';
  const target = card.kind === 'textual_inversion' && lastPrompt.get(tab) ? negative : prompt;
  const used = isUsed(card, tab);
  let text = target.value, unwanted = negative.value;
  if (used) {
    for (const area of [prompt, negative]) {
      let left = without(area.value, tagOf(card));
      if (area === prompt && card.activation_text) left = without(left, card.activation_text);
      if (area === negative && card.negative_text) left = without(left, `(${card.negative_text}:1)`);
      if (left !== area.value) studio.type(area, left);
    }
    return;
  }
  const weight = card.preferred_weight || options.extra_networks_default_multiplier || 1;
  const tag = TAGS[card.kind] ? `<${TAGS[card.kind]}:${card.called}:${weight}>` : card.called;
  const added = card.activation_text && TAGS[card.kind] ? `${tag} ${card.activation_text}` : tag;
  text = text.trim() ? text.replace(/\s+$/, '') + separator + added : added;
  studio.type(target, text);
  if (card.negative_text) {
    const wanted = `(${card.negative_text}:1)`;
    unwanted = unwanted.trim() ? unwanted.replace(/\s+$/, '') + separator + wanted : wanted;
    studio.type(negative, unwanted);
  }
};

// --- one pane for each tab
class CardPane {
  constructor(root) {
    this.root = root;
    this.tab = root.id.replace('_extra_tabs', '');
    this.kind = '';
    this.query = '';
    this.folder = '';
    this.order = '';
    const [search, order, direction] = ['.cards-search', '.cards-order', '.cards-direction'].map((name) => root.querySelector(name));
    search.addEventListener('input', studio.settled(120, () => { this.query = search.value.trim().toLowerCase(); this.draw(); }));
    order.addEventListener('change', () => { this.order = order.value; this.draw(); });
    direction.addEventListener('click', () => { this.down = !this.down; direction.setAttribute('aria-pressed', String(this.down)); this.draw(); });
    root.querySelector('.cards-refresh').addEventListener('click', () => this.load(true));
    this.grid = root.querySelector('.cards-grid');
    this.note = root.querySelector('.cards-note');
    this.grid.addEventListener('click', (event) => this.pressed(event));
    this.more = new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) this.append(); }, { rootMargin: '600px' });
    this.more.observe(root.querySelector('.cards-more'));
    document.addEventListener('studio-form', ({ detail }) => { if (detail === this.tab && this.kind) this.mark(); });
    document.addEventListener('input', (event) => { if (this.kind && event.target.closest?.(`#${this.tab}_page .prompt`)) this.mark(); });
  }

  async open(kind) {
    const pane = this.root.closest('.settings-pane');
    this.kind = kind;
    pane.toggleAttribute('data-cards', Boolean(kind));
    this.root.querySelector('.cards-pane').hidden = !kind;
    for (const button of this.root.querySelectorAll('[data-kind]')) {
      button.setAttribute('aria-selected', String(button.dataset.kind === kind));
      button.tabIndex = button.dataset.kind === kind ? 0 : -1;
    }
    if (!kind) return;
    this.folder = '';
    if (!this.order) {
      const { options } = await studio.visitor();
      this.options = options;
      this.order = options.extra_networks_card_order_field || 'Path';
      this.down = options.extra_networks_card_order === 'Descending';
      this.root.querySelector('.cards-order').value = this.order;
      this.root.querySelector('.cards-direction').setAttribute('aria-pressed', String(this.down));
      if (options.extra_networks_card_width) this.grid.style.setProperty('--card-width', `${options.extra_networks_card_width}px`);
      if (options.extra_networks_card_height) this.grid.style.setProperty('--card-height', `${options.extra_networks_card_height}px`);
      this.grid.style.setProperty('--card-text', options.extra_networks_card_text_scale ?? 1);
    }
    await this.load(false);
  }

  async load(refresh) {
    const checkpoint = studio.form.value(this.tab, 'setting_sd_model_checkpoint') || '';
    if (!lists.has(this.kind)) this.say(studio.text('Looking at the folder …'));
    const looks = this.looks = (this.looks || 0) + 1, { kind } = this;
    this.grid.setAttribute('aria-busy', 'true');
    const found = await studio.attempt(() => studio.cards.fetch(kind, { refresh, checkpoint }));
    if (looks !== this.looks) return;   // somebody has looked again meanwhile
    this.grid.setAttribute('aria-busy', 'false');
    if (!found) return;
    lists.set(kind, found);
    if (refresh) studio.forgetNames();
    this.draw();
  }

  say(sentence) { this.note.textContent = sentence; this.note.hidden = !sentence; }

  fitting() {
    const { cards, version = '' } = lists.get(this.kind) || { cards: [] };
    const { options } = this;
    return cards.filter((card) => {
      const folder = card.folder || '';
      if (card.hidden && (options.extra_networks_hidden_models === 'Never' || (options.extra_networks_hidden_models === 'When searched' && !this.query))) return false;
      if (this.folder && folder !== this.folder && !folder.startsWith(`${this.folder}/`)) return false;
      if (this.kind === 'lora' && !options.lora_show_all && version && card.version && card.version !== version) return false;
      const text = `${card.called} ${card.name} ${folder} ${card.description || ''} ${card.activation_text || ''}`.toLowerCase();
      return this.query.split(/\s+/).every((word) => text.includes(word));
    });
  }

  sorted(cards) {
    const keys = {
      Path: (card) => `${card.folder || ''}/${card.name}`.toLowerCase(),
      Name: (card) => card.called.toLowerCase(),
      'Date Created': (card) => card.created || 0,
      'Date Modified': (card) => card.modified || 0,
    };
    const key = keys[this.order] || keys.Path, sign = this.down ? -1 : 1;
    const compare = (one, other) => (typeof one === 'string' ? one.localeCompare(other, undefined, { numeric: true }) : one - other);
    return [...cards].sort((one, other) => sign * compare(key(one), key(other)));
  }

  draw() {
    this.drawFolders();
    this.shown = this.sorted(this.fitting());
    this.made = 0;
    this.grid.replaceChildren();
    const all = lists.get(this.kind)?.cards.length || 0, left = all - this.shown.length;
    if (!all) this.say(studio.text('There is nothing here yet. Put files into the models folder and press Refresh.'));
    else if (!this.shown.length) this.say(studio.text('No card fits.'));
    else this.say(left ? studio.text('{0} of {1} shown; the others do not fit the search, the folder or the checkpoint.', this.shown.length, all) : '');
    this.append();
  }

  drawFolders() {
    const place = this.root.querySelector('.cards-folders');
    const folders = new Set();
    for (const card of lists.get(this.kind)?.cards || []) {
      if (card.hidden && !this.options.extra_networks_show_hidden_directories) continue;
      const parts = (card.folder || '').split('/').filter(Boolean);
      parts.forEach((_, i) => folders.add(parts.slice(0, i + 1).join('/')));
    }
    place.hidden = !folders.size;
    const row = (folder, label, depth) => studio.make('button', {
      type: 'button', role: 'treeitem', 'aria-level': String(depth + 1), 'aria-selected': String(this.folder === folder), style: `--depth: ${depth}`,
      translate: folder ? 'no' : null, onclick: () => { this.folder = folder; this.draw(); },
    }, label);
    const names = [...folders].sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
    place.querySelector('[role=tree]').replaceChildren(row('', studio.text('All folders'), 0),
      ...names.map((name) => row(name, name.split('/').at(-1), name.split('/').length)));
    place.querySelector('summary span').textContent = this.folder || studio.text('All folders');
  }

  append() {
    if (!this.shown || this.made >= this.shown.length || !this.kind) return;
    const next = this.shown.slice(this.made, this.made + AT_ONCE);
    this.made += next.length;
    this.grid.append(...next.map((card) => this.card(card)));
    this.mark();
  }

  card(card) {
    const picture = studio.cards.previewOf(card);
    const label = card.kind === 'checkpoint' ? card.name.replace(/\.\w+$/, '') : card.called;
    return studio.make('div', { class: 'card', dataset: { name: card.name }, title: card.name },
      studio.make('button', { type: 'button', class: 'card-use', translate: 'no' },
        picture ? studio.make('img', { src: picture, alt: '', loading: 'lazy', decoding: 'async' }) : studio.make('span', { class: 'card-blank' }, label.slice(0, 2)),
        studio.make('span', { class: 'card-text' }, studio.make('b', {}, label),
          this.options.extra_networks_card_show_desc !== false && card.description ? studio.make('small', {}, card.description) : null)),
      studio.make('button', { type: 'button', class: 'card-more', 'aria-label': studio.text('Notes and metadata of {0}', label), title: studio.text('Notes and metadata') }, 'ⓘ'));
  }

  mark() {
    for (const element of this.grid.children) {
      const card = this.find(element.dataset.name);
      if (card) element.querySelector('.card-use').setAttribute('aria-pressed', String(isUsed(card, this.tab)));
    }
  }

  find(name) { return lists.get(this.kind)?.cards.find((card) => card.name === name); }

  async pressed(event) {
    const element = event.target.closest('.card'), card = element && this.find(element.dataset.name);
    if (!card) return;
    if (event.target.closest('.card-more')) { studio.editCard(card, this.tab); return; }
    await toggle(card, this.tab);
    setTimeout(() => this.mark(), 50);
  }
}
const paneOf = (root) => {
  if (!panes.has(root.id)) panes.set(root.id, new CardPane(root));
  return panes.get(root.id);
};
document.addEventListener('click', (event) => {
  const button = event.target.closest?.('.extra-strip [data-kind]');
  if (button) paneOf(button.closest('[id$="_extra_tabs"]')).open(button.dataset.kind);
});
document.addEventListener('keydown', (event) => {
  const button = event.target.closest?.('.extra-strip [data-kind]');
  if (!button || !['ArrowLeft', 'ArrowRight'].includes(event.key)) return;
  const all = [...button.parentElement.children];
  const next = all[(all.indexOf(button) + (event.key === 'ArrowRight' ? 1 : -1) + all.length) % all.length];
  next.focus();
  next.click();
});
studio.cardKinds = KINDS;
