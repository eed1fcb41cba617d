// What all scripts of the page share, and small things that Gradio's own events call.
const shownPicture = (live) => (live?.images || []).find((picture) => picture.id === live.selected);
window.studio = {
  /** A visible sentence: `{0}`, `{1}` … stand for the values. Sentences are translated as a whole. */
  text(sentence, ...values) {
    return sentence.replace(/\{(\d)\}/g, (_, i) => String(values[Number(i)]));
  },
  page(tab) { return document.getElementById(`${tab}_page`); },
  /** Name of the generation tab that is open, undefined on other tabs. */
  activeTab() {
    return [...document.querySelectorAll('.studio-tab')].find((tab) => tab.offsetParent !== null)?.id.replace('_page', '');
  },
  busy(tab) { return studio.page(tab)?.dataset.busy === 'true'; },
  press(id) { document.getElementById(id)?.click(); },
  seedOf(live, name) {
    const picture = shownPicture(live);
    if (!picture) return -1;
    const found = picture.infotext.match(new RegExp(`\\b${name}: (\\d+)`));
    return found ? Number(found[1]) : name === 'Seed' ? Number(picture.seed) : -1;
  },
  /** Size of the picture that is handed in on a tab, [] when there is none. */
  pictureSize(tab) {
    const view = [...studio.page(tab)?.querySelectorAll('.canvas-view[data-ready="true"]') || []].find((one) => one.offsetParent !== null);
    return view ? [Number(view.dataset.width), Number(view.dataset.height)] : [];
  },
  sizeOfPicture(tab, width, height) {
    const size = studio.pictureSize(tab).map((side) => Math.max(64, Math.round(side / 8) * 8));
    return size.length ? size : [width, height];
  },
  /** Let the browser keep a file that an event has made. */
  fetchFile(file) {
    if (!file?.url) return;
    const link = document.createElement('a');
    link.href = file.url;
    link.download = file.orig_name || '';
    link.click();
  },
  download(tab) {
    document.getElementById(`${tab}_gallery`)?.querySelector('.live-root')?.dispatchEvent(new Event('studio-download', { bubbles: true }));
  },
};
