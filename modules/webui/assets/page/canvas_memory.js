// Pictures that are handed in, and the drawings on them, outlive a reload of the page.
const KEY = 'studio-pictures';
const idOf = (field) => field.element.closest('.block.picture-field')?.id || '';   // Gradio gives the piece inside a new id each time
let kept = {};
try { kept = JSON.parse(sessionStorage.getItem(KEY)) || {}; } catch { /* nothing is kept */ }
sessionStorage.removeItem(KEY);

/** What a field held when the page was left, once; null when nothing. */
studio.keptPicture = (field) => {
  const value = kept[idOf(field)] || null;
  delete kept[idOf(field)];
  return value;
};
addEventListener('pagehide', () => {
  const pictures = { ...kept };
  for (const view of document.querySelectorAll('.canvas-view[data-ready="true"]')) {
    const { image, mask, paint } = view.field.props.value || {};
    if (image?.id || image?.remote) pictures[idOf(view.field)] = { image: { ...image, url: image.remote }, mask, paint };
  }
  try { sessionStorage.setItem(KEY, JSON.stringify(pictures)); } catch { /* more than the browser keeps: pictures have to be handed in again */ }
});
