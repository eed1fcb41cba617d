// Generate forever: as soon as a job has ended the next begins, until it is cancelled or interrupted.
const LONG_PRESS = 550;  // ms
const forever = new Map();  // tab -> observer of its page

const stop = (tab) => {
  forever.get(tab)?.disconnect();
  forever.delete(tab);
  const page = studio.page(tab);
  if (page) delete page.dataset.forever;
};
const start = (tab) => {
  stop(tab);
  const page = studio.page(tab), live = document.querySelector(`#${tab}_gallery .live-root`);
  let wasBusy = studio.busy(tab);
  const observer = new MutationObserver(() => {
    const busy = studio.busy(tab), ended = wasBusy && !busy;
    wasBusy = busy;
    if (live.dataset.refused === 'true' || page.dataset.state === 'failed') stop(tab);
    else if (ended) studio.press(`${tab}_generate`);
  });
  forever.set(tab, observer);
  page.dataset.forever = 'true';
  observer.observe(page, { attributes: true, attributeFilter: ['data-busy'] });
  observer.observe(live, { attributes: true, attributeFilter: ['data-refused'] });
  if (!studio.busy(tab)) studio.press(`${tab}_generate`);
};
const offer = (tab, x, y) => {
  const running = forever.has(tab);
  studio.openMenu(x, y, [running ? [studio.text('Cancel generate forever'), () => stop(tab)] : [studio.text('Generate forever'), () => start(tab)]]);
};
const tabOf = (target) => target.closest?.('.generate-box button')?.closest('.studio-tab')?.id.replace('_page', '');

document.addEventListener('contextmenu', (event) => {
  const tab = tabOf(event.target);
  if (!tab) return;
  event.preventDefault();
  offer(tab, event.clientX, event.clientY);
});
document.addEventListener('click', (event) => {
  const button = event.target.closest?.('button[id$="_generate_menu"]');
  if (button) { const box = button.getBoundingClientRect(); offer(tabOf(button), box.left, box.bottom + 4); }
  if (event.target.closest?.('button[id$="_interrupt"]')) stop(tabOf(event.target));
}, true);

let pressing = 0;
document.addEventListener('pointerdown', (event) => {
  const tab = event.pointerType === 'touch' && tabOf(event.target);
  if (!tab) return;
  pressing = setTimeout(() => {
    addEventListener('click', (click) => { click.stopPropagation(); click.preventDefault(); }, { capture: true, once: true });
    offer(tab, event.clientX, event.clientY);
  }, LONG_PRESS);
});
for (const name of ['pointerup', 'pointermove', 'pointercancel']) document.addEventListener(name, (event) => { if (name !== 'pointermove' || Math.hypot(event.movementX, event.movementY) > 8) clearTimeout(pressing); });
