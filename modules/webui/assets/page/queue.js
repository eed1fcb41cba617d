// The visitor's jobs at a glance: what runs, what waits and in which order, what has ended.
const MOMENT = 1000;   // ms between two looks while something runs
const SOON = 150;      // ms after something of ours has changed
let panel, list, shown = { active: [], ended: [] }, timer, due = Infinity, asking = false, again = false, dragged = '', pressed = { id: '', until: 0 };

/** Look after some time, or when it was meant to be anyway if that is sooner: asked for all the time it still happens. */
const lookIn = (milliseconds) => {
  const at = performance.now() + milliseconds;
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(look, milliseconds);
};
const look = async () => {
  clearTimeout(timer);
  due = Infinity;
  if (document.hidden) return;
  if (asking) { again = true; return; }   // what is being asked may be older than what happened just now
  asking = true;
  again = false;
  try { shown = await studio.ask('GET', 'queue'); } catch { lookIn(5 * MOMENT); return; } finally { asking = false; }
  draw();
  followNext();
  if (again) lookIn(0);
  else if (shown.active.length) lookIn(MOMENT);
};
/** Look soon: something of ours was sent or has ended. */
studio.lookAtQueue = () => lookIn(SOON);
document.addEventListener('visibilitychange', look);
addEventListener('focus', look);

// A job that was queued from this page appears in its tab as soon as it runs and nothing else is shown there.
const sentFrom = JSON.parse(sessionStorage.getItem('studio-sent') || '{}');   // job -> tab that it was queued from
const tabOf = (job) => sentFrom[job.id] || (job.task === 'training' ? 'train' : document.getElementById(`${job.task}_page`) || document.getElementById(`tab_${job.task}-button`) ? job.task : 'img2img');
const rootOf = (tab) => document.querySelector(`#${tab}_gallery .live-root`);
const show = (job) => {
  const tab = tabOf(job);
  if (job.task === 'training') { localStorage.setItem('studio-training', job.id); return; }   // its tab looks there
  pressed = { id: job.id, until: Date.now() + 5 * MOMENT };
  studio.queue.wanted = job.id;
  studio.press(`${tab}_show_job`);
};
const unseen = new Set();   // jobs that were queued from this page and have not been shown yet
const followNext = () => {
  for (const job of shown.active) {
    const tab = tabOf(job), root = rootOf(tab);
    const isShown = document.querySelector(`.live-root[data-job="${job.id}"]`);
    const isComing = pressed.id === job.id && Date.now() < pressed.until;   // a busy server takes a moment
    if (isShown) unseen.delete(job.id);
    if (job.state === 'running' && root && !isShown && !isComing && !studio.busy(tab)) { unseen.delete(job.id); show(job); return; }
  }
  const quick = shown.ended.find((job) => unseen.has(job.id));   // over before anybody looked
  if (quick && !studio.busy(tabOf(quick))) { unseen.clear(); show(quick); }
};
studio.queue = {
  wanted: '',
  /** A tab has put jobs behind those that run. */
  sent(tab, jobs) {
    const ids = String(jobs || '').split(' ').filter(Boolean);
    if (!ids.length) return;
    for (const id of ids) { sentFrom[id] = tab; unseen.add(id); }
    sessionStorage.setItem('studio-sent', JSON.stringify(Object.fromEntries(Object.entries(sentFrom).slice(-200))));
    studio.say(studio.text('Put into the queue.'));
    studio.lookAtQueue();
  },
};
document.addEventListener('click', (event) => {
  const button = event.shiftKey && event.target.closest?.('button[id$="_generate"]');
  if (!button) return;   // Shift and Generate: behind those that run
  event.stopImmediatePropagation();
  event.preventDefault();
  studio.press(button.id.replace(/_generate$/, '_queue'));
}, true);

const steer = async (job, action) => {
  if (action === 'cancel' && job.task === 'training' && !confirm(studio.text('Cancel this training? What it has learnt so far is lost.'))) return;
  await studio.attempt(() => studio.ask('POST', `jobs/${job.id}/${action}`));
  look();
};
const reorder = async (ids) => {
  await studio.attempt(() => studio.ask('POST', 'jobs/order', { ids }));
  look();
};
const waiting = () => shown.active.filter((job) => job.state === 'queued').map((job) => job.id);
const moveBy = (job, by) => {
  const ids = waiting(), at = ids.indexOf(job.id), to = at + by;
  if (at < 0 || to < 0 || to >= ids.length) return;
  ids.splice(to, 0, ids.splice(at, 1)[0]);
  reorder(ids);
};
const dropOn = (job) => {
  const ids = waiting(), to = ids.indexOf(job.id), at = ids.indexOf(dragged);
  if (at < 0 || to < 0 || at === to) return;
  ids.splice(to, 0, ids.splice(at, 1)[0]);
  reorder(ids);
};

const sentenceOf = (job) => {
  if (job.state === 'queued') return job.position <= 1 ? studio.text('Next in line') : studio.text('Waiting, place {0}', job.position);
  if (job.state === 'paused') return studio.text('Paused');
  if (job.state === 'failed') return job.error || studio.text('Failed');
  if (job.state === 'cancelled') return studio.text('Stopped');
  if (job.state === 'done') return studio.text('Done');
  const percent = Math.round(job.progress * 100);
  return job.eta_seconds === null ? studio.text('Running, {0} %', percent) : studio.text('Running, {0} %, {1} left', percent, studio.duration(job.eta_seconds));
};
const tool = (label, sign, act, disabled = false) => studio.make('button', {
  type: 'button', class: `queue-tool queue-${sign}`, 'aria-label': label, title: label, disabled, onclick: (event) => { event.stopPropagation(); act(); },
});
const lineOf = (job, i, count) => {
  const isWaiting = job.state === 'queued', isOver = ['done', 'failed', 'cancelled'].includes(job.state);
  const name = job.prompt || studio.text(job.task === 'training' ? 'Training' : 'No prompt');
  const item = studio.make('li', { class: 'queue-line', dataset: { job: job.id, state: job.state }, draggable: isWaiting && count > 1 ? 'true' : null },
    studio.make('button', { type: 'button', class: 'queue-show', title: name, onclick: () => { show(job); document.getElementById(`tab_${tabOf(job)}-button`)?.click(); panel.hidePopover(); } },
      job.image ? studio.make('img', { src: `files/${encodeURIComponent(job.image)}?thumb=96`, alt: '' }) : studio.make('span', { class: 'queue-blank' }),
      studio.make('span', { class: 'queue-text' }, studio.make('b', { translate: 'no' }, name), studio.make('small', {}, sentenceOf(job)),
        isOver || isWaiting ? null : studio.make('progress', { max: '1', value: String(job.progress), 'aria-label': studio.text('Progress') }))),
    isWaiting && count > 1 ? tool(studio.text('Earlier'), 'up', () => moveBy(job, -1), i === 0) : null,
    isWaiting && count > 1 ? tool(studio.text('Later'), 'down', () => moveBy(job, 1), i === count - 1) : null,
    isOver ? null : job.state === 'paused' ? tool(studio.text('Go on'), 'resume', () => steer(job, 'resume')) : tool(studio.text('Pause'), 'pause', () => steer(job, 'pause')),
    isOver ? null : tool(studio.text('Cancel'), 'cancel', () => steer(job, 'cancel')));
  item.addEventListener('dragstart', () => { dragged = job.id; });
  item.addEventListener('dragover', (event) => { if (dragged && isWaiting) event.preventDefault(); });
  item.addEventListener('drop', (event) => { if (dragged) { event.preventDefault(); event.stopPropagation(); dropOn(job); } });
  item.addEventListener('dragend', () => { dragged = ''; });
  return item;
};
const draw = () => {
  const button = document.getElementById('queue_button');
  if (button) {
    const count = shown.active.length;
    button.dataset.count = count ? String(count) : '';
    button.setAttribute('aria-label', count ? studio.text('Queue: {0} jobs', count) : studio.text('Queue'));
  }
  if (!panel?.matches(':popover-open') || dragged || list.matches(':active')) return;   // a line stays while the mouse is down on it
  const focused = document.activeElement?.closest?.('.queue-line')?.dataset.job, what = document.activeElement?.className;
  const ids = waiting();
  list.replaceChildren(
    ...shown.active.map((job) => lineOf(job, ids.indexOf(job.id), ids.length)),
    shown.active.length ? '' : studio.make('li', { class: 'quiet queue-empty' }, studio.text('Nothing is waiting. Shift and Generate puts a job behind those that run.')),
    shown.ended.length ? studio.make('li', { class: 'queue-head' }, studio.text('Finished')) : '',
    ...shown.ended.map((job) => lineOf(job, -1, 0)));
  if (focused) [...list.querySelectorAll(`[data-job="${focused}"] button`)].find((one) => one.className === what)?.focus();
};
document.addEventListener('click', (event) => {
  const button = event.target.closest?.('#queue_button');
  if (!button) return;
  if (!panel) {
    list = studio.make('ul', { class: 'queue-list' });
    panel = studio.make('div', { class: 'studio-popover queue-panel', popover: 'auto', id: 'queue_panel', role: 'dialog', 'aria-label': studio.text('Queue') },
      studio.make('h3', {}, studio.text('Queue')), list);
    studio.overlay(panel);
  }
  studio.openBeside(panel, button);
  draw();
  look();
});

// jobs begin and end in the galleries of the tabs: look when one does
new MutationObserver((changes) => {   // each frame of a preview writes both, mostly the same again
  const isNews = (change) => change.target.classList?.contains('live-root') && change.target.getAttribute(change.attributeName) !== change.oldValue;
  if (changes.some(isNews)) studio.lookAtQueue();
}).observe(document.body, { subtree: true, attributes: true, attributeOldValue: true, attributeFilter: ['data-state', 'data-job'] });
look();
