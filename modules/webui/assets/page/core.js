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
  sizeOf(picture, width, height) {
    const round = (side) => Math.max(64, Math.round(side / 8) * 8);
    return picture?.size ? picture.size.map(round) : [width, height];
  },
  download(tab) {
    document.getElementById(`${tab}_gallery`)?.querySelector('.live-root')?.parentElement.dispatchEvent(new Event('studio-download'));
  },
};
