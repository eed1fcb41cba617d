// Where the pictures of the history stand: rows of one height that fill the width, a heading for each day.
const GAP = 8, HEADING = 40;

const dayOf = (seconds) => { const day = new Date(seconds * 1000); day.setHours(0, 0, 0, 0); return day.getTime(); };

/** Rows of a growing list; the last row waits for more pictures before it is stretched. */
class HistoryLayout {
  constructor(width, target) {
    Object.assign(this, { width, target, rows: [], height: 0, day: null, open: [] });
  }

  /** Add pictures behind those that are there; `first` is the place of the first of them in the list.
      Returns the place of the first picture that stands elsewhere now. */
  add(pictures, first) {
    const moved = this.open[0]?.index ?? first;
    this.takeBackOpenRow();
    pictures.forEach((picture, i) => {
      const day = dayOf(picture.created);
      if (day !== this.day) {
        this.closeRow();
        this.day = day;
        this.rows.push({ y: this.height, height: HEADING, day, last: first + i - 1 });
        this.height += HEADING;
      }
      this.open.push({ index: first + i, ratio: Math.min(3, Math.max(0.4, picture.width / picture.height || 1)) });
      if (this.widthAt(this.target) >= this.width) this.closeRow(true);
    });
    const kept = [...this.open];
    this.closeRow();
    this.open = kept;  // shown, but not final
    return moved;
  }

  widthAt(height) { return this.open.reduce((sum, one) => sum + one.ratio * height, GAP * (this.open.length - 1)); }

  closeRow(full = false) {
    if (!this.open.length) return;
    const ratios = this.open.reduce((sum, one) => sum + one.ratio, 0);
    const height = full ? (this.width - GAP * (this.open.length - 1)) / ratios : Math.min(this.target, this.width / ratios);
    let x = 0;
    const tiles = this.open.map((one) => {
      const tile = { index: one.index, x, width: one.ratio * height };
      x += tile.width + GAP;
      return tile;
    });
    this.rows.push({ y: this.height, height, tiles, last: tiles[tiles.length - 1].index });
    this.height += height + GAP;
    this.open = [];
  }

  takeBackOpenRow() {
    if (!this.open.length) return;
    this.height = this.rows.pop().y;
  }

  /** Places in `rows` of the first and the one behind the last row that touch a stretch of the page. */
  between(top, bottom) {
    const first = this.firstRow((row) => row.y + row.height >= top);
    return [first, this.firstRow((row) => row.y > bottom, first)];
  }

  firstRow(fits, low = 0) {
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (fits(this.rows[middle])) high = middle; else low = middle + 1;
    }
    return low;
  }

  /** The row and the place in it of a picture of the list. */
  find(index) {
    const row = this.firstRow((one) => one.last >= index);
    const place = this.rows[row]?.tiles?.findIndex((tile) => tile.index === index) ?? -1;
    return place < 0 ? null : { row, place };
  }

  /** The picture above (-1) or below (1) another one, nearest by its middle. */
  vertical(index, step) {
    const at = this.find(index);
    if (!at) return index;
    const tile = this.rows[at.row].tiles[at.place], middle = tile.x + tile.width / 2;
    for (let i = at.row + step; i >= 0 && i < this.rows.length; i += step) {
      const { tiles } = this.rows[i];
      if (!tiles) continue;
      return tiles.reduce((best, one) => (Math.abs(one.x + one.width / 2 - middle) < Math.abs(best.x + best.width / 2 - middle) ? one : best)).index;
    }
    return index;
  }
}
studio.HistoryLayout = HistoryLayout;
