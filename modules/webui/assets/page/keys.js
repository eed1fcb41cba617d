// The keys of the generation tabs.
const generate = (tab) => {
  if (!studio.busy(tab)) { studio.press(`${tab}_generate`); return; }
  studio.press(`${tab}_interrupt`);  // A1111: generate while running stops and starts anew
  const watcher = new MutationObserver(() => {
    if (studio.busy(tab)) return;
    watcher.disconnect();
    studio.press(`${tab}_generate`);
  });
  watcher.observe(studio.page(tab), { attributes: true, attributeFilter: ['data-busy'] });
};
document.addEventListener('keydown', (event) => {
  const tab = studio.activeTab();
  if (!tab || event.isComposing) return;
  const command = event.ctrlKey || event.metaKey;
  if (event.key === 'Enter' && command && event.shiftKey) { if (!event.repeat) studio.press(`${tab}_queue`); }
  else if (event.key === 'Enter' && command) { if (!event.repeat) generate(tab); }
  else if (event.key === 'Enter' && event.altKey) studio.press(`${tab}_skip`);
  else if (event.key === 'Escape' && studio.busy(tab) && !document.querySelector('dialog[open], .picture-field.maximised, .menu, :popover-open')) studio.press(`${tab}_interrupt`);
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);
