// Pictures outside the result of a job: a press on one shows it in full size.
let dialog;
const build = () => {
  dialog = studio.make('dialog', { class: 'lightbox', 'aria-label': studio.text('Picture in full size'), onclick: () => dialog.close() },
    studio.make('button', { type: 'button', class: 'lightbox-close', 'aria-label': studio.text('Close') }, '✕'), studio.make('img', { alt: '' }));
  studio.overlay(dialog);
};
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a.full-size');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (!dialog) build();
  const shown = link.querySelector('img');
  Object.assign(dialog.querySelector('img'), { src: link.href, alt: shown.alt });
  dialog.showModal();
});
